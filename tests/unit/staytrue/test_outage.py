"""A fault that lasts is told when it begins, then ever more rarely, and when it has ended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from staytrue.errors import CorruptData, Unavailable
from staytrue.outage import Outage, Outages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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


def test_of_several_models_each_has_its_own(logged: Callable[[str], list[str]]) -> None:
    outages = Outages("reading", Clock())
    for name in ("a", "b", "a"):
        outages.failed(name, UNREACHED)
    outages.over("a")
    outages.over("c")
    assert [line.partition(": s3")[0] for line in logged("reading")] == [
        "a: reading fails",
        "b: reading fails",
        "a: reading works again: it failed for 0 s, 2 times",
    ]
