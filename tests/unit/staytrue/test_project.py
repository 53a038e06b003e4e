"""``staytrue.yaml`` and settings: what is wrong is said with its line and its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from staytrue import project as projects
from staytrue.errors import InvalidConfig, InvalidInput, NotFound
from staytrue.sections import MonitoringSection
from staytrue.server import ServingSection
from staytrue.settings import resolve, warn_of_strays

GOOD = """\
name: bikes
data:
  source: data.csv
  time: t
  target: y
  features:
    a: {kind: numeric}
"""


def load(tmp_path: Path, text: str) -> projects.Project:
    """Load a project of this text."""
    path = tmp_path / "staytrue.yaml"
    path.write_text(text, encoding="utf-8")
    return projects.load(path)


def test_paths_mean_the_files_own_folder(tmp_path: Path) -> None:
    project = load(tmp_path, GOOD)
    assert project.data.source == tmp_path / "data.csv"
    assert project.store == tmp_path / "store"
    assert project.serving.log == tmp_path / ".staytrue/events"
    assert project.monitoring.data == tmp_path / ".staytrue/monitoring"
    assert project.retraining.runs == tmp_path / "runs"
    assert load(tmp_path, GOOD + "store: /srv/store\n").store == Path("/srv/store")


def test_an_error_on_a_setting_of_the_file_is_told_with_its_line(tmp_path: Path) -> None:
    """One on a setting that the file lacks, or on something else, stays as it is."""
    load(tmp_path, GOOD + "cleaning:\n  missing:\n    columns:\n      b c: {method: mean}\n")
    path = tmp_path / "staytrue.yaml"
    told = projects.located(NotFound("cleaning.missing.columns.x", "p", expected="e", got="g", hint="h"), path)
    assert (type(told), str(told)) == (
        NotFound,
        f"{path}:10 cleaning.missing.columns.x: p, expected e, got g; h",
    )
    assert projects.located(InvalidInput('data.features, column "a"'), path).where.startswith(
        f"{path}:6 data.features,"
    )
    others = (NotFound('model "bikes"'), NotFound('store "/srv"'))  # things that are called as sections are
    for error in (
        *(InvalidInput("split: x"), InvalidInput("model x"), InvalidInput("/data.csv"), InvalidInput("data")),
        *others,
    ):
        here = path if error.where != "data" else tmp_path / "none.yaml"
        assert projects.located(error, here) is error


WRONG = {
    "unknown section": (GOOD + "servin: {}\n", r":8 servin: unknown key; did you mean 'serving'\?"),
    "unknown key": (GOOD + "serving:\n  prot: 1\n", r":9 serving\.prot: unknown key; did you mean 'port'\?"),
    "wrong value": (GOOD + "serving:\n  port: high\n", r":9 serving\.port: .*got 'high'"),
    "out of range": (GOOD + "split:\n  test: 1.5\n", r":9 split\.test: .*got 1.5"),
    "nothing to train on": (
        GOOD + "split:\n  validation: 0.6\n  test: 0.5\n",
        r":8 split: validation 0\.6 and test 0\.5 leave nothing to train on",
    ),
    "an image without shape": (GOOD.replace("numeric", "image"), r":7 data\.features\.a: an image needs shape"),
    "an image of text": (
        GOOD.replace("numeric", "image, shape: [1, 8, 8], datatype: BYTES"),
        r"data\.features\.a: kind image cannot be sent as BYTES",
    ),
    "missing": (GOOD.replace("  target: y\n", ""), r"data\.target: is missing, expected column to predict"),
    "kind": (
        GOOD.replace("numeric", "number"),
        r":7 data\.features\.a\.kind: .*'numeric', .*'image', 'text', 'sequence', got 'number'; did you mean 'numeric'",
    ),
    "not yaml": (GOOD + "a: [1\n", r":\d+: is not YAML"),
    "a list": ("- 1\n", "expected a mapping of sections, got a list of 1; `staytrue init"),
    "empty": ("", "expected a mapping of sections"),
    "bad name": (GOOD.replace("bikes", "a/b"), r":1 name: .*got 'a/b'"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_a_fault_is_told_with_its_line(tmp_path: Path, case: tuple[str, str]) -> None:
    text, said = case
    with pytest.raises(InvalidConfig, match=said):
        load(tmp_path, text)


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"staytrue init DATA\.csv"):
        projects.load(tmp_path / "staytrue.yaml")


def test_the_fingerprint_follows_what_is_trained_and_nothing_else(tmp_path: Path) -> None:
    first = load(tmp_path, GOOD).fingerprint()
    assert load(tmp_path, GOOD + "serving: {port: 9}\n").fingerprint() == first
    assert load(tmp_path, GOOD + "training: {seed: 9}\n").fingerprint() != first
    (tmp_path / "elsewhere").mkdir()
    assert load(tmp_path / "elsewhere", GOOD).fingerprint() == first


def test_flags_beat_environment_beats_file_beats_default() -> None:
    filed = ServingSection(port=2)
    environment = {"STAYTRUE_SERVING_PORT": "3", "STAYTRUE_MONITORING_PORT": "9", "PATH": "/bin"}
    assert resolve(ServingSection(), "serving", {}, {}).port == 8080
    assert resolve(filed, "serving", {}, {}).port == 2
    assert resolve(filed, "serving", {"port": None}, environment).port == 3
    assert resolve(filed, "serving", {"port": 4}, environment).port == 4


def test_lists_come_as_json_from_the_environment() -> None:
    environment = {"STAYTRUE_SERVING_MODELS": '["a", "b"]'}
    assert resolve(ServingSection(), "serving", {}, environment).models == ["a", "b"]


@pytest.mark.parametrize(
    ("environment", "flags", "said"),
    [
        ({"STAYTRUE_SERVING_PROT": "1"}, {}, "environment STAYTRUE_SERVING_PROT: unknown"),
        ({"STAYTRUE_SERVING_PORT": "high"}, {}, "environment STAYTRUE_SERVING_PORT: .*got 'high'"),
        ({}, {"port": 99999}, "--port: .*got 99999"),
        ({}, {"nan_policy": "maybe"}, "--nan-policy: .*got 'maybe'"),
    ],
)
def test_a_wrong_setting_names_its_source(environment: dict[str, str], flags: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidConfig, match=said):
        resolve(ServingSection(), "serving", flags, environment)


def test_a_secret_is_never_shown() -> None:
    section = MonitoringSection.model_validate({"webhooks": [{"url": "http://x", "secret": "whsec_c2VjcmV0"}]})
    assert "whsec_c2VjcmV0" not in repr(section)


@pytest.mark.parametrize("written", ["null", '"null"'])
def test_the_null_policy_may_be_written_as_people_write_it(tmp_path: Path, written: str) -> None:
    assert load(tmp_path, GOOD + f"serving: {{nan_policy: {written}}}\n").serving.nan_policy == "null"


def test_a_variable_of_a_misspelt_section_is_told_and_those_of_others_are_not(caplog: pytest.LogCaptureFixture) -> None:
    theirs = {"STAYTRUE_GATEWAY": "s", "STAYTRUE_PROXY_PORT": "1", "STAYTRUE": "1", "XSTAYTRUE_SERVNG_PORT": "1"}
    warn_of_strays(["serving", "gateway"], {"STAYTRUE_SERVNG_PORT": "1", "STAYTRUE_SERVING_PORT": "1", **theirs})
    assert caplog.messages == [
        "environment STAYTRUE_SERVNG_PORT is not read: SERVNG is no section of staytrue.yaml; did you mean 'serving'?"
    ]
