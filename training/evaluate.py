"""Evaluate: MSE, MAE and R² with intervals that allow for neighbours in time being alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from staytrue.bundle import Metric
from training.data.split import blocks_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 1000
CONFIDENCE = 0.95
BLOCK_DAYS = 1


def regression(
    truth: NDArray[np.float64], prediction: NDArray[np.float64], times: NDArray[np.float64], *, seed: int
) -> dict[str, Metric]:
    """Mean squared error, mean absolute error and R² (1 - squared error over variance), with percentile intervals.

    Whole days are drawn with replacement, so that the interval does not take the hours of one day for independent.
    With a single day the interval is the value itself.

    Shapes: all [N], times ascending. Units: MAE in the target's unit, MSE in its square.
    Source: Künsch, 1989, "The jackknife and the bootstrap for general stationary observations" (block bootstrap).
    """
    days = blocks_of(times, BLOCK_DAYS)
    sums = _sums(truth, prediction, days)
    draws = np.random.default_rng(seed).integers(0, len(sums), (RESAMPLES, len(sums)))
    point, drawn = _metrics(sums.sum(axis=0)), _metrics(sums[draws].sum(axis=1))
    tail = (1 - CONFIDENCE) / 2
    result = {}
    for name, value in point.items():
        low, high = np.quantile(drawn[name], [tail, 1 - tail])
        result[name] = Metric(value=float(value), low=float(low), high=float(high), confidence=CONFIDENCE)
    return result


def _sums(truth: NDArray[np.float64], prediction: NDArray[np.float64], days: NDArray[np.int64]) -> NDArray[np.float64]:
    """What the metrics need of each day. Shapes: [N] → [days,5]: rows, |error|, error², truth, truth²."""
    centred = truth - truth.mean()  # variance does not change, and its two sums no longer cancel
    error = prediction - truth
    table = np.stack([np.ones_like(truth), np.abs(error), error**2, centred, centred**2], axis=1)
    sums = np.zeros((int(days[-1]) + 1, table.shape[1]))
    np.add.at(sums, days, table)
    return sums


def _metrics(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Metrics from sums. Shapes: [...,5] → [...] each; R² is 0 where the truth does not vary."""
    rows, absolute, squared, truth, truth_squared = np.moveaxis(sums, -1, 0)
    variation = truth_squared - truth**2 / rows
    varies = variation > 1e-12 * np.maximum(truth_squared, 1e-300)
    r2 = np.where(varies, 1 - squared / np.where(varies, variation, 1.0), 0.0)
    return {"mse": squared / rows, "mae": absolute / rows, "r2": r2}
