"""Evaluation of quantiles: the pinball loss, how often truths lie below, and those metrics of the one answered."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluate.bootstrap import Figures
from training.evaluate.judge import Detail, said, unfit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.evaluate.bootstrap import Draws, Numbers
    from training.evaluate.regression import NumberJudge


@dataclasses.dataclass(frozen=True)
class QuantileJudge:
    """Quantiles beside the number that is answered. Shapes: made [N,Q], levels [Q] ascending."""

    answered: NumberJudge
    made: Numbers
    levels: Sequence[float]

    @property
    def times(self) -> Numbers:
        """Of each row."""
        return self.answered.times

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which rows have a truth."""
        return self.answered.known

    def take(self, which: NDArray[Any]) -> QuantileJudge:
        """The rows of a mask or an index."""
        return QuantileJudge(self.answered.take(which), self.made[which], self.levels)

    @property
    def loss(self) -> str:
        """In the target's unit."""
        return "pinball loss"

    def losses(self) -> Numbers:
        """The mean over the levels of the pinball loss. Shapes: [N]."""
        found: Numbers = self._pinball(self.answered.truth[:, None] - self.made).mean(axis=1)
        return found

    def told(self, row: int) -> tuple[str, str]:
        """The truth, and the number that is answered with its lowest and highest quantile."""
        truth, answer = self.answered.told(row)
        return truth, f"{answer} ({said(self.made[row, 0])} to {said(self.made[row, -1])})"

    def _pinball(self, above: Numbers) -> Numbers:
        """What lies above a level's quantile counts by the level, what lies below by the rest. Shapes: [N,Q].

        Source: Koenker and Bassett, 1978, "Regression quantiles".
        """
        levels = np.array(self.levels)
        return np.maximum(levels * above, (levels - 1) * above)

    def brief(self, draws: Draws) -> Figures:
        """Of the quantiles, then of the number."""
        return self._quantiles(draws) | self.answered.brief(draws)

    def whole(self, draws: Draws) -> tuple[Figures, Detail]:
        """Of the quantiles, then of the number, with its residuals."""
        figures, detail = self.answered.whole(draws)
        return self._quantiles(draws) | figures, detail

    def _quantiles(self, draws: Draws) -> Figures:
        """Pinball loss, the mean over the levels and of each; the share of truths at or below; coverage and width.

        Coverage and width are from the lowest quantile to the highest.
        """
        truth, levels = self.answered.truth, self.levels
        if reason := unfit(self.made) or unfit(truth).replace("answers", "truths"):
            return Figures(absent=dict.fromkeys(("pinball", "coverage"), reason))
        above = truth[:, None] - self.made
        losses, below = self._pinball(above), above <= 0
        judged = {"pinball": losses.mean(axis=1)}
        if len(levels) > 1:
            judged |= {f"pinball_{level:g}": losses[:, place] for place, level in enumerate(self.levels)}
        judged |= {f"below_{level:g}": below[:, place] for place, level in enumerate(self.levels)}
        if len(levels) > 1:
            inside = (truth >= self.made[:, 0]) & below[:, -1]
            judged |= {"coverage": inside, "width": self.made[:, -1] - self.made[:, 0]}
        return draws.means(judged)
