"""What pydantic refuses is said in our words: at any depth, with the nearest key, and never with a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import Field, ValidationError, model_validator

from staytrue import project as projects
from staytrue.errors import InvalidConfig
from staytrue.faults import annotation_at, first_fault, known_keys
from staytrue.feature import Feature
from staytrue.project import Project
from staytrue.section import Section
from staytrue.sections import GateSection, MonitoringSection, RetrainingSection
from staytrue.server import ServingSection
from staytrue.settings import resolve

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
name: bikes
data:
  source: data.csv
  time: t
  target: y
  features:
    a: {kind: numeric}
"""
HOOK = "monitoring:\n  webhooks:\n    - url: http://x\n      secret: whsec_c2VjcmV0\n"

FAULTS = {
    "key of a feature": (
        GOOD + "    b: {knid: numeric}\n",
        r"yaml:8 data\.features\.b\.knid: unknown key; did you mean 'kind'\?",
    ),
    "missing key beside an unknown one": (
        GOOD + "    b: {colour: red}\n",
        r"yaml:8 data\.features\.b\.kind: is missing",
    ),
    "misspelt key of a feature": (
        GOOD.replace("{kind: numeric}", "{kind: numeric, untit: m}"),
        r":7 data\.features\.a\.untit: unknown key; did you mean 'unit'\?",
    ),
    "unknown key with nothing near": (GOOD + "zzz: 1\n", r":8 zzz: unknown key; remove it"),
    "key of a list's section": (
        GOOD + HOOK + "    - url: http://y\n      sekret: x\n",
        r":13 monitoring\.webhooks\.1\.sekret: unknown key; did you mean 'secret'\?",
    ),
    "two fields that do not fit": (
        GOOD.replace("{kind: numeric}", "{kind: numeric, datatype: BYTES}"),
        r":7 data\.features\.a: kind numeric cannot be sent as BYTES",
    ),
    "optional field": (
        GOOD + "retraining:\n  recency_half_life_days: -1\n",
        r":9 retraining\.recency_half_life_days: expected a number > 0 or nothing, got -1; meaning: a row",
    ),
    "target among the features": (
        GOOD + "    y: {kind: numeric}\n",
        r":8 data\.features\.y: is the target or the time",
    ),
    "key twice": (GOOD + "split: {}\nsplit: {}\n", r":9: key 'split' stands there twice"),
    "key twice in a list": (GOOD + HOOK + "      url: http://y\n", r":12: key 'url' stands there twice"),
    "no text key": (GOOD + "[a, b]: 1\n", "is not YAML"),
    "number for a name": (
        GOOD + "    1: numeric\n",
        r":8 data\.features\.1: expected text for a name, got 1; write it in quotes",
    ),
    "no key at all": (GOOD + "1: x\n", ":8 1: expected text for a name, got 1; write it in quotes"),
    "two documents": (GOOD + "---\n" + GOOD, "is not YAML"),
    "deep": ("a: " + "[" * 5000, "nested too deeply"),
    "control characters": (GOOD + "x: \x07\n", "is not YAML"),
}

