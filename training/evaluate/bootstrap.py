"""Bootstrap: whole blocks of rows are drawn with replacement, and every metric is told with the spread this gives it.

Which rows are a block is said by :mod:`training.evaluate.blocks`. Intervals are widened for few blocks
(:mod:`export.intervals`), and end where a metric does (:mod:`training.evaluate.ranges`).
"""

from __future__ import annotations

import dataclasses
import functools
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from export.intervals import bounds
from staytrue.bundle import Metric
from training.evaluate.ranges import ANY, ends_of, left_open, of_every_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

RESAMPLES = 1000
CONFIDENCE = 0.95
FEWEST = 5
"""Blocks from which on an interval leans little on how they are spread: of four skewed ones it holds too seldom."""
NOT_THERE = "no interval"


@dataclasses.dataclass(frozen=True)
class Figures:
    """Metrics by name, of those that have no value here the reason, and what the resamples gave. Shapes: [R] each."""

    metrics: dict[str, Metric] = dataclasses.field(default_factory=dict)
    absent: dict[str, str] = dataclasses.field(default_factory=dict)
    drawn: dict[str, Numbers] = dataclasses.field(default_factory=dict)

    def __or__(self, other: Figures) -> Figures:
        return Figures(self.metrics | other.metrics, self.absent | other.absent, self.drawn | other.drawn)

    def under(self, name: str) -> Figures:
        """The same as ``NAME.metric``."""
        metrics = {f"{name}.{key}": metric for key, metric in self.metrics.items()}
        absent = {f"{name}.{key}": reason for key, reason in self.absent.items()}
        return Figures(metrics, absent, {f"{name}.{key}": values for key, values in self.drawn.items()})


