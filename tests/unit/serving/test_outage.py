"""A store that is not reached for hours leaves a few lines in the log, and the server goes on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from serving.follower import Follower
from serving.outage import Outage
from serving.registry import Registry
from serving.runtimes.fake import FakeMaker
from staytrue.errors import CorruptData, Unavailable
from tests.unit.serving.grpc_house import until
from tests.unit.serving.test_holdings import Rig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from staytrue.store import Store

UNREACHED = Unavailable("s3://models/store", "cannot be reached")


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[str], list[str]]]:
    """Lines that are logged, of those that hold a text."""
    with caplog.at_level(logging.INFO):
        yield lambda part: [line for line in caplog.messages if part in line]


def test_a_day_of_an_outage_is_told_in_lines_that_grow_rare(logged: Callable[[str], list[str]]) -> None:
    clock = Clock()
    outage = Outage("looking", "others go on", clock)
    for _ in range(86400 // 2):
        outage.failed(UNREACHED)
        clock.now += 2.0
    lines = logged("looking")
    assert len(lines) == 7 + 22  # at 0, 1, 3, 7, 15, 31 and 63 minutes, then once an hour
    assert lines[0] == "looking fails: s3://models/store: cannot be reached; others go on"
    assert lines[1] == "looking fails for 60 s, 31 times by now: s3://models/store: cannot be reached; others go on"
    outage.over()
    outage.over()
    outage.failed(UNREACHED)
    assert logged("looking")[29:] == ["looking works again: it failed for 86400 s, 43200 times", lines[0]]


def test_a_fault_of_another_kind_is_told_at_once_and_each_kind_once(logged: Callable[[str], list[str]]) -> None:
    outage = Outage("looking", clock=Clock())
    for _ in range(5):
        outage.failed(UNREACHED)
        outage.failed(CorruptData("revisions/1", "is no record"))
    assert [line.rpartition(": ")[2] for line in logged("looking")] == ["cannot be reached", "is no record"]


def test_a_fault_of_our_own_is_told_with_where_it_came_from(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    outage = Outage("looking", "others go on", clock)
    for _ in range(2):
        outage.failed(ZeroDivisionError("one"))
        clock.now += 61.0
    assert [record.exc_info is not None for record in caplog.records] == [True, False]


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
