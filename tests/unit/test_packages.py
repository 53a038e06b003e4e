"""Packages that examples and tests fetch: a connection that hangs is tried again, and what never answers is told."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from examples import packages
from staytrue.errors import NotFound

if TYPE_CHECKING:
    from pathlib import Path

HANGS = """\
import pathlib, sys, time
times, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
with times.open("a") as file:
    file.write("!")
if len(times.read_text()) == 1:
    time.sleep(60)
(folder / "a.whl").touch()
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A download that hangs when it is first asked."""
    monkeypatch.setattr(packages, "PLACE", tmp_path)
    return [sys.executable, "-I", "-S", "-c", HANGS, str(tmp_path / "times")]


def test_a_download_that_hangs_is_tried_again(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PATIENCE_SECONDS", 5)
    assert packages._run("a==1", command).name == "a.whl"


def test_one_that_never_answers_is_told_and_leaves_nothing(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "PATIENCE_SECONDS", 0.01)
    with pytest.raises(NotFound, match=r"a==1: cannot be fetched: no answer within 0\.01 s, 2 times"):
        packages._run("a==1", command)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_of_a_source_archive_only_the_package_itself_is_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What it is built by is not: that took minutes, and longer with each release of it."""
    asked: list[str] = []

    def run(package: str, command: list[str]) -> Path:
        asked.extend([package, *command])
        return tmp_path

    monkeypatch.setattr(packages, "_run", run)
    packages._source_from_pypi("a-b==1")
    assert asked[asked.index("--no-binary") + 1] == "a-b"
    assert ":all:" not in asked
