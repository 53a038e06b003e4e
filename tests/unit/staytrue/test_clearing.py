"""Versions that nobody needs go; those that an alias names, or a roll back goes to, never do."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from staytrue import bundle as bundles
from staytrue.clearing import clear
from staytrue.command import main
from staytrue.errors import InvalidInput, NotFound, StaytrueError
from staytrue.store import Store
from tests.unit.serving.conftest import publish

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Nine versions; 2, 3, 4 and 5 were champions one after the other, 6 is a canary, 1 the shadow."""
    made = Store(tmp_path)
    for factor in range(1, 10):
        publish(made, float(factor))
    for version in ("2", "3", "4", "5"):
        made.promote("tiny", version, reason="test")
    made.set_canary("tiny", "6", 0.1, reason="test")
    made.set_shadow("tiny", "1", reason="test")
    return made


def test_what_is_needed_stays_and_says_why(store: Store) -> None:
    found = clear(store, "tiny", keep=1)
    assert found.kept == {
        "1": "shadow",
        "3": "a champion before: a roll back goes to it",
        "4": "a champion before: a roll back goes to it",
        "5": "champion",
        "6": "canary",
        "9": "the newest",
    }
    assert list(found.removed) == ["2", "7", "8"]
    assert store.versions("tiny") == ["1", "3", "4", "5", "6", "9"]
    assert {path.name for path in (store.root / "tiny").iterdir() if path.is_dir()} == set(store.versions("tiny"))
    assert store.roll_back("tiny", reason="test").champion == "4"
    assert store.roll_back("tiny", reason="test").champion == "3"
    assert publish(store, 1.0) == "10"


def test_a_dry_run_deletes_nothing_and_tells_the_bytes(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    size = sum(path.stat().st_size for path in (store.root / "tiny" / "8").iterdir())
    assert clear(store, "tiny", keep=1, dry=True).removed["8"] == size
    assert main(["gc", "tiny", "--keep", "2", "--dry-run", "--store", str(store.root)]) == 0
    said = capsys.readouterr().out
    assert "tiny 8: stays, one of the newest 2" in said
    assert "tiny 7: would go, 0.0 MB" in said
    assert len(store.versions("tiny")) == 9
    assert main(["gc", "tiny", "--keep", "2", "--store", str(store.root)]) == 0
    assert "tiny 7: gone, 0.0 MB" in capsys.readouterr().out
    assert main(["gc", "tiny", "--keep", "2", "--store", str(store.root)]) == 0
    assert capsys.readouterr().out.endswith("nothing to delete\n")


def test_what_a_killed_one_left_goes_too(store: Store) -> None:
    left = store.root / "tiny" / ".leaving-7"
    left.mkdir()
    (left / "model.onnx").write_bytes(b"half")
    assert list(clear(store, "tiny", keep=1).removed) == ["2", "7", "8"]
    assert not left.exists()


def test_a_model_that_was_never_promoted_keeps_its_newest(tmp_path: Path) -> None:
    made = Store(tmp_path)
    for factor in range(1, 4):
        publish(made, float(factor))
    assert clear(made, "tiny", keep=2).kept == dict.fromkeys(("2", "3"), "one of the newest 2")


def test_what_cannot_be_done_is_said(store: Store) -> None:
    with pytest.raises(InvalidInput, match="--keep: expected at least 1, got 0; the newest version always stays"):
        clear(store, "tiny", keep=0)
    with pytest.raises(NotFound, match="models: tiny"):
        clear(store, "tinny", keep=1)


def test_no_champion_is_ever_cleared_away_while_others_promote(store: Store) -> None:
    def promote() -> None:
        for version in ("7", "8", "2") * 3:
            try:
                store.promote("tiny", version, reason="race")
            except StaytrueError:  # cleared away already, or champion already
                continue

    racing = threading.Thread(target=promote)
    racing.start()
    while racing.is_alive():
        clear(store, "tiny", keep=1)
        aliases = store.aliases("tiny")
        assert store.load("tiny", aliases.champion)
    racing.join()


def test_a_version_that_is_published_while_others_are_cleared_away_stays(store: Store) -> None:
    """It appears without the lock that clearing holds, after what is needed was looked for."""
    publishing = store.new_version("tiny")
    version, folder = publishing.__enter__()
    (folder / "model.onnx").write_bytes(b"fresh")

    def needed() -> list[str]:
        publishing.__exit__(None, None, None)
        return ["5"]

    assert list(store.clear("tiny", needed, dry=False)) == ["1", "2", "3", "4", "6", "7", "8", "9"]
    assert store.versions("tiny") == ["5", version] == ["5", "10"]
    assert publish(store, 1.0) == "11"


def test_a_version_that_is_cleared_away_while_it_is_read_is_told_as_gone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of it was read by then: what is missing is no damage."""
    checked, gone = bundles._check_file, list[str]()

    def clearing(*how: Any) -> None:
        if not gone:
            gone.extend(clear(store, "tiny", keep=1).removed)
        checked(*how)

    monkeypatch.setattr(bundles, "_check_file", clearing)
    with pytest.raises(NotFound, match='has no version "8"; versions: 1, 3, 4, 5, 6, 9'):
        store.load("tiny", "8")
    assert "8" in gone
