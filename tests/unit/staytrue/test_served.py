"""What a server reads of a project: what it needs, as the whole would be read, and nothing of what trains."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from staytrue import project, served
from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """\
name: tiny
store: models
store_cache: copies
data: {source: rows.csv, time: when, target: y, features: {x: {kind: numeric}}}
serving: {keys: keys.json, log: events, port: 0}
"""


def written(folder: Path, text: str) -> Path:
    """A project file."""
    file = folder / "staytrue.yaml"
    file.write_text(text)
    return file


def test_it_is_what_the_whole_project_says(tmp_path: Path) -> None:
    file = written(tmp_path, WHOLE)
    seen, whole = served.load(file), project.load(file)
    assert list(served.Served.model_fields) == list(project.Project.model_fields)
    assert (seen.name, seen.store, seen.store_cache) == ("tiny", tmp_path / "models", tmp_path / "copies")
    assert (whole.name, whole.store, whole.store_cache) == (seen.name, seen.store, seen.store_cache)
    assert seen.serving == whole.serving
    assert seen.serving.keys == tmp_path / "keys.json"


def test_without_a_file_it_is_the_defaults_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert served.alone().serving == served.load(written(tmp_path, "name: tiny\n")).serving


def test_an_address_stays_one(tmp_path: Path) -> None:
    assert served.load(written(tmp_path, "name: tiny\nstore: memory://models\n")).store == "memory://models"


def test_other_sections_are_not_looked_at_but_for_their_names(tmp_path: Path) -> None:
    assert served.load(written(tmp_path, "name: tiny\ntraining: {epochs: many}\n")).name == "tiny"
    with pytest.raises(InvalidConfig, match=r"staytrue\.yaml:2 trainin: unknown .*training"):
        served.load(written(tmp_path, "name: tiny\ntrainin: {}\n"))
    with pytest.raises(InvalidConfig, match=r"staytrue\.yaml:2 serving\.port"):
        served.load(written(tmp_path, "name: tiny\nserving: {port: many}\n"))


def test_what_a_server_reads_knows_no_section_of_data_and_training() -> None:
    said = "import sys, staytrue.served; print(*sorted(sys.modules))"
    there = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True).stdout.split()
    assert "staytrue.server" in there
    assert not {"staytrue.project", "staytrue.preparation", "staytrue.modelling", "staytrue.tuning"} & set(there)
