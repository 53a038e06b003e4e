"""Environments of peers and clients: made once, and a reason where they cannot be made."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from benchmarks import environments
from benchmarks.peers import PEERS


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lists of packages, and no environment yet."""
    monkeypatch.setattr(environments, "PLACE", tmp_path / "made")
    monkeypatch.setattr(environments, "LISTS", tmp_path)
    return tmp_path


def test_an_environment_is_made_once_for_each_list(lists: Path) -> None:
    (lists / "peer.txt").write_text("# nothing\n")
    program = environments.python("peer")
    (lists / "made" / "peer" / "mark").touch()
    assert environments.python("peer") == program
    assert (lists / "made" / "peer" / "mark").exists()
    (lists / "peer.txt").write_text("# another\n")
    environments.python("peer")
    assert not (lists / "made" / "peer" / "mark").exists()


def test_what_cannot_be_installed_is_not_measured(lists: Path) -> None:
    (lists / "peer.txt").write_text(f"{lists / 'nowhere'}\n")
    with pytest.raises(environments.NotMeasured, match="peer could not be installed: ERROR"):
        environments.python("peer")


def test_a_list_and_a_place_of_ones_own_are_taken_paragraph_by_paragraph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, ...]] = []
    (tmp_path / "made" / "own").mkdir(parents=True)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # it is not made anew here
    monkeypatch.setattr(environments, "_call", lambda _, *command: calls.append(tuple(map(str, command))))
    (tmp_path / "own.txt").write_text("# below\na==1\nb==2\n\n# over them\nc==3\n")
    program = environments.python("own", lists=tmp_path, place=tmp_path / "made")
    assert program == str(tmp_path / "made" / "own" / "bin" / "python")
    into = (sys.executable, "-m", "pip", "--python", program, *environments.INSTALL)
    assert calls[1:] == [(*into, "a==1", "b==2"), (*into, "c==3")]


ALONE = {name: environments.LISTS / f"{name}.txt" for name, peer in PEERS.items() if peer.alone}
CLIENTS = Path(__file__).parents[2] / "clients"


@pytest.mark.parametrize("path", [*ALONE.values(), *CLIENTS.glob("*.txt")], ids=lambda path: path.stem)
def test_every_pin_is_a_version(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    assert [pin for pin in lines if pin.count("==") != 1 or "/" in pin or " " in pin] == []
    assert any(pin.startswith(path.stem) for pin in lines)


def test_code_is_compiled_before_it_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "one.py").write_text("ONE = 1\n")
    monkeypatch.setattr(environments, "OURS", (str(tmp_path),))
    environments.compiled()
    assert [path.name.split(".")[0] for path in (tmp_path / "part" / "__pycache__").glob("*.pyc")] == ["one"]
    monkeypatch.undo()
    assert all((Path(__file__).parents[3] / folder / "__init__.py").exists() for folder in environments.OURS)