WORDS = {
    "mapping for a number": ("serving: {port: {a: 1, b: 2}}", "got a mapping with the keys a, b; meaning: 0: any free"),
    "empty mapping": ("serving: {port: {}}", "expected a whole number ≥ 0, ≤ 65535, got an empty mapping"),
    "list for a section": (
        "split: [1, 2]",
        "split: expected a mapping, got a list of 2; its keys: method, block_days, valid",
    ),
    "nothing for a section": (
        "split:",
        "split: expected a mapping, got nothing; its keys: method, block_days, validation, test",
    ),
    "text for a list": ("serving: {models: bikes}", "models: expected a list of text, got 'bikes'; meaning: names to"),
    "no target": (
        "data: {source: a.csv, time: t, target: [], features: {x: {kind: numeric}}}",
        "target names a column, or several",
    ),
    "empty list": ("export: {formats: []}", "'int8_dynamic', 'int8_static', 'fp16', at least 1, got an empty list"),
    "truth for a number": ("serving: {grpc_port: 1.5}", "expected a whole number ≥ 0, ≤ 65535 or nothing, got 1.5"),
    "word for truth": ("serving: {insecure: maybe}", "expected true or false, got 'maybe'; meaning: listen beyond loo"),
    "truth for a path": ("store: true", "store: expected a path or text, got true; meaning: folder of the model store"),
    "word near another": ("serving: {nan_policy: strng}", "got 'strng'; did you mean 'string'?"),
    "word of a list": (
        "export: {formats: [onxx]}",
        "'mar', 'pt2', 'ort', 'int8_dynamic', 'int8_static', 'fp16', got 'onxx'; did you mean 'onnx'?",
    ),
    "architecture near another": (
        "model: {architecture: mpl}",
        "wgan_gp, or package.module:factory of your own, got 'mpl'; did you mean 'mlp'?",
    ),
    "odd list": (
        "data: [1]",
        "data: expected a mapping, got a list of 1; its keys: source, sources, join, query, ",
    ),
    "certificate alone": (
        "serving: {tls_certificate: a.pem}",
        "8 serving: expected tls_key beside tls_certificate, got nothing; set both, or neither for no TLS",
    ),
    "key alone": ("serving: {tls_key: a.key}", "expected tls_certificate beside tls_key, got nothing; set both"),
    "authority alone": (
        "serving: {tls_client_ca: a}",
        "expected tls_certificate and tls_key beside tls_client_ca, got",
    ),
    "admin port": (
        "serving: {workers: 2, admin_port: 0}",
        "8 serving: admin_port reaches one process: models cannot be loaded by hand with several workers; remove adm",
    ),
}


@pytest.mark.parametrize(("text", "said"), WORDS.values(), ids=WORDS)
def test_a_wrong_value_is_told_in_words_of_the_file_and_not_of_a_library(tmp_path: Path, text: str, said: str) -> None:
    good = GOOD if not text.startswith("data") else "name: bikes\n"
    (tmp_path / "staytrue.yaml").write_text(f"{good}{text}\n", encoding="utf-8")
    with pytest.raises(InvalidConfig) as caught:
        projects.load(tmp_path / "staytrue.yaml")
    told = str(caught.value)
    assert said in told
    assert not any(word in told for word in ("{", "None", "True", "input should", "valid "))


def test_a_fault_of_settings_that_do_not_go_together_repeats_none_of_the_others() -> None:
    with pytest.raises(InvalidConfig) as caught:
        resolve(ServingSection(), "serving", {"workers": 2, "admin_port": 0}, {})
    assert str(caught.value).endswith("with several workers; remove admin_port, or set workers: 1")


def test_a_name_says_of_which_form_it_is() -> None:
    with pytest.raises(ValidationError) as caught:
        Project.model_validate({"name": "a/b"})
    fault = first_fault(caught.value, Project)
    assert fault.expected.startswith("text of the form ^[A-Za-z0-9_-]")
    assert (fault.got, fault.hint) == ("'a/b'", "meaning: name of the model, in addresses and metrics")


def test_a_setting_without_a_meaning_has_no_hint() -> None:
    with pytest.raises(InvalidConfig, match=r"low: expected a whole number, got 'x'$"):
        resolve(Pair(), "pair", {"low": "x"}, {})


