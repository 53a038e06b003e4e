"""Evaluate: metrics of regression and classification, with intervals that allow for neighbours in time being alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.bundle import Metric
from training.data.split.plan import blocks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

RESAMPLES = 1000
CONFIDENCE = 0.95
BLOCK_DAYS = 1
LEAST_PROBABILITY = 1e-12
"""A true class that was thought less likely counts as this likely: one such row must not make the log loss infinite."""


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
    return _with_intervals(_metrics(sums.sum(axis=0)), _metrics(sums[draws].sum(axis=1)))


def classification(
    truth: NDArray[Any],
    probabilities: NDArray[np.float64],
    classes: Sequence[str],
    times: NDArray[np.float64],
    *,
    seed: int,
) -> dict[str, Metric]:
    """Accuracy, error rate, log loss and macro F1 of the likeliest class, with intervals as in :func:`regression`.

    Macro F1 is the mean over the classes that are there, among the truths or the predictions, of
    2 * right / (predicted + true). A truth that is none of the classes counts as wrong and as least likely.

    Shapes: truth [N] of names, probabilities [N,K], classes [K], times [N] ascending. Units: log loss in nats.
    """
    places = {name: place for place, name in enumerate(classes)}
    true = np.array([places.get(name, len(classes)) for name in truth], dtype=np.int64)
    sums = _class_sums(true, probabilities, blocks_of(times, BLOCK_DAYS))
    draws = np.random.default_rng(seed).integers(0, len(sums), (RESAMPLES, len(sums)))
    often = np.stack([np.bincount(draw, minlength=len(sums)) for draw in draws]).astype(np.float64)
    return _with_intervals(_class_metrics(sums.sum(axis=0)), _class_metrics(often @ sums))


def resampled(judged: Mapping[str, NDArray[np.float64]], times: NDArray[np.float64], *, seed: int) -> dict[str, Metric]:
    """Means over the rows, with intervals as in :func:`regression`. Shapes: {metric: [N]}, times [N] ascending."""
    names = list(judged)

    def means(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {name: sums[..., 1 + place] / sums[..., 0] for place, name in enumerate(names)}

    return resampled_sums(np.stack([np.ones(len(times)), *judged.values()], axis=1), times, means, seed=seed)


def resampled_sums(
    table: NDArray[np.float64],
    times: NDArray[np.float64],
    metrics: Callable[[NDArray[np.float64]], dict[str, NDArray[np.float64]]],
    *,
    seed: int,
) -> dict[str, Metric]:
    """Metrics of sums over the rows, with intervals as in :func:`regression`.

    Shapes: table [N,M], times [N] ascending; ``metrics`` makes [...] each of [...,M].
    """
    days = blocks_of(times, BLOCK_DAYS)
    sums = np.zeros((int(days[-1]) + 1, table.shape[1]))
    np.add.at(sums, days, table)
    draws = np.random.default_rng(seed).integers(0, len(sums), (RESAMPLES, len(sums)))
    often = np.stack([np.bincount(draw, minlength=len(sums)) for draw in draws]).astype(np.float64)
    return _with_intervals(metrics(sums.sum(axis=0)), metrics(often @ sums))


def _with_intervals(point: dict[str, NDArray[np.float64]], drawn: dict[str, NDArray[np.float64]]) -> dict[str, Metric]:
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


def _class_sums(
    true: NDArray[np.int64], probabilities: NDArray[np.float64], days: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What the metrics need of each day: rows, log loss; then right, predicted and true by class.

    Shapes: [N] → [days,2+3(K+1)]. The last class is that of truths which are none of the others.
    """
    rows, kinds = np.arange(len(true)), probabilities.shape[1] + 1
    all_of_them = np.concatenate([probabilities, np.zeros((len(true), 1))], axis=1)
    guess = all_of_them.argmax(axis=1)
    sums = np.zeros((int(days[-1]) + 1, 2 + 3 * kinds))
    np.add.at(sums[:, 0], days, 1.0)
    np.add.at(sums[:, 1], days, -np.log(np.maximum(all_of_them[rows, true], LEAST_PROBABILITY)))
    np.add.at(sums, (days, 2 + guess), (guess == true).astype(np.float64))
    np.add.at(sums, (days, 2 + kinds + guess), 1.0)
    np.add.at(sums, (days, 2 + 2 * kinds + true), 1.0)
    return sums


def _class_metrics(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Metrics from sums. Shapes: [...,2+3K] → [...] each."""
    rows, loss = sums[..., 0], sums[..., 1]
    right, predicted, true = np.split(sums[..., 2:], 3, axis=-1)
    there = predicted + true > 0
    score = 2 * right / np.where(there, predicted + true, 1.0)
    accuracy = right.sum(axis=-1) / rows
    return {
        "accuracy": accuracy,
        "error_rate": 1 - accuracy,
        "log_loss": loss / rows,
        "macro_f1": score.sum(axis=-1) / there.sum(axis=-1),
    }
