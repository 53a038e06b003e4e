"""The index of many models at an address costs a bounded number of requests, however often it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from fsspec.registry import _registry

from serving.registry import Registry
from serving.runtimes.fake import FakeMaker
from staytrue.errors import Unavailable
from staytrue.objects import Objects
from staytrue.remote import FRESH_SECONDS, LISTED_SECONDS
from staytrue.store import Store
from tests.buckets import Bucket
from tests.unit.serving.conftest import publish
from tests.unit.serving.test_holdings import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODELS = 12


class Counting(Bucket):
    """Counts what it is asked."""

    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    requests: ClassVar[list[str]] = []

    def ls(self, path: str, **how: Any) -> Any:
        """One page of names."""
        self.requests.append(f"ls {path}")
        return super().ls(path, **how)

    def find(self, path: str, **how: Any) -> Any:
        """One page of all below, which an object store gives at once."""
        before = len(self.requests)
        found = super().find(path, **how)
        self.requests[before:] = [f"find {path}"]
        return found

    def cat_file(self, path: str, *how: object, **more: object) -> bytes:
        """An object."""
        self.requests.append(f"cat {path}")
        return super().cat_file(path, *how, **more)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Copies of one model under many names: what is loaded is not the matter here."""
    monkeypatch.setitem(_registry, "s3", Counting)
    made = Store("s3://many/store", cache=tmp_path / "maker")
    made.promote("tiny", publish(made, 2.0), reason="test")
    objects = Objects(made.where)
    for path in objects.sizes("tiny"):
        data = objects.read(f"tiny/{path}") or b""
        for number in range(MODELS - 1):
            objects.write(f"model{number}/{path}", data)
    yield made
    Counting().rm("/many", recursive=True)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Of all stores that are made from now on."""
    now = [1000.0]
    monkeypatch.setattr("staytrue.remote.Remote.__init__.__defaults__", (lambda: now[0],))
    return now


@pytest.fixture
def registry(store: Store, clock: list[float], tmp_path: Path) -> Iterator[Registry]:
    """A server's, which has looked once."""
    del clock
    there = Store(store.where, cache=tmp_path / "server")
    made = Registry(there, [], FakeMaker(Rig(there)._make))
    made.refresh()
    yield made
    made.close()


def counted(work: Any, times: int = 1) -> int:
    """Requests that it takes."""
    Counting.requests.clear()
    for _ in range(times):
        work()
    return len(Counting.requests)


def test_requests_do_not_grow_with_how_often_it_is_asked_for(
    registry: Registry, clock: list[float], store: Store, tmp_path: Path
) -> None:
    assert len({entry.name for entry in registry.index()}) == MODELS
    assert counted(registry.index, times=20) == 0
    clock[0] += FRESH_SECONDS
    assert counted(registry.index, times=20) == 1 + MODELS  # names, and of each who answers
    clock[0] += LISTED_SECONDS
    assert counted(registry.index, times=20) == 1 + 3 * MODELS  # names; who answers, versions, and what of them leaves
    assert counted(registry.refresh) == 0
    clock[0] += FRESH_SECONDS
    assert counted(registry.refresh) == 1 + MODELS
    elsewhere = Store(store.where, cache=tmp_path / "elsewhere")
    publish(elsewhere, 3.0)
    clock[0] += LISTED_SECONDS
    assert [entry.version for entry in registry.index() if entry.name == "tiny"] == ["1", "2"]


def test_a_store_that_is_not_reached_is_asked_once_and_what_is_served_is_told(
    registry: Registry, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, asked = registry.index(), list[str]()

    def refuse(_: object, path: str, **__: object) -> None:
        asked.append(path)
        raise TimeoutError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(Counting, "ls", refuse)
        clock[0] += LISTED_SECONDS
        assert registry.index() == before
        assert len(asked) == 1
        empty = Registry(registry._store, [], registry.make)
        with pytest.raises(Unavailable, match="no answer"):
            empty.index()