@pytest.mark.parametrize("case", FAULTS.values(), ids=FAULTS)
def test_a_fault_names_line_place_and_remedy(tmp_path: Path, case: tuple[str, str]) -> None:
    text, said = case
    (tmp_path / "staytrue.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidConfig, match=said):
        projects.load(tmp_path / "staytrue.yaml")


def test_a_file_that_is_no_text_says_where(tmp_path: Path) -> None:
    (tmp_path / "staytrue.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(InvalidConfig, match="expected text in UTF-8, got byte 9"):
        projects.load(tmp_path / "staytrue.yaml")


def test_an_anchor_may_be_used_twice(tmp_path: Path) -> None:
    text = GOOD.replace("{kind: numeric}", "&n {kind: numeric}") + "    b: *n\n"
    (tmp_path / "staytrue.yaml").write_text(text, encoding="utf-8")
    assert list(projects.load(tmp_path / "staytrue.yaml").data.features) == ["a", "b"]


SECRETS: list[Any] = [
    {"webhooks": [{"url": "http://x", "secret": ["tell-nobody"]}]},
    {"webhooks": [{"url": "http://x", "secret": "s", "sekret": "tell-nobody"}]},
    {"webhooks": ["tell-nobody"]},
    {"webhooks": "tell-nobody"},
]


@pytest.mark.parametrize("values", SECRETS)
def test_no_fault_shows_a_secret(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        MonitoringSection.model_validate(values)
    assert "tell-nobody" not in str(first_fault(caught.value, MonitoringSection))
    with pytest.raises(ValidationError) as caught:
        Project.model_validate({"monitoring": "tell-nobody"})
    assert "tell-nobody" not in str(first_fault(caught.value, Project))


def test_a_secret_from_the_environment_is_not_shown_either() -> None:
    environment = {"STAYTRUE_MONITORING_WEBHOOKS": '[{"url": "http://x", "secret": "tell-nobody"'}
    with pytest.raises(InvalidConfig) as caught:
        resolve(MonitoringSection(), "monitoring", {}, environment)
    assert "tell-nobody" not in str(caught.value)
    assert "environment STAYTRUE_MONITORING_WEBHOOKS" in str(caught.value)


def test_keys_are_known_at_any_depth() -> None:
    assert "holdout_share" in known_keys(RetrainingSection, ["gate"])
    assert known_keys(Project, ["data", "features", "anything"]) == list(Feature.model_fields)
    assert known_keys(Project, ["monitoring", "webhooks", "0"]) == ["url", "secret"]
    assert known_keys(Project, ["name"]) == known_keys(Project, ["nowhere", "at", "all"]) == []
    assert annotation_at(Project, []) is Project


class Pair(Section):
    """A section whose fields must fit each other."""

    low: int = 0
    high: int = Field(default=1)

    @model_validator(mode="after")
    def _ordered(self) -> Pair:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


def test_a_fault_of_the_whole_section_names_the_section() -> None:
    with pytest.raises(InvalidConfig, match=r"^staytrue\.yaml pair with --low: low is above high$"):
        resolve(Pair(), "pair", {"low": 5}, {})


def test_a_fault_of_an_inner_key_names_it() -> None:
    environment = {"STAYTRUE_RETRAINING_GATE": '{"confidence": 2}'}
    with pytest.raises(
        InvalidConfig, match=r"environment STAYTRUE_RETRAINING_GATE\.confidence: expected a number > 0, < 1, got 2"
    ):
        resolve(RetrainingSection(), "retraining", {}, environment)


def test_a_mapping_changes_what_it_names_and_leaves_the_rest() -> None:
    filed = RetrainingSection(gate=GateSection(minimum_rows=7))
    resolved = resolve(filed, "retraining", {}, {"STAYTRUE_RETRAINING_GATE": '{"confidence": 0.5}'})
    assert (resolved.gate.confidence, resolved.gate.minimum_rows) == (0.5, 7)


def test_nothing_is_written_null_where_nothing_is_allowed() -> None:
    filed = RetrainingSection(recency_half_life_days=20)
    environment = {"STAYTRUE_RETRAINING_RECENCY_HALF_LIFE_DAYS": "null"}
    assert resolve(filed, "retraining", {}, environment).recency_half_life_days is None
    with pytest.raises(InvalidConfig, match="got 'null'"):
        resolve(filed, "retraining", {}, {"STAYTRUE_RETRAINING_COOLDOWN_DAYS": "null"})
