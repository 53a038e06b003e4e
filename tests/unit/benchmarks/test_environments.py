"""Environments of the peers: made once, and a reason where they cannot be made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import environments
from benchmarks.peers import PEERS

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.mark.parametrize("name", [name for name, peer in PEERS.items() if peer.alone])
def test_every_pin_is_a_version(name: str) -> None:
    pins = (environments.LISTS / f"{name}.txt").read_text().split()
    assert [pin for pin in pins if pin.count("==") != 1 or "/" in pin] == []
    assert any(pin.startswith(f"{name}==") for pin in pins)
