"""Evaluation of several numbers a row: the metrics of each, as ``NAME.mae``."""

from __future__ import annotations

import dataclasses
import functools
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluate.judge import Detail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.evaluate.bootstrap import Draws, Figures, Numbers
    from training.evaluate.regression import NumberJudge


@dataclasses.dataclass(frozen=True)
class TargetsJudge:
    """A judge of numbers for each target, at least one, of the same rows."""

    each: Sequence[NumberJudge]

    @property
    def times(self) -> Numbers:
        """Of each row."""
        return self.each[0].times

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which rows have a truth for each target."""
        found: NDArray[np.bool_] = np.all([one.known for one in self.each], axis=0)
        return found

    def take(self, which: NDArray[Any]) -> TargetsJudge:
        """The rows of a mask or an index."""
        return TargetsJudge([one.take(which) for one in self.each])

    @property
    def loss(self) -> str:
        """In units that do not depend on the targets' own."""
        return "absolute error in deviations of the truth, mean over the targets"

    def losses(self) -> Numbers:
        """Of each row the mean over the targets; of one that is the same in every row the error counts as it is.

        Shapes: [N].
        """
        known = self.known
        spreads = [float(one.truth[known].std()) if known.any() else 0.0 for one in self.each]
        errors = [one.losses() / (spread or 1.0) for one, spread in zip(self.each, spreads, strict=True)]
        found: Numbers = np.mean(errors, axis=0)
        return found

    def told(self, row: int) -> tuple[str, str]:
        """Those of each target."""
        pairs = [(one.target, *one.told(row)) for one in self.each]
        truth, answer = (", ".join(f"{pair[0]} {pair[place]}" for pair in pairs) for place in (1, 2))
        return truth, answer

    def brief(self, draws: Draws) -> Figures:
        """Those of each target."""
        return functools.reduce(operator.or_, [one.brief(draws).under(one.target) for one in self.each])

    def whole(self, draws: Draws) -> tuple[Figures, Detail]:
        """Those of each target, and its residuals."""
        figures, details = zip(*(one.whole(draws) for one in self.each), strict=True)
        named = [some.under(one.target) for some, one in zip(figures, self.each, strict=True)]
        residuals = {name: found for detail in details for name, found in detail.residuals.items()}
        return functools.reduce(operator.or_, named), Detail(residuals=residuals)
