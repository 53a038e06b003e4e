"""What a run is called: the same for every command."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

import pytest

from staytrue.checkpoint import CHECKPOINT
from staytrue.command import COMMANDS, _find
from staytrue.errors import InvalidConfig, NotFound
from training.runs import found, placed, several


def finished(folder: Path) -> Path:
    """A folder that holds a run's record."""
    folder.mkdir(parents=True)
    (folder / CHECKPOINT).write_text("{}")
    return folder


def test_a_run_is_a_folder_or_a_name_and_the_folder_comes_first(tmp_path: Path) -> None:
    one, other = finished(tmp_path / "runs" / "a"), finished(tmp_path / "b")
    (tmp_path / "here").mkdir()
    with contextlib.chdir(tmp_path):
        assert found(Path("a"), tmp_path / "runs", "toy") == one
        assert found(other, tmp_path / "runs", "toy") == other
        assert found(Path("runs/a"), Path("runs"), "toy") == Path("runs/a")
        finished(tmp_path / "a")
        assert found(Path("a"), Path("runs"), "toy") == Path("a")
        (tmp_path / "runs" / "here").mkdir()
        assert placed(Path("here"), Path("runs"), CHECKPOINT) == Path("runs/here")


def test_what_is_no_run_is_refused_with_those_there_are(tmp_path: Path) -> None:
    for number in range(7):
        finished(tmp_path / f"r{number}")
    (tmp_path / "begun").mkdir()
    for named in ("gone", "begun"):
        with pytest.raises(
            NotFound, match=f"^{named}: is no finished run; .* holds r2, r3, r4, r5, r6; `staytrue train`"
        ):
            found(Path(named), tmp_path, "toy")
    with pytest.raises(NotFound, match="none: is no finished run; `staytrue train` makes one"):
        found(Path("none"), tmp_path / "nowhere", "toy")


def test_several_are_two_or_more_each_once(tmp_path: Path) -> None:
    one, other = finished(tmp_path / "a"), finished(tmp_path / "b")
    assert several([Path("a"), Path("b")], tmp_path) == [one, other]
    with pytest.raises(InvalidConfig, match="RUN: expected two runs or more, each once, got a alone"):
        several([Path("a")], tmp_path)
    with pytest.raises(InvalidConfig, match=f"each once, got a and {one}"):
        several([Path("a"), one, Path("b")], tmp_path)


@pytest.mark.parametrize("command", ["evaluate", "diagnose", "export", "compare", "ensemble", "train"])
def test_every_command_that_takes_a_run_takes_it_so(command: str) -> None:
    assert command in COMMANDS
    parser = argparse.ArgumentParser()
    _find(command).configure(parser)
    (action,) = [action for action in parser._actions if action.metavar == "RUN"]
    assert "by its name in retraining.runs, or by its folder" in str(action.help)
