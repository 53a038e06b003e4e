"""What a store said a moment ago holds for a while, unless it is asked anew or forgotten; faults are never kept."""

from __future__ import annotations

import pytest

from staytrue.errors import Unavailable
from staytrue.lately import Lately


class Source:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.now, self.asked, self.down = 100.0, 0, False

    def __call__(self, key: str) -> str:
        """The how-manieth answer it is."""
        self.asked += 1
        if self.down:
            raise Unavailable(key, "is not reached")
        return f"{key} {self.asked}"


@pytest.fixture
def source() -> Source:
    """One that answers."""
    return Source()


@pytest.fixture
def lately(source: Source) -> Lately[str]:
    """Answers hold for two seconds."""
    return Lately(source, 2.0, lambda: source.now)


def test_an_answer_holds_for_a_while(source: Source, lately: Lately[str]) -> None:
    assert [lately.get("a"), lately.get("a"), lately.get("b")] == ["a 1", "a 1", "b 2"]
    source.now += 2.0
    assert lately.get("a") == "a 3"


def test_what_is_asked_anew_is_what_holds_from_then_on(source: Source, lately: Lately[str]) -> None:
    """Who decides by it asks anew, and nobody is then told what is older."""
    assert (lately.get("a"), lately.anew("a"), lately.get("a")) == ("a 1", "a 2", "a 2")
    source.now += 1.9
    assert lately.get("a") == "a 2"
    lately.forget("a")
    assert lately.get("a") == "a 3"


def test_a_clock_that_was_put_back_keeps_nothing_for_long(source: Source, lately: Lately[str]) -> None:
    lately.get("a")
    source.now -= 86400.0
    assert lately.get("a") == "a 2"


def test_a_fault_is_told_and_asked_again(source: Source, lately: Lately[str]) -> None:
    lately.get("a")
    source.now, source.down = source.now + 2.0, True
    for _ in range(2):
        with pytest.raises(Unavailable):
            lately.get("a")
    source.down = False
    assert lately.get("a") == "a 4"


def test_while_one_asks_others_go_on_with_what_was_said(source: Source) -> None:
    """So a store that answers late is asked once, whoever looks."""
    told = list[str]()

    def slow(key: str) -> str:
        if source.asked == 1:
            told.append(held.get(key))
        return source(key)

    held = Lately(slow, 2.0, lambda: source.now)
    held.get("a")
    source.now += 3.0
    assert (held.get("a"), told) == ("a 2", ["a 1"])
