"""Comparison: an ensemble beside its members on the same rows, paired row by row, whole days drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from export.gate import interval
from training.aligned import aligned
from training.data.split.plan import day_of
from training.ensemble.listed import Method

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from training.objectives import Objective

CONFIDENCE = 0.95
FILE = "ensemble.json"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A member, or the ensemble; what it is measured by, smaller being better."""

    run: str
    architecture: str
    weight: float | None
    measures: dict[str, float]


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """The ensemble's measure minus that of the member which is best by it, with its interval; below 0 is better."""

    best: str
    difference: float
    low: float
    high: float
    confidence: float = CONFIDENCE

    @property
    def verdict(self) -> str:
        """In words; nothing is shown by rows of one day, which have no interval."""
        if self.low == self.high:
            return "not shown to be better"
        if self.high < 0:
            return "better"
        return "worse" if self.low > 0 else "not shown to be better"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """``ensemble.json`` of a run: what it is made of, and how it does on the rows of a part."""

    method: Method
    rows: int
    days: int
    note: str
    """How the weights came about that the figures are of."""
    members: list[Line]
    ensemble: Line
    against_best: dict[str, Paired]
    """By measure."""


def rows_of(losses: Mapping[str, Objective], numbers: Tensor, truth: Tensor) -> dict[str, NDArray[np.float64]]:
    """What each row costs, by measure. Shapes: [N,M], truth [N,…] → [N]."""
    return {name: loss(numbers.double(), truth).squeeze(1).numpy() for name, loss in losses.items()}


def paired(
    members: Mapping[str, NDArray[np.float64]], together: NDArray[np.float64], blocks: NDArray[np.int64], seed: int
) -> Paired:
    """Against the best member. Of one block the interval is the difference itself. Shapes: costs and blocks [N]."""
    best = min(members, key=lambda run: float(members[run].mean()))
    difference = together - members[best]
    low, high = interval(difference, blocks, CONFIDENCE, seed)
    return Paired(best=best, difference=float(difference.mean()), low=low, high=high)


def compared(
    method: Method,
    members: Sequence[tuple[Line, Mapping[str, NDArray[np.float64]]]],
    ensemble: tuple[Line, Mapping[str, NDArray[np.float64]]],
    times: NDArray[np.float64],
    *,
    note: str,
    seed: int,
) -> Comparison:
    """All of it. Shapes: costs by measure [N], times [N]."""
    line, costs = ensemble
    days = day_of(times)
    against = {
        name: paired({one.run: own[name] for one, own in members}, cost, days, seed) for name, cost in costs.items()
    }
    return Comparison(
        method=method,
        rows=len(times),
        days=len(np.unique(days)),
        note=note,
        members=[one for one, _ in members],
        ensemble=line,
        against_best=against,
    )


def table(comparison: Comparison) -> str:
    """For people."""
    names = list(comparison.ensemble.measures)
    rows = [["run", "architecture", "weight", *names]]
    for line in [*comparison.members, comparison.ensemble]:
        weight = "" if line.weight is None else f"{line.weight:.3f}"
        rows.append([line.run, line.architecture, weight, *(f"{line.measures[name]:.5g}" for name in names)])
    text = aligned(rows)
    of = f"{comparison.rows} validation rows of {comparison.days} days"
    text.append(f"on {of}; {comparison.note}")
    for name, one in comparison.against_best.items():
        spread = f"{one.confidence:.0%} interval [{one.low:+.4g}, {one.high:+.4g}]"
        if comparison.days < 2:
            spread = "rows of one day: no interval"
        text.append(f"{name}: {one.difference:+.4g} against {one.best}, the best member; {spread}: {one.verdict}")
    return "\n".join(text)
