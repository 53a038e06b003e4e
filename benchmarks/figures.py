"""The figures that the server must reach, and those it aims at: each a ratio or a difference within one run.

Some have neither: they tell what something costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.servers import TITLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.plan import Result

    Results = dict[str, Result]
    """By model."""


@dataclass(frozen=True)
class Figure:
    """One of them."""

    what: str
    must: float | None
    aim: float | None
    value: Callable[[Results], float]
    """Raises KeyError where a part of it was not measured."""
    unit: str = "x"

    def measured(self, results: Results) -> float | None:
        """Its value, or None."""
        try:
            return self.value(results)
        except (KeyError, ZeroDivisionError):
            return None

    def verdict(self, value: float | None) -> str:
        """Whether it is reached; more is better where the aim is above what must be."""
        if value is None:
            return "not measured"
        if self.must is None or self.aim is None:
            return "told"
        sign = 1 if self.aim > self.must else -1
        if sign * value >= sign * self.aim:
            return "aim"
        return "must" if sign * value >= sign * self.must else "MISSED"


def _rate(model: str, point: str, beside: str) -> Callable[[Results], float]:
    def value(results: Results) -> float:
        points = results[model].points[point]
        return points["staytrue"].rate / points[beside].rate

    return value


def _cpu(model: str, point: str, server: str) -> Callable[[Results], float]:
    return lambda results: results[model].points[point][server].to_bare


def _logged(model: str, point: str) -> Callable[[Results], float]:
    return lambda results: results[model].logged[point]


def _to_equal_heads(server: str) -> Callable[[Results], float]:
    """The rate under requests with ids of their own, to that under equal heads."""

    def value(results: Results) -> float:
        points = results["T"].points
        return points["json 32 ids"][server].rate / points["json 32"][server].rate

    return value


def _to_floor(results: Results) -> float:
    points = results["T"].points["json 32"]
    return points["staytrue"].cpu_seconds / points["floor"].cpu_seconds


def _keyed(results: Results) -> float:
    points = results["T"].points["json 32"]
    return points["keyed"].rate / points["staytrue"].rate


def _tail(point: str) -> Callable[[Results], float]:
    def value(results: Results) -> float:
        ours = results["R"].points[point]["staytrue"]
        return ours.p99_seconds / ours.p50_seconds

    return value


def _first(results: Results) -> float:
    points = results["T"].points["json 1"]
    return points["staytrue"].p50_seconds / points["fastapi"].p50_seconds


def _idle(model: str) -> Callable[[Results], float]:
    return lambda results: (results[model].idle_bytes["staytrue"] - results[model].bare_bytes) / 1e6


def _loaded(model: str) -> Callable[[Results], float]:
    return lambda results: (results[model].loaded_bytes["staytrue"] - results[model].bare_loaded_bytes) / 1e6


def _start(model: str) -> Callable[[Results], float]:
    return lambda results: results[model].start_seconds["staytrue"] - results[model].bare_start_seconds


def _beside(name: str, must: float, aim: float) -> Figure:
    return Figure(f"T JSON, requests/s at 32 connections, to {TITLES[name]}", must, aim, _rate("T", "json 32", name))


FIGURES = (
    _beside("fastapi", 5, 8),
    _beside("mlserver", 15, 23),
    _beside("kserve", 20, 30),
    _beside("torchserve", 10, 15),
    Figure("T JSON, processor time a request, to a bare call", 4, 2.5, _cpu("T", "json 32", "staytrue")),
    Figure("T JSON, processor time, answers from memory, to a bare call", None, None, _cpu("T", "json 32", "floor")),
    Figure("T JSON, processor time, to answers from memory", None, None, _to_floor),
    Figure("T JSON, ids of its own, requests/s, to FastAPI, minimal", None, None, _rate("T", "json 32 ids", "fastapi")),
    Figure("T JSON, ids of its own, processor time, to a bare call", None, None, _cpu("T", "json 32 ids", "staytrue")),
    Figure("T JSON, requests/s, ids of its own to equal heads", None, None, _to_equal_heads("staytrue")),
    Figure("T JSON, requests/s, ids of its own to equal heads, FastAPI", None, None, _to_equal_heads("fastapi")),
    Figure("T JSON, requests/s, with an API key to without", None, None, _keyed),
    Figure(
        "R binary, batched, processor time, to a bare call of one row", 0.80, 0.66, _cpu("R", "binary 32", "staytrue")
    ),
    Figure("R binary, batching off, processor time, to a bare call", 1.15, 1.08, _cpu("R", "binary 32", "unbatched")),
    Figure("R JSON, batching off, processor time, to a bare call", 1.25, 1.13, _cpu("R", "json 32", "unbatched")),
    Figure("T gRPC raw, requests/s at 32 connections, to minimal gRPC", 0.8, 1, _rate("T", "grpc 32", "grpc")),
    Figure("T JSON, requests/s, durable log to none", 0.90, 0.97, _logged("T", "json 32")),
    Figure("R binary, requests/s, durable log to none", 0.90, 0.97, _logged("R", "binary 32")),
    Figure("R binary, p99 to p50 at 32 connections", 3, 1.3, _tail("binary 32")),
    Figure("R JSON, p99 to p50 at 32 connections", 3, 1.3, _tail("json 32")),
    Figure("T JSON, p50 at one connection, to FastAPI's", 0.8, 0.5, _first),
    Figure("T, resident over a bare process, first answer given", 40, 10, _idle("T"), "MB"),
    Figure("R, resident over a bare process, first answer given", 40, 10, _idle("R"), "MB"),
    Figure("T, resident over a bare process, after the load", 40, 10, _loaded("T"), "MB"),
    Figure("R, resident over a bare process, after the load", 40, 10, _loaded("R"), "MB"),
    Figure("T, start to first answer, over a bare process", 0.6, 0.3, _start("T"), "s"),
    Figure("R, start to first answer, over a bare process", 0.6, 0.3, _start("R"), "s"),
)
