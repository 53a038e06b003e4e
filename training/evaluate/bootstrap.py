"""Bootstrap: whole days are drawn with replacement, and every metric is told with the spread that this gives it."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.bundle import Metric
from training.data.split.plan import blocks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

RESAMPLES = 1000
CONFIDENCE = 0.95
BLOCK_DAYS = 1
ONE_DAY = "rows of one day: no interval"


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
    """Which day each row is of, and how often each resample has drawn each day.

    So an interval does not take the hours of one day for independent. Shapes: days [N] ascending, often [R,D].
    Source: Künsch, 1989, "The jackknife and the bootstrap for general stationary observations" (block bootstrap).
    """

    days: NDArray[np.int64]
    often: Numbers

    @classmethod
    def of(cls, times: Numbers, seed: int) -> Draws:
        """The days of some rows, drawn. Shapes: [N] ascending, at least one."""
        return cls.of_blocks(blocks_of(times, BLOCK_DAYS), seed)

    @classmethod
    def of_blocks(cls, blocks: NDArray[np.int64], seed: int, resamples: int = RESAMPLES) -> Draws:
        """Any blocks of rows, drawn. Shapes: [N] ascending from 0 without a gap, at least one."""
        count = int(blocks[-1]) + 1
        drawn = np.random.default_rng(seed).integers(0, count, (resamples, count))
        return cls(blocks, np.stack([np.bincount(draw, minlength=count) for draw in drawn]).astype(np.float64))

    @property
    def count(self) -> int:
        """Days."""
        return int(self.often.shape[1])

    @functools.cached_property
    def weights(self) -> Numbers:
        """How much a row of each day counts in each resample. Shapes: [D,R]."""
        return np.ascontiguousarray(self.often.T)

    def sums(self, columns: Iterable[NDArray[Any]]) -> Numbers:
        """Of each day the sums over its rows, a column after the other. Shapes: M of [N] → [D,M]."""
        starts = np.flatnonzero(np.diff(self.days, prepend=-1))
        return np.stack([np.add.reduceat(some.astype(np.float64), starts) for some in columns], axis=1)

    def counts(self, places: NDArray[np.int64], of: int, weight: Numbers | None = None) -> Numbers:
        """Of each day how many rows have each place, or the sum of their weights. Shapes: [N] below ``of`` → [D,of]."""
        found = np.bincount(self.days * of + places, weights=weight, minlength=self.count * of)
        return found.reshape(self.count, of).astype(np.float64)

    def told(self, sums: Numbers, metrics: Callable[[Numbers], Mapping[str, Numbers]]) -> Figures:
        """Metrics of sums over the rows, with intervals. Shapes: [D,M]; ``metrics`` makes [...] each of [...,M]."""
        point, drawn = metrics(sums.sum(axis=0)), metrics(self.often @ sums)
        return self.figures({name: (float(value), drawn[name]) for name, value in point.items()})

    def means(self, judged: Mapping[str, NDArray[Any]]) -> Figures:
        """Means over the rows, with intervals. Shapes: {metric: [N]}."""
        names = list(judged)

        def metrics(sums: Numbers) -> dict[str, Numbers]:
            return {name: sums[..., 1 + place] / sums[..., 0] for place, name in enumerate(names)}

        return self.told(self.sums([np.ones(len(self.days)), *judged.values()]), metrics)

    def figures(self, found: Mapping[str, tuple[float, Numbers]]) -> Figures:
        """Values and their resamples as metrics with percentile intervals. Shapes: {metric: (value, [R])}.

        A resample in which a metric is not defined is NaN and left out; a value that is no finite number is absent.
        """
        metrics, absent = {}, {}
        every = {name: drawn for name, (_, drawn) in found.items()}
        for name, (value, drawn) in found.items():
            if not np.isfinite(value):
                absent[name] = "is no finite number"
                continue
            defined = drawn[np.isfinite(drawn)]
            tail = (1 - CONFIDENCE) / 2
            low, high = np.quantile(defined, [tail, 1 - tail]) if len(defined) else (value, value)
            note = ONE_DAY if self.count == 1 else ""
            if not note and len(defined) < len(drawn):
                note = f"interval of {len(defined)} of {len(drawn)} resamples: it is not defined in the others"
            metrics[name] = Metric(value=value, low=float(low), high=float(high), confidence=CONFIDENCE, note=note)
        return Figures(metrics, absent, every)


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
