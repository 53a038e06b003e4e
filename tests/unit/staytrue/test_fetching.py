"""Copying a store: only what is proven comes in, aliases last, and faults say what to do."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import fsspec
import pytest

from staytrue import fetching
from staytrue.claims import claim
from staytrue.command import main
from staytrue.errors import Conflict, CorruptData, InvalidConfig, NotFound, Unavailable
from staytrue.fetching import fetch
from staytrue.store import Store
from tests.unit.serving.conftest import publish

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def source(tmp_path: Path) -> Store:
    """Two versions, the second the champion."""
    made = Store(tmp_path / "source")
    for factor in (1.0, 2.0):
        made.promote("tiny", publish(made, factor), reason="test")
    return made


def test_a_store_is_copied_with_who_answers_and_why(source: Store, tmp_path: Path) -> None:
    assert fetch(str(source.root), tmp_path / "target") == {"tiny": ["1", "2"]}
    target = Store(tmp_path / "target")
    assert (target.versions("tiny"), target.aliases("tiny").champion) == (["1", "2"], "2")
    assert target.journal("tiny") == source.journal("tiny")
    assert [path.name for path in target.root.iterdir()] == ["tiny"]


def test_an_object_store_is_read_by_its_address(source: Store, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(source.root) + "/", "/bucket/store/", recursive=True)
    try:
        assert fetch("memory://bucket/store", tmp_path / "target") == {"tiny": ["1", "2"]}
        assert Store(tmp_path / "target").load("tiny", "2").version == "2"
    finally:
        memory.rm("/bucket", recursive=True)


def test_a_second_copy_takes_what_is_new(source: Store, tmp_path: Path) -> None:
    fetch(str(source.root), tmp_path / "target")
    source.promote("tiny", publish(source, 3.0), reason="better")
    assert fetch(str(source.root), tmp_path / "target") == {"tiny": ["3"]}
    assert Store(tmp_path / "target").aliases("tiny").champion == "3"


def test_a_changed_version_keeps_the_champion_that_was_there(source: Store, tmp_path: Path) -> None:
    fetch(str(source.root), tmp_path / "target")
    source.promote("tiny", publish(source, 3.0), reason="better")
    (source.path("tiny", "3") / "model.onnx").write_bytes(b"changed")
    with pytest.raises(CorruptData, match=r"model\.onnx"):
        fetch(str(source.root), tmp_path / "target")
    target = Store(tmp_path / "target")
    assert (target.versions("tiny"), target.aliases("tiny").champion) == (["1", "2"], "2")


def test_an_unknown_kind_of_address_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="install the package that reads this kind of address"):
        fetch("nothing-like-it://bucket/store", tmp_path)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is not there"):
        fetch(str(tmp_path / "none"), tmp_path / "target")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="holds no model; expected NAME/VERSION"):
        fetch(str(tmp_path / "empty"), tmp_path / "target")


def test_a_store_that_cannot_be_read_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("no credentials")

    monkeypatch.setattr(fsspec.implementations.memory.MemoryFileSystem, "ls", refuse)
    with pytest.raises(Unavailable, match="PermissionError: no credentials"):
        fetch("memory://bucket/store", tmp_path / "target")
    monkeypatch.setattr("staytrue.folder.Folder.models", refuse)
    with pytest.raises(Unavailable, match="PermissionError: no credentials"):
        fetch(str(tmp_path), tmp_path / "target")


def test_two_that_copy_the_same_versions_at_once_each_leave_them_whole(
    source: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have copied all before either gives it its place: who is second discards its own."""
    gate, came, copied = threading.Barrier(2), list[dict[str, list[str]]](), fetching._copied

    def together(*how: Any) -> Path | None:
        made = copied(*how)
        gate.wait(20)
        return made

    monkeypatch.setattr(fetching, "_copied", together)
    work = [
        threading.Thread(target=lambda: came.append(fetch(str(source.root), tmp_path / "target"))) for _ in range(2)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert sorted(version for fetched in came for version in fetched["tiny"]) == ["1", "2"]
    target = Store(tmp_path / "target")
    assert [target.load("tiny", version).version for version in target.versions("tiny")] == ["1", "2"]
    assert (target.aliases("tiny"), target.journal("tiny")) == (source.aliases("tiny"), source.journal("tiny"))
    assert [path for path in (target.root / "tiny").rglob("*") if path.is_dir() and path.parent.name != "tiny"] == []
    assert [path.name for path in target.root.iterdir()] == ["tiny"]


def test_what_changes_at_the_source_while_it_is_copied_comes_too(
    source: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied, once = fetching._copied, list[str]()

    def going_on(*how: Any) -> Path | None:
        if not once:
            once.append(publish(source, 3.0))
            source.promote("tiny", "3", reason="meanwhile")
        return copied(*how)

    monkeypatch.setattr(fetching, "_copied", going_on)
    assert fetch(str(source.root), tmp_path / "target") == {"tiny": ["1", "2", "3"]}
    assert Store(tmp_path / "target").aliases("tiny").champion == "3"


def test_a_version_that_is_cleared_away_meanwhile_is_left_out(
    source: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, path = Store.versions, Store.path
    gone = list[str]()

    def leaving(self: Store, name: str, version: str) -> Path:
        if version == "1" and self.where == source.where:
            gone.append(version)
            raise NotFound('model "tiny"', "version 1 is being deleted")
        return path(self, name, version)

    monkeypatch.setattr(Store, "path", leaving)
    monkeypatch.setattr(Store, "versions", lambda self, name: [each for each in listed(self, name) if each not in gone])
    assert fetch(str(source.root), tmp_path / "target") == {"tiny": ["2"]}


def test_what_a_killed_one_left_goes_with_the_next(source: Store, tmp_path: Path) -> None:
    for name in ("dead", "alive"):
        (tmp_path / "target" / f".fetching-{name}" / "tiny" / "1").mkdir(parents=True)
    alive = claim(tmp_path / "target" / ".fetching-alive")
    try:
        fetch(str(source.root), tmp_path / "target")
    finally:
        os.close(alive)
    assert sorted(path.name for path in (tmp_path / "target").iterdir()) == [".fetching-alive", "tiny"]


def test_a_publisher_whose_number_was_fetched_meanwhile_is_told(source: Store, tmp_path: Path) -> None:
    target = Store(tmp_path / "target")
    (tmp_path / "target").mkdir()

    def publishing() -> None:
        with target.new_version("tiny") as (version, folder):
            (folder / "model.onnx").write_bytes(b"mine")
            assert (version, fetch(str(source.root), target.root)) == ("1", {"tiny": ["1", "2"]})

    with pytest.raises(Conflict, match="tiny/1: was taken in from elsewhere meanwhile; publish the version again"):
        publishing()
    assert target.load("tiny", "1").version == "1"
    assert publish(target, 3.0) == "3"


def test_the_command_says_what_came(source: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["fetch", str(source.root), "--store", str(tmp_path / "target")]
    assert (main(arguments), main(arguments)) == (0, 0)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "tiny: new versions 1, 2; champion 2"
    assert second == "tiny: nothing new; champion 2"
    assert main(["fetch", str(tmp_path / "none"), "--store", str(tmp_path)]) == 1


def test_a_folder_whose_claim_another_took_is_made_anew(
    source: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another fetch may find it before it is claimed, and delete it as one of the dead."""
    turns: list[Path] = []

    def late(folder: Path) -> int:
        turns.append(folder)
        if len(turns) == 1:
            raise BlockingIOError
        held = claim(folder)
        if len(turns) == 2:
            folder.rmdir()
        return held

    monkeypatch.setattr(fetching, "claim", late)
    assert fetch(str(source.root), tmp_path / "target") == {"tiny": ["1", "2"]}
    assert len(turns) == 3


def test_verify_passes_over_what_is_cleared_away_meanwhile(
    source: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed, load, gone = Store.versions, Store.load, list[str]()

    def leaving(self: Store, name: str, version: str, *, anew: bool = False) -> Any:
        if version == "1":
            gone.append(version)
            raise NotFound('model "tiny"', 'has no version "1"')
        return load(self, name, version, anew=anew)

    monkeypatch.setattr(Store, "load", leaving)
    monkeypatch.setattr(Store, "versions", lambda self, name: [each for each in listed(self, name) if each not in gone])
    assert main(["verify", "tiny", "--store", str(source.root)]) == 0
    assert "tiny 1" not in capsys.readouterr().out
    assert main(["verify", "tiny", "1", "--store", str(source.root)]) == 1
