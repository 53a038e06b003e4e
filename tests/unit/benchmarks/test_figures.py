"""The figures that are printed: their ratios, and what they say of what was not measured."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import plan
from benchmarks.client import Figures
from benchmarks.figures import FIGURES
from benchmarks.loads import Load
from benchmarks.peers import PEERS
from benchmarks.plan import Result, names
from benchmarks.windows import Point, Window

BY_NAME = {figure.what: figure for figure in FIGURES}
MORE = BY_NAME["T JSON, requests/s at 32 connections, to MLServer"]
LESS = BY_NAME["T JSON, processor time a request, to a bare call"]


def point(**values: float) -> Point:
    """Medians, of which only some matter."""
    return Point(
        **{"rate": 1.0, "cpu_seconds": 1.0, "p50_seconds": 1.0, "p99_seconds": 1.0, "busy": 0.0, "others": 0.0} | values
    )


def test_a_ratio_is_ours_to_theirs() -> None:
    servers = {"staytrue": point(rate=90.0, to_bare=3.0), "mlserver": point(rate=6.0)}
    results = {"T": Result(points={"json 32": servers}, logged={"json 32": 0.93})}
    assert MORE.measured(results) == pytest.approx(15)
    assert LESS.measured(results) == pytest.approx(3)
    assert BY_NAME["T JSON, requests/s, durable log to none"].measured(results) == pytest.approx(0.93)
    assert BY_NAME["R binary, requests/s, durable log to none"].measured(results) is None


def test_a_windows_processor_time_is_compared_with_the_call_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is half as quick for a while is so for both."""
    slower = iter([1.0, 1.0, 2.0, 2.0])
    now = 1.0

    class Bare:
        """Its calls come before each round, of every size, and before each window, of one row."""

        def ask(self, rows: bytes) -> bytes:
            """The seconds of a call."""
            nonlocal now
            now = next(slower) if rows == b"1" and self.asked % 4 == 3 else now
            self.asked += 1
            return b"%.9f" % (1e-5 * now)

        asked = 0

    def window(*_: Any) -> Window:
        return Window(figures=Figures(answered=1, rate=1.0), cpu_seconds=3e-5 * now, others=0.0)

    monkeypatch.setattr(plan, "once", window)
    plans: Any = SimpleNamespace(windows=3, seconds=1.0)
    server: Any = SimpleNamespace(model=SimpleNamespace(kind="T"))
    who: Any = (None, Bare(), SimpleNamespace(take=window))
    result = Result()
    plan._turns(plans, who, {"staytrue": server}, Load("json", 32), result)
    found = result.points["json 32"]["staytrue"]
    assert found.to_bare == pytest.approx(3)
    assert found.cpu_seconds == pytest.approx(6e-5)


def test_what_was_not_measured_is_said_so() -> None:
    assert LESS.measured({}) is None
    assert LESS.verdict(None) == "not measured"


@pytest.mark.parametrize(("value", "verdict"), [(30, "aim"), (23, "aim"), (22.9, "must"), (15, "must"), (14, "MISSED")])
def test_more_is_better_where_the_aim_is_above(value: float, verdict: str) -> None:
    assert MORE.verdict(value) == verdict


@pytest.mark.parametrize(("value", "verdict"), [(2.0, "aim"), (2.5, "aim"), (4, "must"), (4.1, "MISSED")])
def test_less_is_better_where_the_aim_is_below(value: float, verdict: str) -> None:
    assert LESS.verdict(value) == verdict


def test_what_only_tells_a_cost_has_no_bound_and_is_never_missed() -> None:
    servers = {"staytrue": point(rate=80.0, cpu_seconds=6e-5), "keyed": point(rate=60.0), "fastapi": point(rate=10.0)}
    servers["floor"] = point(cpu_seconds=2e-5, to_bare=2.0)
    own = {"staytrue": point(rate=40.0), "fastapi": point(rate=8.0)}
    results = {"T": Result(points={"json 32": servers, "json 32 ids": own})}
    measured = {figure.what: figure.measured(results) for figure in FIGURES if figure.must is None}
    assert measured["T JSON, requests/s, ids of its own to equal heads"] == pytest.approx(0.5)
    assert measured["T JSON, requests/s, ids of its own to equal heads, FastAPI"] == pytest.approx(0.8)
    assert measured["T JSON, ids of its own, requests/s, to FastAPI, minimal"] == pytest.approx(5)
    assert measured["T JSON, requests/s, with an API key to without"] == pytest.approx(0.75)
    assert measured["T JSON, processor time, answers from memory, to a bare call"] == pytest.approx(2)
    assert measured["T JSON, processor time, to answers from memory"] == pytest.approx(3)
    assert {figure.verdict(0.0) for figure in FIGURES if figure.must is None} == {"told"}


def test_servers_are_chosen_by_name() -> None:
    assert names("", "grpc") == ["staytrue", "unbatched", "unlogged", "keyed", "grpc"]
    assert names("staytrue,kserve", ",".join(PEERS)) == ["staytrue", "kserve"]
    with pytest.raises(ValueError, match="got triton"):
        names("", "triton")
