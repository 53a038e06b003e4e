"""A publisher that was stopped for days writes over nobody's version, wherever it was stopped."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from fsspec.registry import _registry

from staytrue.bundle import SEAL
from staytrue.clearing import clear
from staytrue.errors import Conflict, Unavailable
from staytrue.objects import Objects
from staytrue.publishing import ABANDONED_SECONDS
from staytrue.remote import Remote
from staytrue.store import Store
from tests.buckets import Bucket, Heedless, Memory
from tests.unit.serving.conftest import publish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KINDS = {"memory": Memory, "s3": Bucket, "gateway": Heedless}


@pytest.fixture(params=KINDS)
def address(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of a store that is empty, of each kind."""
    kind = KINDS[request.param]
    monkeypatch.setitem(_registry, kind.protocol, kind)
    yield f"{kind.protocol}://stopped/store"
    with contextlib.suppress(FileNotFoundError):
        kind().rm("/stopped", recursive=True)


@pytest.fixture
def store(address: str, tmp_path: Path) -> Store:
    """One version, the champion."""
    made = Store(address, cache=tmp_path / "cache")
    made.promote("tiny", publish(made, 1.0), reason="first")
    return made


def a_day_later(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Somebody clears away what is old, and publishes twice; the versions that are there then."""
    later = Store(address, cache=tmp_path / "later")
    shelf = later._shelf
    assert isinstance(shelf, Remote)
    now = shelf._clock
    with monkeypatch.context() as patch:
        patch.setattr(shelf._publishing, "_clock", lambda: now() + ABANDONED_SECONDS + 1)
        clear(later, "tiny", keep=9)
        for factor in (20.0, 30.0):
            publish(later, factor)
    return " ".join(later.versions("tiny"))


def whole(store: Store) -> list[float]:
    """Every version checked byte by byte; which are there."""
    return [float(store.load("tiny", version, anew=True).version) for version in store.versions("tiny")]


STOPS = {"before it puts up anything": 0, "in the middle": 2, "behind the manifest": 4}


@pytest.mark.parametrize("uploads", STOPS.values(), ids=STOPS)
def test_one_that_goes_on_after_a_day_publishes_nothing_and_writes_over_nobody(
    uploads: int, store: Store, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, sizes, done, seen = Objects.upload, Objects.sizes, [0], list[str]()

    def stop() -> None:
        if done[0] == uploads and not seen:
            seen.append("")
            seen[0] = a_day_later(address, tmp_path, monkeypatch)

    def uploading(self: Objects, file: Path, path: str) -> None:
        if path.startswith("tiny/2/"):
            stop()
            done[0] += 1
        upload(self, file, path)

    def listing(self: Objects, folder: str) -> dict[str, int]:
        if folder == "tiny/2" and done[0]:
            stop()
        return sizes(self, folder)

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "upload", uploading)
        patch.setattr(Objects, "sizes", listing)
        with pytest.raises(Conflict, match=r"tiny/2: is not this publisher's any more: .*publish the version again"):
            publish(store, 2.0)
    assert seen == ["1 3 4"]
    assert whole(store) == [1, 3, 4]
    assert Objects(address).sizes("tiny/2") == {SEAL: 0}
    assert not Objects(address).names("tiny/claims")
    assert publish(store, 5.0) == "5"


def test_one_that_was_stopped_before_it_began_puts_up_nothing(
    store: Store, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number is not given to others, who could be putting up theirs."""
    put = list[str]()

    def stopped(patch: pytest.MonkeyPatch) -> None:
        with store.new_version("tiny") as (version, folder):
            (folder / SEAL).write_text("x")
            (folder / "model.onnx").write_text("mine")
            assert (version, a_day_later(address, tmp_path, monkeypatch)) == ("2", "1 3 4")
            patch.setattr(Objects, "upload", lambda _, __, path: put.append(path))

    with monkeypatch.context() as patch, pytest.raises(Conflict, match="is not this publisher's any more"):
        stopped(patch)
    assert (put, whole(store)) == ([], [1, 3, 4])


def between(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> list[Any]:
    """Have something done between the last look at the claim and the seal."""
    create, done = Objects.create, list[Any]()

    def creating(self: Objects, path: str, data: bytes) -> bool:
        if path == f"tiny/2/{SEAL}" and not done:
            done.append("")
            done[0] = work()
        return create(self, path, data)

    monkeypatch.setattr(Objects, "create", creating)
    return done


def test_one_that_was_stopped_at_its_last_step_is_no_version(
    store: Store, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No look is late enough: the seal itself is what only one of the two can make."""
    done = between(monkeypatch, lambda: a_day_later(address, tmp_path, monkeypatch))
    with pytest.raises(Conflict, match="was given up, or sealed by somebody else"):
        publish(store, 2.0)
    assert done == ["1 3 4"]
    assert whole(store) == [1, 3, 4]
    assert Objects(address).sizes("tiny/2") == {SEAL: 0}


def test_one_that_is_done_at_the_last_moment_stands_whole(
    store: Store, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It seals while it is being given up: it was first, and nothing of it is deleted."""
    create, done = Objects.create, list[str]()

    def creating(self: Objects, path: str, data: bytes) -> bool:
        if path == f"tiny/2/{SEAL}" and data:
            done.append(a_day_later_giving_up())
        return create(self, path, data)

    def a_day_later_giving_up() -> str:
        def sealing(self: Objects, path: str, data: bytes) -> bool:
            if path == f"tiny/2/{SEAL}":
                assert data == b""
                assert create(self, path, next((store.root / "tiny").glob(f".making-*/{SEAL}")).read_bytes())
            return create(self, path, data)

        with monkeypatch.context() as patch:
            patch.setattr(Objects, "create", sealing)
            return a_day_later(address, tmp_path, monkeypatch)

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "create", creating)
        publish(store, 2.0)
    assert done == ["1 2 3 4"]
    assert whole(store) == [1, 2, 3, 4]


def test_what_one_that_was_given_up_still_writes_goes_with_the_next_clearing(
    store: Store, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    between(monkeypatch, lambda: a_day_later(address, tmp_path, monkeypatch))
    with pytest.raises(Conflict):
        publish(store, 2.0)
    Objects(address).write("tiny/2/model.onnx", b"by one that was killed before it could take it away")
    clear(store, "tiny", keep=9)
    assert Objects(address).sizes("tiny/2") == {SEAL: 0}


def test_a_claim_that_was_deleted_is_told(store: Store, address: str) -> None:
    def slow() -> None:
        with store.new_version("tiny") as (version, folder):
            (folder / SEAL).write_text("x")
            Objects(address).delete([f"tiny/claims/{version}"])

    with pytest.raises(Conflict, match="was stopped for a day, or its claim was deleted; publish the version again"):
        slow()
    assert store.versions("tiny") == ["1"]


def test_a_claim_that_was_never_written_to_its_end_is_of_one_that_was_killed(store: Store, address: str) -> None:
    Objects(address).write("tiny/claims/2", b'{"wri')
    assert publish(store, 2.0) == "3"
    clear(store, "tiny", keep=9)
    assert not Objects(address).names("tiny/claims")
    assert store.versions("tiny") == ["1", "3"]


def test_a_version_whose_claim_cannot_be_deleted_any_more_is_published(
    store: Store, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = Objects.delete

    def refuse(self: Objects, paths: Any) -> None:
        named = [*paths]
        if named == ["tiny/claims/2"]:
            raise Unavailable(address, "cannot be reached")
        delete(self, named)

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "delete", refuse)
        assert publish(store, 2.0) == "2"
    assert a_day_later(address, tmp_path, monkeypatch) == "1 2 3 4"
    assert not Objects(address).names("tiny/claims")


@pytest.mark.parametrize("arrived", [True, False], ids=["it arrived", "it may arrive late"])
def test_a_seal_whose_answer_is_lost_stands_or_never_will(
    arrived: bool, store: Store, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, late = Objects.create, list[bytes]()

    def lost(self: Objects, path: str, data: bytes) -> bool:
        if path == f"tiny/2/{SEAL}" and data:
            late.append(data)
            if arrived:
                create(self, path, data)
            raise Unavailable(address, "gave no answer")
        return create(self, path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "create", lost)
        if arrived:
            assert publish(store, 2.0) == "2"
        else:
            with pytest.raises(Unavailable, match="gave no answer"):
                publish(store, 2.0)
            assert not create(Objects(address), f"tiny/2/{SEAL}", late[0])
    assert whole(store) == ([1, 2] if arrived else [1])
    assert not Objects(address).names("tiny/claims")
    assert publish(store, 3.0) == "3"


def test_a_number_that_somebody_finished_in_between_is_not_taken(
    store: Store, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was claimed and let go again between the look at what is there and the claim."""
    create, once = Objects.create, list[str]()

    def creating(self: Objects, path: str, data: bytes) -> bool:
        if path == "tiny/claims/2" and not once:
            once.append(path)
            publish(Store(address, cache=store.root / "other"), 2.0)
        return create(self, path, data)

    monkeypatch.setattr(Objects, "create", creating)
    assert publish(store, 3.0) == "3"
    assert whole(store) == [1, 2, 3]


def test_a_number_that_was_published_and_cleared_away_in_between_is_not_given_again(
    store: Store, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is left, neither files nor claim: that others went past it shows that it was somebody's."""
    create, seen = Objects.create, list[str]()

    def creating(self: Objects, path: str, data: bytes) -> bool:
        if path == "tiny/claims/2" and not seen:
            seen.append(path)
            there = Store(address, cache=tmp_path / "quick")
            seen.extend(publish(there, factor) for factor in (20.0, 30.0))
            seen.extend(clear(there, "tiny", keep=1).removed)
        return create(self, path, data)

    monkeypatch.setattr(Objects, "create", creating)
    assert publish(store, 2.0) == "4"
    assert seen == ["tiny/claims/2", "2", "3", "2"]
    assert whole(store) == [1, 3, 4]
    assert not Objects(address).names("tiny/claims")


def test_others_that_claim_all_the_time_are_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Objects, "create", lambda *_: False)
    with pytest.raises(Unavailable, match="others claim its versions all the time; try again"):
        publish(store, 2.0)
