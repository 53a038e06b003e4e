"""What a dashboard's JSON asks, filled in as Grafana fills it in, and what Prometheus answers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from examples.bikeshare.dashboards.prometheus import Prometheus

CHOSEN = {"$__rate_interval": "5s", "$job": ".*", "$instance": ".*", "$model": "bikes"}


@dataclass(frozen=True)
class Series:
    """A line: its name, its times (Unix seconds) and its values; NaN where it has none."""

    name: str
    times: list[float]
    values: list[float]

    @property
    def last(self) -> float:
        """The newest number; NaN where there is none."""
        return next((value for value in reversed(self.values) if math.isfinite(value)), math.nan)

    @property
    def largest(self) -> float:
        """The largest number; NaN where there is none."""
        return max((value for value in self.values if math.isfinite(value)), default=math.nan)


@dataclass(frozen=True)
class Answers:
    """A Prometheus asked over one span."""

    prometheus: Prometheus
    start: float
    end: float

    def of(self, panel: dict[str, Any]) -> list[Series]:
        """All series of a panel, in the order of its queries."""
        return [series for target in panel["targets"] for series in self._target(target)]

    def moments(self, expression: str) -> list[float]:
        """Times at which an expression begins to have a value."""
        found = []
        for each in self.prometheus.course(_filled(expression), self.start, self.end):
            times = [float(at) for at, _ in each["values"]]
            found += [at for before, at in zip([0.0, *times], times, strict=False) if at - before > 1.5]
        return found

    def _target(self, target: dict[str, Any]) -> list[Series]:
        expression = _filled(target["expr"])
        if target.get("instant"):
            answer = self.prometheus.now(expression, self.end)
            return [Series(_name(target, each["metric"]), [self.end], [float(each["value"][1])]) for each in answer]
        return [self._line(target, each) for each in self.prometheus.course(expression, self.start, self.end)]

    def _line(self, target: dict[str, Any], each: dict[str, Any]) -> Series:
        known = {round(float(at) - self.start): float(value) for at, value in each["values"]}
        seconds = range(int(self.end - self.start) + 1)
        values = [known.get(second, math.nan) for second in seconds]
        return Series(_name(target, each["metric"]), [self.start + second for second in seconds], values)


def _filled(expression: str) -> str:
    for name, value in CHOSEN.items():
        expression = expression.replace(name, value)
    return expression


def _name(target: dict[str, Any], labels: dict[str, str]) -> str:
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), target["legendFormat"])