@dataclasses.dataclass(frozen=True)
class Draws:
    """Which block each row is of, and how often each resample has drawn each block.

    So an interval does not take the hours of one day for independent. Shapes: blocks [N] ascending, often [R,D].
    Source: Künsch, 1989, "The jackknife and the bootstrap for general stationary observations" (block bootstrap).
    """

    blocks: NDArray[np.int64]
    often: Numbers
    what: str = "days"
    """The blocks, in the plural."""

    @classmethod
    def of_blocks(cls, blocks: NDArray[np.int64], seed: int, resamples: int = RESAMPLES, what: str = "days") -> Draws:
        """Blocks of rows, drawn. Shapes: [N] ascending from 0 without a gap, at least one."""
        count = int(blocks[-1]) + 1
        drawn = np.random.default_rng(seed).integers(0, count, (resamples, count))
        return cls(blocks, np.stack([np.bincount(draw, minlength=count) for draw in drawn]).astype(np.float64), what)

    @property
    def count(self) -> int:
        """How many blocks."""
        return int(self.often.shape[1])

    @functools.cached_property
    def weights(self) -> Numbers:
        """How much a row of each block counts in each resample. Shapes: [D,R]."""
        return np.ascontiguousarray(self.often.T)

    def sums(self, columns: Iterable[NDArray[Any]]) -> Numbers:
        """Of each block the sums over its rows, a column after the other. Shapes: M of [N] → [D,M]."""
        starts = np.flatnonzero(np.diff(self.blocks, prepend=-1))
        return np.stack([np.add.reduceat(some.astype(np.float64), starts) for some in columns], axis=1)

    def counts(self, places: NDArray[np.int64], of: int, weight: Numbers | None = None) -> Numbers:
        """Of each block the rows of each place, or the sum of their weights. Shapes: [N] below ``of`` → [D,of]."""
        found = np.bincount(self.blocks * of + places, weights=weight, minlength=self.count * of)
        return found.reshape(self.count, of).astype(np.float64)

    def told(
        self,
        sums: Numbers,
        metrics: Callable[[Numbers], Mapping[str, Numbers]],
        among: Mapping[str, int] = MappingProxyType({}),
    ) -> Figures:
        """Metrics of sums over the rows, with intervals. Shapes: [D,M]; ``metrics`` makes [...] each of [...,M]."""
        point, drawn = metrics(sums.sum(axis=0)), metrics(self.often @ sums)
        return self.figures({name: (float(value), drawn[name]) for name, value in point.items()}, among)

    def means(self, judged: Mapping[str, NDArray[Any]]) -> Figures:
        """Means over the rows, with intervals. Shapes: {metric: [N]}."""
        names = list(judged)

        def metrics(sums: Numbers) -> dict[str, Numbers]:
            return {name: sums[..., 1 + place] / sums[..., 0] for place, name in enumerate(names)}

        return self.told(self.sums([np.ones(len(self.blocks)), *judged.values()]), metrics)

    def figures(
        self, found: Mapping[str, tuple[float, Numbers]], among: Mapping[str, int] = MappingProxyType({})
    ) -> Figures:
        """Values and their resamples as metrics with intervals. Shapes: {metric: (value, [R])}.

        A value that is no finite number is absent. ``among``: of how many blocks a share is that not each row adds to.
        """
        among = {name: self.count for name in found if of_every_row(name)} | dict(among)
        every = {name: drawn for name, (_, drawn) in found.items()}
        absent = {name: "is no finite number" for name, (value, _) in found.items() if not np.isfinite(value)}
        there = {name: pair for name, pair in found.items() if name not in absent}
        told = {
            name: self.metric(value, drawn, ends_of(name), among.get(name, 0)) for name, (value, drawn) in there.items()
        }
        return Figures(told, absent, every)

    def metric(self, value: float, drawn: Numbers, ends: tuple[float, float] = ANY, among: int = 0) -> Metric:
        """A value with its interval, widened for few blocks, which stays between ``ends``. Shapes: [R].

        A resample in which it is not defined is NaN and left out. A share that is 0 or 1 in each of the blocks
        ``among`` which it is found is so in all resamples, and for all that not sure to be.
        """
        defined = drawn[np.isfinite(drawn)]
        if self.count < 2 or not len(defined):
            return Metric(value=value, low=value, high=value, confidence=CONFIDENCE, note=self._alone, bare=True)
        low, high = bounds(value, defined, self.count, CONFIDENCE)
        low, high = max(low, min(ends[0], value)), min(high, max(ends[1], value))
        if among and low == high and value in ends:
            apart = (ends[1] - ends[0]) * left_open(among, CONFIDENCE)
            low, high = (value - apart, value) if value == ends[1] else (value, value + apart)
        few = self.count < FEWEST
        notes = [f"{self.count} {self.what}, so few that the interval is rough"] if few else []
        if len(defined) < len(drawn):
            notes.append(f"interval of {len(defined)} of {len(drawn)} resamples: it is not defined in the others")
        note = "; ".join(notes)
        return Metric(value=value, low=low, high=high, confidence=CONFIDENCE, note=note)

    @property
    def _alone(self) -> str:
        """Why there is no interval."""
        if self.count > 1:
            return f"defined in no resample: {NOT_THERE}"
        said = {"days": "rows of one day", "rows": "a single row"}
        return f"{said.get(self.what, f'rows of one of the {self.what}')}: {NOT_THERE}"


def has_interval(metric: Metric) -> bool:
    """Whether it has one; records from before ``bare`` was written down say that it has none in their note alone."""
    return not (metric.bare or (metric.low == metric.high and NOT_THERE in metric.note))


def without(figures: Figures, reasons: Mapping[str, str]) -> Figures:
    """The figures with some of them absent, each for a reason."""
    kept = {name: metric for name, metric in figures.metrics.items() if name not in reasons}
    return Figures(kept, figures.absent | dict(reasons), figures.drawn)


def ratio(above: Numbers, below: Numbers) -> Numbers:
    """A quotient, NaN where nothing is below. Shapes: alike."""
    there = below > 0
    found: Numbers = np.where(there, above / np.where(there, below, 1.0), np.nan)
    return found


def mean_of_defined(values: Numbers) -> Numbers:
    """Mean over the last axis of what is no NaN; NaN where all is. Shapes: [...,K] → [...]."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1).astype(np.float64))
