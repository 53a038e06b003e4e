"""What others clear away, sign or publish while a store is copied or read: told or done again, never mixed up."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fsspec.registry import _registry

from staytrue import bundle as bundles
from staytrue import fetching
from staytrue.bundle import SEAL
from staytrue.clearing import clear
from staytrue.copies import Copies
from staytrue.errors import Conflict, CorruptData, NotFound, Unavailable
from staytrue.fetching import fetch
from staytrue.folder import Folder
from staytrue.objects import Objects
from staytrue.store import Store
from tests.buckets import Bucket
from tests.unit.serving.conftest import publish
from tests.unit.staytrue.test_signing import pair

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "s3://meanwhile/store"


@pytest.fixture
def source(tmp_path: Path) -> Store:
    """Four versions in a folder, the first the champion."""
    return made(Store(tmp_path / "source"))


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The same at an address."""
    monkeypatch.setitem(_registry, "s3", Bucket)
    yield made(Store(ADDRESS, cache=tmp_path / "maker"))
    Bucket().rm("/meanwhile", recursive=True)


def made(store: Store) -> Store:
    """With four versions, the first the champion."""
    for factor in (1.0, 2.0, 3.0, 4.0):
        publish(store, factor)
    store.promote("tiny", "1", reason="first")
    return store


