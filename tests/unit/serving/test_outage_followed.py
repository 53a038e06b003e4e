"""A store that is not reached for hours leaves a few lines in the log, and the server goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.follower import Follower
from serving.registry import Registry
from serving.runtimes.fake import FakeMaker
from staytrue.errors import Unavailable
from tests.unit.serving.grpc_house import until
from tests.unit.serving.test_holdings import Rig
from tests.unit.staytrue.test_outage import UNREACHED, Clock, logged

__all__ = ["logged"]

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from staytrue.store import Store


def test_a_follower_tells_of_an_outage_when_it_begins_and_ends(
    store: Store, logged: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, looks, down = Registry(store, [], FakeMaker(Rig(store)._make)), [0], [False]
    refresh = registry.refresh

    def look() -> None:
        looks[0] += 1
        if down[0]:
            raise UNREACHED
        refresh()

    monkeypatch.setattr(registry, "refresh", look)
    clock = Clock()
    follower = Follower(registry, 0.001, clock)

    def wait(times: int) -> None:
        sofar = looks[0]
        until(lambda: looks[0] >= sofar + times)

    try:
        assert follower.first(lambda: False)
        down[0] = True
        wait(20)
        clock.now += 90.0
        wait(20)
        down[0] = False
        wait(5)
    finally:
        follower.end()
        registry.close()
    told = logged("looking for new versions")
    assert len(told) == 3
    assert told[0].endswith(" fails: s3://models/store: cannot be reached; what is loaded keeps serving")
    assert " fails for 90 s, " in told[1]
    assert " works again: it failed for 90 s, " in told[2]


def test_models_that_are_named_tell_of_it_once_each_whatever_words_it_has(
    store: Store, logged: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages of a client often hold what is new each time: the number of a request, a port."""
    clock = Clock()
    registry = Registry(store, ["tiny"], FakeMaker(Rig(store)._make), clock)
    registry.refresh()
    looks = [0]

    def refuse(*_: object) -> None:
        looks[0] += 1
        raise Unavailable("s3://models/store", f"cannot be reached: request {looks[0]}")

    with monkeypatch.context() as patch:
        patch.setattr("staytrue.folder.Folder.standing", refuse)
        for _ in range(10):
            registry.refresh()
            clock.now += 1.0
    registry.refresh()
    assert logged("who answers") == [
        "tiny: reading who answers fails: s3://models/store: cannot be reached: request 1",
        "tiny: reading who answers works again: it failed for 10 s, 10 times",
    ]
    registry.close()
