"""Two servers by turns: each pair's ratio by itself, so that what the machine does meanwhile is done to both."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import pairs
from benchmarks.client import Figures
from benchmarks.pairs import alternate
from benchmarks.windows import Window


def taking(monkeypatch: pytest.MonkeyPatch, *, error: str = "", rate: float = 90.0) -> list[str]:
    """Windows of a machine that is slower in each pair: who was measured, in this order."""
    asked: list[str] = []

    def once(_: Any, server: Any, __: Any, seconds: float) -> Window:
        assert seconds == 0.5
        slower = 1 + len(asked) // 2
        asked.append(server.name)
        mine = {"a": rate, "b": 100.0}[server.name] / slower
        failed = Figures(error=error) if server.name == "a" else Figures(rate=mine)
        return Window(figures=failed if error else Figures(rate=mine), cpu_seconds=1.0, others=0.0)

    monkeypatch.setattr(pairs, "once", once)
    return asked


A: Any = SimpleNamespace(name="a")
B: Any = SimpleNamespace(name="b")
ANY: Any = SimpleNamespace()


def ratio(count: int) -> float | str:
    """Of the two."""
    return alternate(ANY, A, B, ANY, 0.5, count)


def test_pairs_take_turns_and_are_compared_within(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = taking(monkeypatch)
    assert ratio(4) == pytest.approx(0.9)
    assert asked == ["a", "b", "b", "a", "a", "b", "b", "a"]


def test_what_went_wrong_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    taking(monkeypatch, error="WrongAnswer")
    assert ratio(4) == "a: WrongAnswer"
    taking(monkeypatch, rate=0.0)
    assert ratio(4) == "a: no answer"
