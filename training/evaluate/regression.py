"""Evaluation of numbers: squared and absolute errors, what is explained of the variance, and the residuals."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from training.data.rows import evenly
from training.evaluate.bootstrap import Figures, without
from training.evaluate.judge import Detail, said, unfit
from training.evaluate.residuals import residuals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.evaluate.bootstrap import Draws, Numbers

_CHIEF = ("mae", "rmse", "r2")
"""Named where nothing can be said at all."""
TINY = 0.01
"""Truths below this share of their mean size would decide the mean of relative errors alone."""
MOST = 1024
"""Errors that the median of a resample is read at; between them lie as many rows each."""
ROUNDED = 8
"""Units in the last place by which truths differ that are the same but for how they were worked out."""
_CONSTANT = "the truth is the same in every row: there is no variance to explain"


@dataclasses.dataclass(frozen=True)
class NumberJudge:
    """Predicted numbers. Shapes: all [N], times ascending; a missing truth is NaN. Units: the target's."""

    target: str
    truth: Numbers
    prediction: Numbers
    times: Numbers

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which rows have a truth."""
        found: NDArray[np.bool_] = ~np.isnan(self.truth)
        return found

    def take(self, which: NDArray[Any]) -> NumberJudge:
        """The rows of a mask or an index."""
        return NumberJudge(self.target, self.truth[which], self.prediction[which], self.times[which])

    @property
    def loss(self) -> str:
        """In the target's unit."""
        return "absolute error"

    def losses(self) -> Numbers:
        """Absolute errors. Shapes: [N]."""
        found: Numbers = np.abs(self.prediction - self.truth)
        return found

    def told(self, row: int) -> tuple[str, str]:
        """Both numbers."""
        return said(self.truth[row]), said(self.prediction[row])

    def brief(self, draws: Draws) -> Figures:
        """Squared and absolute error, R² (1 - squared error over variance), bias, relative error."""
        if reason := unfit(self.prediction) or unfit(self.truth).replace("answers", "truths"):
            return Figures(absent=dict.fromkeys(_CHIEF, reason))
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # what is too large for a square or a sum has no value, and is told so
            centred = self.truth - self.truth.mean()  # variance does not change, and its two sums no longer cancel
            error, size = self.prediction - self.truth, np.abs(self.truth)
            tiny = size < TINY * size.mean() if size.any() else np.ones(len(size), dtype=np.bool_)
            sizes = (np.abs(error) / np.where(tiny, 1.0, size), np.abs(error), error**2)
            table = [np.ones_like(centred), error, centred, centred**2, *sizes]
            found = draws.told(draws.sums(table), _metrics)
            apart = self.truth.max() - self.truth.min()
        reasons = {"r2": _CONSTANT} if apart <= ROUNDED * np.spacing(size.max()) else {}
        if tiny.any():
            what = f"{int(tiny.sum())} of {len(tiny)} truths are 0 or below {TINY:.0%} of their mean size"
            reasons["mape"] = f"{what}: they alone would decide it"
        return without(found, reasons)

    def whole(self, draws: Draws) -> tuple[Figures, Detail]:
        """Also the median of the absolute errors, and the residuals."""
        figures = self.brief(draws)
        if not figures.metrics:
            return figures, Detail()
        with np.errstate(over="ignore"):
            error = self.prediction - self.truth
        figures |= draws.figures({"median_error": middle(np.abs(error), draws)})
        if "mse" not in figures.metrics:  # nor have the residuals a deviation
            return figures, Detail()
        return figures, Detail(residuals={self.target: residuals(error, self.prediction)})


def middle(values: Numbers, draws: Draws) -> tuple[float, Numbers]:
    """The median and that of each resample, of many values to a thousandth of the rows. Shapes: [N] → [R]."""
    shown = np.sort(values)[evenly(len(values), MOST)]
    counts = draws.counts(np.searchsorted(shown, values), len(shown)).T  # a value is read as the next one shown
    exact, about = float(np.median(values)), _halved(shown, counts.sum(axis=1, keepdims=True))
    return exact, np.maximum(_halved(shown, counts @ draws.weights) + (exact - about[0]), 0.0)


def _halved(values: Numbers, counts: Numbers) -> Numbers:
    """Medians of values that are there so many times. Shapes: [G] ascending, [G,R] → [R]."""
    below = np.cumsum(counts, axis=0)
    rows = below[-1]
    lower, upper = ((below < place).sum(axis=0) for place in (np.floor((rows + 1) / 2), np.floor(rows / 2) + 1))
    found: Numbers = (values[lower] + values[upper]) / 2
    return found


def _metrics(sums: Numbers) -> dict[str, Numbers]:
    """Metrics from sums. Shapes: [...,7] → [...] each; R² is NaN where the truth does not vary."""
    rows, error, truth, truth_squared, relative, absolute, squared = np.moveaxis(sums, -1, 0)
    variation = truth_squared - truth**2 / rows
    varies = variation > 1e-12 * np.maximum(truth_squared, 1e-300)
    return {
        "mae": absolute / rows,
        "rmse": np.sqrt(squared / rows),
        "mse": squared / rows,
        "bias": error / rows,
        "r2": np.where(varies, 1 - squared / np.where(varies, variation, 1.0), np.nan),
        "mape": relative / rows,
    }
