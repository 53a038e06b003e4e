"""A store at an address whose listings lag and whose answers are lost: nothing is written over, nobody wins twice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from fsspec.registry import _registry

from staytrue.bundle import SEAL
from staytrue.clearing import clear
from staytrue.errors import Conflict, InvalidConfig, Unavailable
from staytrue.objects import Objects
from staytrue.remote import FRESH_SECONDS, Remote
from staytrue.store import Store
from tests.buckets import Bucket, Memory
from tests.unit.serving.conftest import publish

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADDRESS = "s3://lying/store"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Three versions, the first the champion."""
    monkeypatch.setitem(_registry, "s3", Bucket)
    made = Store(ADDRESS, cache=tmp_path / "maker")
    for factor in (1.0, 2.0, 3.0):
        publish(made, factor)
    made.promote("tiny", "1", reason="first")
    yield made
    Bucket().rm("/lying", recursive=True)


def other(tmp_path: Path, name: str = "other") -> Store:
    """The same store as another machine sees it."""
    return Store(ADDRESS, cache=tmp_path / name)


def test_a_published_version_that_is_not_listed_is_not_written_over(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its files nor its claim are told: its number looks free, and its seal alone shows that it is not."""
    listed, before = Objects.sizes, store.path("tiny", "3").joinpath("model.onnx").read_bytes()

    def lagging(self: Objects, folder: str) -> dict[str, int]:
        found = listed(self, folder)
        return {} if folder == "tiny/3" else {path: size for path, size in found.items() if not path.startswith("3/")}

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "sizes", lagging)
        told = rf"{ADDRESS}/tiny/3: is there, and the store does not list it; try again once it does"
        with pytest.raises(Unavailable, match=told):
            publish(other(tmp_path), 9.0)
    assert store.load("tiny", "3", anew=True).version == "3"
    assert store.path("tiny", "3").joinpath("model.onnx").read_bytes() == before
    assert not Objects(ADDRESS).names("tiny/claims")
    assert publish(other(tmp_path), 9.0) == "4"


def test_a_first_try_whose_answer_was_lost_shows_no_heedless_store(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client sends it again and meets what it wrote itself; marks would then miss whoever uses conditions."""
    del store
    put, lost = Bucket.pipe_file, list[str]()

    def losing(self: Bucket, path: str, value: bytes, mode: str = "overwrite", **how: Any) -> None:
        put(self, path, value, mode=mode, **how)
        if mode == "create" and not lost:
            lost.append(path)
            raise FileExistsError(path)

    monkeypatch.setattr(Bucket, "pipe_file", losing)
    objects = Objects(ADDRESS)
    assert objects.create("tiny/claims/9", b"mine")
    assert (objects._heeds, "/.try-" in lost[0]) == (True, True)
    assert not objects.create("tiny/claims/9", b"theirs")


def test_who_does_not_find_its_own_mark_listed_does_not_take_itself_for_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others' marks may not be told either: both would write."""
    monkeypatch.setitem(_registry, "memory", Memory)
    monkeypatch.setattr("staytrue.objects.WAIT_SECONDS", 0.0)
    objects, names, asked = Objects("memory://lagging"), Objects("memory://lagging").names, list[str]()

    def lagging(folder: str) -> list[str]:
        asked.append(folder)
        if len(asked) == 1:
            Objects("memory://lagging").write("claims/1", b"theirs")  # of one whose mark is not told either
            return []
        return names(folder)

    exists = objects.exists
    monkeypatch.setattr(objects, "names", lagging)
    monkeypatch.setattr(objects, "exists", lambda path: len(asked) > 1 and exists(path))
    assert not objects.create("claims/1", b"mine")
    assert objects.read("claims/1") == b"theirs"
    monkeypatch.setattr(objects, "names", lambda _: [])
    with pytest.raises(Unavailable, match="claims/2: the store does not list what was just written; try again"):
        objects.create("claims/2", b"mine")
    assert not objects.exists("claims/2")
    Memory().rm("/lagging", recursive=True)


def test_nothing_that_an_alias_names_goes_although_who_asks_knows_of_it_too_late(store: Store, tmp_path: Path) -> None:
    """What is needed may be told by an answer of a second ago; the revision that tells what leaves is made on newer."""
    other(tmp_path).promote("tiny", "2", reason="meanwhile")
    assert list(store.clear("tiny", lambda: ["3"], dry=False)) == ["1"]
    assert (store.versions("tiny"), store.load("tiny", "2", anew=True).version) == (["2", "3"], "2")


def test_who_answers_is_known_anew_when_it_was_asked_for_by_anything(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer of a second ago holds until somebody in the process learns of a newer one."""
    monkeypatch.setattr("staytrue.remote.FRESH_SECONDS", 1e9)
    there = other(tmp_path, "reader")
    assert there.aliases("tiny").champion == "1"
    store.promote("tiny", "2", reason="elsewhere")
    assert there.aliases("tiny").champion == "1"
    assert there.versions("tiny") == ["1", "2", "3"]
    assert there.aliases("tiny").champion == "2"
    there.promote("tiny", "3", reason="here")
    assert there.aliases("tiny").champion == "3"
    assert FRESH_SECONDS < 2


def test_a_revision_that_was_deleted_and_made_anew_is_read_anew(store: Store, tmp_path: Path) -> None:
    there = other(tmp_path, "reader")
    store.promote("tiny", "2", reason="wrong")
    assert [change.champion for change in there.journal("tiny")] == ["1", "2"]
    Objects(ADDRESS).delete(["tiny/revisions/00000002.json"])
    assert [change.champion for change in there.journal("tiny")] == ["1"]
    other(tmp_path).promote("tiny", "3", reason="right")
    assert [change.champion for change in there.journal("tiny")] == ["1", "3"]
    assert there.versions("tiny") == ["1", "2", "3"]
    assert there.aliases("tiny").champion == "3"


def test_no_number_is_taken_where_nothing_can_be_made(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidConfig, match="store_cache"):
        publish(Store(ADDRESS, cache=tmp_path / "file"), 4.0)
    assert not Objects(ADDRESS).names("tiny/claims")
    assert publish(store, 4.0) == "4"


def test_a_publisher_whose_clock_is_a_day_late_is_told_what_it_may_be(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = other(tmp_path)
    assert isinstance(late._shelf, Remote)
    monkeypatch.setattr(late._shelf._publishing, "_clock", lambda: time.time() - 90000)

    def publishing() -> None:
        with late.new_version("tiny") as (_, folder):
            (folder / SEAL).write_text("x")
            clear(store, "tiny", keep=9)

    with pytest.raises(Conflict, match=r"publish the version again; .* set the clock of this machine right"):
        publishing()
    assert store.versions("tiny") == ["1", "2", "3"]
