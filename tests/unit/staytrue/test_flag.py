"""``--project``: what can do without one still refuses one that is named and is not there."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from staytrue.command import main
from staytrue.flag import FILE, add_flag, goes_without


@pytest.mark.parametrize(
    "command",
    [
        ["serve", "--store", "store"],
        ["import", "model.onnx", "--name", "m", "--store", "store"],
        ["compare", "one", "other"],
    ],
    ids=lambda command: command[0],
)
def test_a_project_that_is_named_has_to_be_there(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Or a server would run without the keys that a mistyped one names."""
    monkeypatch.chdir(tmp_path)
    assert main([*command, "--project", "other.yaml"]) == 2
    assert "other.yaml" in capsys.readouterr().err


def test_one_that_is_not_named_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    add_flag(parser)
    unnamed, named = parser.parse_args([]).project, parser.parse_args(["--project", FILE]).project
    assert (goes_without(unnamed), goes_without(named)) == (True, False)
    Path(FILE).write_text("name: m\n", encoding="utf-8")
    assert not goes_without(unnamed)
