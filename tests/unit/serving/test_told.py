"""What a server is told: all settings as they were checked, and unchangeable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serving.told import told
from staytrue import served
from staytrue.errors import InvalidConfig
from staytrue.section import Section
from staytrue.server import ServingSection
from staytrue.settings import resolve

WHOLE = """\
name: tiny
store: s3://bucket/models
store_cache: copies
serving:
  keys: keys.json
  port: 0
  log_max_bytes: 1000000000000000000000000000
  models: [a, b]
  nan_policy: null
  timeout_seconds: null
  torchserve: {java: java21, start_seconds: 7}
"""


def values_of(settings: Any, section: type[Section] = ServingSection) -> dict[str, Any]:
    """All settings by name, those of inner sections too."""
    found: dict[str, Any] = {}
    for name, field in section.model_fields.items():
        inner, value = field.annotation, getattr(settings, name)
        if isinstance(inner, type) and issubclass(inner, Section):
            found |= {f"{name}.{key}": each for key, each in values_of(value, inner).items()}
        else:
            found[name] = value
    return found


def test_it_is_all_that_file_environment_and_flags_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "staytrue.yaml"
    file.write_text(WHOLE)
    monkeypatch.setenv("STAYTRUE_SERVING_SLOW_SECONDS", "4")
    flags = {"port": 9000, "host": None, "log": Path("elsewhere")}
    said = told(file, flags, alone=False)
    project = served.load(file)
    assert said[1:] == (project.store, project.store_cache) == ("s3://bucket/models", tmp_path / "copies")
    expected = values_of(resolve(project.serving, "serving", flags))
    assert values_of(said.serving) == expected
    assert {type(value) for value in values_of(said.serving).values()} == {type(value) for value in expected.values()}
    assert (said.serving.port, said.serving.slow_seconds, said.serving.torchserve.java) == (9000, 4.0, "java21")


def test_without_a_file_it_is_the_defaults_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = told(tmp_path / "none.yaml", {}, alone=True)
    assert values_of(said.serving) == values_of(served.alone().serving)
    assert said.store == Path("store")


def test_nobody_changes_it(tmp_path: Path) -> None:
    serving: Any = told(tmp_path / "none.yaml", {}, alone=True).serving
    with pytest.raises(AttributeError):
        serving.port = 1
    with pytest.raises(AttributeError):
        serving.torchserve.java = "other"


def test_what_is_wrong_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "staytrue.yaml"
    file.write_text("name: tiny\nserving: {port: many}\n")
    with pytest.raises(InvalidConfig, match=r"staytrue\.yaml:2 serving\.port: expected a whole number .*, got 'many'"):
        told(file, {}, alone=False)
