"""Residuals: how predictions minus truths are spread, and whether that depends on what was predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from staytrue.evaluation import ResidualGroup, Residuals

if TYPE_CHECKING:
    from training.evaluate.bootstrap import Numbers

LEVELS = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
BINS, GROUPS = 20, 10


def residuals(error: Numbers, prediction: Numbers) -> Residuals:
    """Their moments, quantiles and histogram, and those by tenths of the predictions. Shapes: [N] both, N at least 1.

    Deviation is the root of the mean square around the mean. Rows of one prediction are in one group.
    """
    counts, edges = np.histogram(error, bins=BINS, range=_span(error))
    limits = np.unique(np.quantile(prediction, np.arange(1, GROUPS) / GROUPS))
    place = np.searchsorted(limits, prediction, side="left")  # a limit belongs to the group that it closes
    quantiles = np.quantile(error, LEVELS)
    return Residuals(
        mean=float(error.mean()),
        deviation=float(error.std()),
        quantiles={f"{level:g}": float(value) for level, value in zip(LEVELS, quantiles, strict=True)},
        edges=edges.tolist(),
        counts=counts.tolist(),
        groups=[_group(error[place == one], prediction[place == one]) for one in np.unique(place)],
    )


def _span(error: Numbers) -> tuple[float, float]:
    """From the least to the largest; of errors that differ by less than bins of floats can, somewhat more."""
    low, high = float(error.min()), float(error.max())
    apart = 4 * BINS * float(np.spacing(max(abs(low), abs(high), np.finfo(np.float64).tiny)))
    if low == high or high - low > apart:
        return low, high  # of equal ones a histogram is half a unit wide to each side
    return low - apart, high + apart


def _group(error: Numbers, prediction: Numbers) -> ResidualGroup:
    low, high = np.quantile(error, [0.25, 0.75])
    return ResidualGroup(
        rows=len(error),
        prediction=float(prediction.mean()),
        mean=float(error.mean()),
        low=float(low),
        high=float(high),
    )