def test_a_version_that_the_target_clears_away_while_it_is_fetched_comes_again(
    source: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was there when the source was looked through, and nobody's part here; the aliases that come name it."""
    target, take_in, gone = tmp_path / "target", Folder.take_in, list[str]()
    fetch(str(source.root), target)
    source.promote("tiny", "2", reason="better")

    def clearing(self: Folder, *how: Any) -> list[str] | None:
        if not gone:
            gone.extend(clear(Store(target), "tiny", keep=1).removed)
        return take_in(self, *how)

    monkeypatch.setattr(Folder, "take_in", clearing)
    assert fetch(str(source.root), target) == {"tiny": ["2", "3"]}
    assert (gone, Store(target).aliases("tiny").champion) == (["2", "3"], "2")
    assert Store(target).load("tiny", "2").version == "2"


def test_a_folder_that_the_source_clears_away_while_it_is_copied_is_left_out(
    source: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copytree, gone = shutil.copytree, list[str]()

    def clearing(path: Path, copied: Path) -> Any:
        def copy(one: str, two: str) -> str:
            if not gone:
                gone.extend(clear(source, "tiny", keep=1).removed)
            return shutil.copy2(one, two)

        return copytree(path, copied, copy_function=copy if path.name == "2" else shutil.copy2)

    monkeypatch.setattr("staytrue.fetching.shutil.copytree", clearing)
    assert fetch(str(source.root), tmp_path / "target") == {"tiny": ["1", "4"]}
    assert gone == ["2", "3"]


def test_a_folder_that_cannot_be_copied_is_told_with_both_places(
    source: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise shutil.Error("No space left on device")

    monkeypatch.setattr("staytrue.fetching.shutil.copytree", full)
    with pytest.raises(Unavailable, match=rf"^{source.where}/tiny/1: cannot be copied to {tmp_path}/target/.*No space"):
        fetch(str(source.root), tmp_path / "target")


@pytest.mark.parametrize("left", [0, 1, 9], ids=["its seal is gone", "one file more", "all of it"])
def test_a_version_that_an_address_clears_away_while_it_is_copied_is_told_as_that(
    left: int, address: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seal goes first, also before the rest was listed: what is left is no broken version."""
    take, gone = Copies._take, list[str]()

    def clearing(self: Copies, name: str, version: str) -> None:
        if version == "2" and not gone:
            files = sorted(Objects(ADDRESS).sizes("tiny/2"), key=lambda file: file != SEAL)
            gone.extend(files[: left + 1])
            Objects(ADDRESS).delete(f"tiny/2/{file}" for file in gone)
        take(self, name, version)

    monkeypatch.setattr(Copies, "_take", clearing)
    with pytest.raises(NotFound, match='model "tiny": version 2 is being deleted'):
        Store(ADDRESS, cache=tmp_path / "reader").load("tiny", "2")
    assert gone[0] == SEAL
    assert fetch(ADDRESS, tmp_path / "target") == {"tiny": ["1", "3", "4"]}
    with pytest.raises(NotFound, match="versions: 1, 3, 4"):
        address.load("tiny", "2")


def test_a_copy_that_others_take_anew_meanwhile_is_looked_at_again(
    address: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``staytrue verify`` takes the copy away that a server of the same user is reading."""
    address.versions("tiny")
    server, verify = (Store(ADDRESS, cache=tmp_path / "shared") for _ in range(2))
    server.load("tiny", "1")
    load, turns = bundles.load, list[Path]()

    def meanwhile(folder: Path, keys: Path | None = None) -> Any:
        turns.append(folder)
        if len(turns) > 1:
            return load(folder, keys)
        verify._shelf.forget("tiny", "1")
        try:
            return load(folder, keys)
        finally:
            verify.path("tiny", "1")

    monkeypatch.setattr(bundles, "load", meanwhile)
    assert server.load("tiny", "1").version == "1"
    assert len(turns) > 1


def test_another_version_of_the_same_number_is_not_taken_for_the_sources(source: Store, tmp_path: Path) -> None:
    """The aliases that come name numbers: its own version 1 would answer as the source's champion."""
    target = Store(tmp_path / "target")
    target.promote("tiny", publish(target, 7.0), reason="of its own")
    with pytest.raises(Conflict, match=rf"^{target.where}/tiny/1: is another version .*fetch into a store of its own"):
        fetch(str(source.root), target.root)
    assert (target.versions("tiny"), target.journal("tiny")[0].reason) == (["1"], "of its own")


def test_another_version_that_is_published_while_it_is_fetched_is_not_either(
    source: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in, target = Folder.take_in, Store(tmp_path / "target")
    fetch(str(source.root), target.root)
    source.promote("tiny", publish(source, 5.0), reason="next")

    def publishing(self: Folder, *how: Any) -> list[str] | None:
        assert publish(target, 7.0) == "5"
        return take_in(self, *how)

    monkeypatch.setattr(Folder, "take_in", publishing)
    with pytest.raises(Conflict, match="/tiny/5: is another version than the one of that number, expected that of"):
        fetch(str(source.root), target.root)
    assert target.aliases("tiny").champion == "1"


def test_a_signature_that_is_made_later_comes_too_and_one_of_its_own_stays(source: Store, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    (key, trusted), (own, mine) = pair(tmp_path, "ours"), pair(tmp_path, "own")
    fetch(str(source.root), tmp_path / "target")
    with pytest.raises(CorruptData, match="is not signed"):
        Store(tmp_path / "target", trusted).load("tiny", "1")
    Store(tmp_path / "target").sign("tiny", "2", own)
    for version in ("1", "2"):
        source.sign("tiny", version, key)
    assert fetch(str(source.root), tmp_path / "target") == {"tiny": []}
    assert Store(tmp_path / "target", trusted).load("tiny", "1").version == "1"
    assert Store(tmp_path / "target", mine).load("tiny", "2").version == "2"


def test_a_version_that_goes_while_its_seal_is_compared_is_fetched(source: Store, tmp_path: Path) -> None:
    """And no folder is left in its place that holds a signature alone."""
    there = Folder(tmp_path / "target")
    fetch(str(source.root), tmp_path / "target")
    shutil.rmtree(tmp_path / "target" / "tiny" / "3")
    assert not there.keep("tiny", "3", b"seal", b"signature")
    assert there.versions("tiny") == ["1", "2", "4"]
    assert fetching.fetch(str(source.root), tmp_path / "target") == {"tiny": ["3"]}
