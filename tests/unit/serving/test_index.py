"""The repository: what there is and why, models unloaded and loaded on request."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from serving.registry import Entry, Registry
from serving.runtimes.fake import FakeMaker
from staytrue.errors import CorruptData, NotFound, Unavailable
from tests.unit.serving.test_holdings import Rig, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from serving.runtimes.base import Runtime
    from staytrue.signature import Signature
    from staytrue.store import Store


@pytest.fixture
def rig(store: Store, publishing: Callable[..., str]) -> Iterator[Rig]:
    """Version 1 answers; 2 and 3 are there."""
    for factor in (3.0, 4.0):
        publishing(factor)
    made = Rig(store)
    made.registry.refresh()
    yield made
    made.registry.close()


def states(registry: Registry) -> dict[str, str]:
    """State by version."""
    return {entry.version: entry.state for entry in registry.index()}


def reason(registry: Registry, version: str) -> str:
    """Why a version is in its state."""
    return next(entry.reason for entry in registry.index() if entry.version == version)


def test_the_index_tells_of_each_version_in_the_store(rig: Rig) -> None:
    rig.broken = {"3"}
    rig.follow(champion="1", shadow="3")
    rest = "is not in memory: loaded when it is named or promoted"
    assert rig.registry.index() == [
        Entry("tiny", "1", "READY"),
        Entry("tiny", "2", "UNAVAILABLE", rest),
        Entry("tiny", "3", "UNAVAILABLE", "version 3: is broken"),
    ]


def test_a_version_whose_runtime_is_gone_is_not_ready(rig: Rig) -> None:
    rig.made[0][1].well = False
    assert rig.registry.index()[0] == Entry("tiny", "1", "UNAVAILABLE", "what runs it is not there just now")


def test_a_version_is_loading_while_it_loads(rig: Rig) -> None:
    begun, go_on = threading.Event(), threading.Event()
    make = rig._make

    def slowly(path: Path, signature: Signature) -> Runtime:
        begun.set()
        assert go_on.wait(10)
        return make(path, signature)

    rig.registry._loader._make = FakeMaker(slowly)
    loading = threading.Thread(target=rig.follow, kwargs={"champion": "2"})
    loading.start()
    assert begun.wait(10)
    assert states(rig.registry) == {"1": "READY", "2": "LOADING", "3": "UNAVAILABLE"}
    go_on.set()
    loading.join()
    assert states(rig.registry)["2"] == "READY"


def test_a_model_that_is_served_and_not_in_the_store_is_told_too(rig: Rig) -> None:
    registry = Registry(rig.store, ["tiny", "later"], FakeMaker(rig._make))
    registry.refresh()
    assert registry.index()[0].name == "later"
    assert registry.index()[0].state == "UNAVAILABLE"
    assert 'model "later": is not in the store' in registry.index()[0].reason
    registry.close()


def test_an_unloaded_model_is_freed_after_its_last_call_and_refuses_others(rig: Rig) -> None:
    lease = rig.lease()
    rig.registry.unload("tiny")
    assert states(rig.registry) == {"1": "UNLOADING", "2": "UNAVAILABLE", "3": "UNAVAILABLE"}
    rig.registry.release([lease])
    until(lambda: rig.order == ["lane 1", "runtime 1"])
    until(lambda: states(rig.registry)["1"] == "UNAVAILABLE")
    assert reason(rig.registry, "1") == "was unloaded"
    with pytest.raises(Unavailable, match="was unloaded; have it loaded through the repository API"):
        rig.registry.lease("tiny", None)
    with pytest.raises(Unavailable, match="was unloaded"):
        rig.registry.pin("tiny", "2")


def test_an_unloaded_model_stays_so_until_it_is_loaded_and_the_server_is_ready(rig: Rig) -> None:
    rig.registry.unload("tiny")
    rig.follow(champion="2")
    assert len(rig.made) == 1
    assert rig.registry.ready()
    assert rig.registry.names() == ["tiny"]
    assert rig.registry.versions() == {"tiny": []}
    rig.registry.load("tiny")
    assert rig.answers() == {("2", "champion", None)}
    rig.follow(champion="3")
    assert rig.answers() == {("3", "champion", None)}


def test_a_load_loads_anew_what_is_in_memory_and_frees_the_old(rig: Rig) -> None:
    rig.follow(champion="1", challenger="2", traffic={"2": 0.5})
    lease = rig.lease()
    rig.registry.load("tiny")
    assert [version for version, _ in rig.made] == ["1", "2", "1", "2"]
    assert lease.loaded.retired
    rig.registry.release([lease])
    until(lambda: len(rig.order) == 4)
    assert [runtime.closed for _, runtime in rig.made] == [True, True, False, False]


def test_a_load_that_fails_says_why_and_leaves_what_answers(rig: Rig) -> None:
    rig.broken = {"1"}
    with pytest.raises(CorruptData, match="version 1: is broken"):
        rig.registry.load("tiny")
    assert rig.answers() == {("1", "champion", None)}
    rig.broken = set()
    rig.registry.load("tiny")
    assert rig.registry.model("tiny").refused == {}


def test_a_load_of_an_unloaded_model_that_fails_leaves_it_unloaded(rig: Rig) -> None:
    rig.registry.unload("tiny")
    rig.broken = {"1"}
    with pytest.raises(CorruptData, match="version 1: is broken"):
        rig.registry.load("tiny")
    assert rig.registry.ready()
    until(lambda: states(rig.registry)["1"] == "UNAVAILABLE")
    assert reason(rig.registry, "1") == "version 1: is broken"


def test_aliases_that_cannot_be_read_are_a_reason_too(rig: Rig) -> None:
    (rig.store.root / "tiny" / "aliases.json").write_text("{")
    with pytest.raises(CorruptData, match="is no Aliases record"):
        rig.registry.load("tiny")
    assert rig.answers() == {("1", "champion", None)}
    assert "is no Aliases record" in reason(rig.registry, "2")


@pytest.mark.parametrize("what", ["load", "unload"])
def test_a_model_that_is_not_served_here_cannot_be_loaded_or_unloaded(rig: Rig, what: str) -> None:
    with pytest.raises(NotFound, match="is not served here; models: tiny"):
        getattr(rig.registry, what)("other")


def test_a_version_named_while_its_model_is_unloaded_is_freed_again(rig: Rig) -> None:
    make = rig._make

    def meanwhile(path: Path, signature: Signature) -> Runtime:
        rig.registry.unload("tiny")
        return make(path, signature)

    rig.registry._loader._make = FakeMaker(meanwhile)
    with pytest.raises(Unavailable, match="was unloaded"):
        rig.registry.pin("tiny", "2")
    until(lambda: sorted(rig.order) == ["lane 1", "lane 2", "runtime 1", "runtime 2"])
    assert rig.registry.versions() == {"tiny": []}
