"""Comparison: an ensemble beside its members on the same rows, paired row by row, whole blocks drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from export.intervals import interval
from training.aligned import aligned
from training.ensemble.listed import Method
from training.evaluate.bootstrap import FEWEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from training.evaluate.blocks import Blocks
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
    bare: bool = False
    """Without an interval: the rows are of one block, and low and high are the difference."""

    @property
    def verdict(self) -> str:
        """In words; nothing is shown where there is no interval."""
        if self.bare:
            return "not shown to be better"
        if self.high < 0:
            return "better"
        return "worse" if self.low > 0 else "not shown to be better"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """``ensemble.json`` of a run: what it is made of, and how it does on the rows of a part."""

    method: Method
    rows: int
    blocks: int
    """Which are drawn whole."""
    blocked_by: str
    """What they are: days, groups of the column that the split goes by, or rows."""
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
    members: Mapping[str, NDArray[np.float64]], together: NDArray[np.float64], blocks: Blocks, seed: int
) -> Paired:
    """Against the best member. Of one block the interval is the difference itself. Shapes: costs [N]."""
    best = min(members, key=lambda run: float(members[run].mean()))
    difference = together - members[best]
    low, high = interval(difference, blocks.numbers, CONFIDENCE, seed)
    return Paired(best=best, difference=float(difference.mean()), low=low, high=high, bare=blocks.count < 2)


def compared(
    method: Method,
    members: Sequence[tuple[Line, Mapping[str, NDArray[np.float64]]]],
    ensemble: tuple[Line, Mapping[str, NDArray[np.float64]]],
    blocks: Blocks,
    *,
    note: str,
    seed: int,
) -> Comparison:
    """All of it. Shapes: costs by measure [N]."""
    line, costs = ensemble
    against = {
        name: paired({one.run: own[name] for one, own in members}, cost, blocks, seed) for name, cost in costs.items()
    }
    return Comparison(
        method=method,
        rows=len(blocks.numbers),
        blocks=blocks.count,
        blocked_by=blocks.what,
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
    of = f"{comparison.rows} validation rows of {comparison.blocks} {comparison.blocked_by}"
    few = ", so few that intervals are rough" if 1 < comparison.blocks < FEWEST else ""
    text.append(f"on {of}{few}; {comparison.note}")
    for name, one in comparison.against_best.items():
        spread = f"{one.confidence:.0%} interval [{one.low:+.4g}, {one.high:+.4g}]"
        if one.bare:
            spread = f"1 of the {comparison.blocked_by}: no interval"
        text.append(f"{name}: {one.difference:+.4g} against {one.best}, the best member; {spread}: {one.verdict}")
    return "\n".join(text)
