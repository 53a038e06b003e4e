"""Two servers by turns: each pair's ratio by itself, so that what the machine does meanwhile is done to both."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.client import Figures
from benchmarks.pairs import alternate
from benchmarks.windows import Window

A: Any = SimpleNamespace(name="a")
B: Any = SimpleNamespace(name="b")
ANY: Any = SimpleNamespace()


def ratio(asked: list[str], *, error: str = "", rate: float = 90.0) -> float | str:
    """Of two servers, on a machine that is slower in each pair; who was measured, in this order, is put into a list."""

    def take(_: Any, server: Any, __: Any, seconds: float) -> Window:
        assert seconds == 0.5
        slower = 1 + len(asked) // 2
        asked.append(server.name)
        mine = {"a": rate, "b": 100.0}[server.name] / slower
        failed = Figures(error=error) if server.name == "a" else Figures(rate=mine)
        return Window(figures=failed if error else Figures(rate=mine), cpu_seconds=1.0, others=0.0)

    some: Any = SimpleNamespace(take=take)
    return alternate((ANY, some), (A, B), ANY, 0.5, 4)


def test_pairs_take_turns_and_are_compared_within() -> None:
    asked: list[str] = []
    assert ratio(asked) == pytest.approx(0.9)
    assert asked == ["a", "b", "b", "a", "a", "b", "b", "a"]


def test_what_went_wrong_is_told() -> None:
    assert ratio([], error="WrongAnswer") == "a: WrongAnswer"
    assert ratio([], rate=0.0) == "a: no answer"
