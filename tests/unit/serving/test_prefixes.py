"""What stands before each answer: the date as HTTP writes it, taken anew each second."""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING

from serving.http import prefixes

if TYPE_CHECKING:
    import pytest

DAY = 86400


def test_a_date_is_what_the_standard_library_makes_of_it() -> None:
    """Each day and month, leap years and their ends, and times up to the year 9999."""
    times = [*range(0, 800 * DAY, DAY // 3 + 61), 951782399, 951782400, 4107542399, 253402300799, 0.999]
    assert len({prefixes.date_of(each)[:16] for each in times}) > 800
    assert [prefixes.date_of(each).decode() for each in times] == [formatdate(each, usegmt=True) for each in times]


def test_answers_of_the_next_second_have_its_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 784111777.9)
    made = prefixes.Prefixes()
    first = made.make(200, b"text/plain")
    assert b"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" in first
    made.renew()
    assert made.made == {(200, b"text/plain"): first}
    monkeypatch.setattr("time.time", lambda: 784111778.0)
    made.renew()
    assert made.made == {}
    assert b"08:49:38 GMT" in made.make(200, b"text/plain")
