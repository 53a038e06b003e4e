"""Paired differences: two judges of the same rows, days or groups drawn for both at once.

What makes a day hard makes it hard for both models, so that their difference varies far less than either: an interval
of the difference tells models apart whose own intervals overlap. Blocks, not rows, are drawn, as the gate draws them,
and the percentiles are widened as there, since those of few blocks are too narrow.

Source: Künsch, 1989; Efron and Tibshirani, 1993, chapter 13; Hesterberg, 2015 (:mod:`export.gate`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.gate import expanded_tail
from staytrue.bundle import Metric
from staytrue.comparison import Differences
from training.evaluate.bootstrap import CONFIDENCE, Draws
from training.evaluate.parts import NO_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from training.evaluate.bootstrap import Figures, Numbers
    from training.evaluate.judge import Judge
    from training.evaluate.slices import Slice

DRAWS = 2000
MORE = (
    *("r2", "accuracy", "subset_accuracy", "balanced_accuracy", "auc", "average_precision"),
    *(f"{mean}_{rate}" for mean in ("micro", "macro") for rate in ("precision", "recall", "f1")),
)
LESS = (
    *("mae", "mse", "rmse", "median_error", "mape", "pinball"),
    *("error_rate", "hamming_loss", "log_loss", "brier", "calibration_error"),
)
"""Metrics of which more, or less, is better."""
ONE_BLOCK = "rows of one block: no interval"


def whole(first: Judge, other: Judge, blocks: NDArray[np.int64], seed: int) -> Differences:
    """All metrics of all rows that have a truth. Shapes: blocks [N], any numbers.

    The judges are of the same rows in the same order.
    """
    return _compared(first, other, first.known, blocks, seed, ("", "all rows"), brief=False)


def sliced(first: Judge, other: Judge, some: Slice, blocks: NDArray[np.int64], least: int, seed: int) -> Differences:
    """Those of a slice that has at least so many rows with a truth."""
    if some.mask is None:
        return _nothing(some, 0, some.why)
    which = some.mask & first.known
    if which.sum() < least:
        return _nothing(some, int(which.sum()), f"{which.sum()} rows, fewer than {least}: too few to judge by")
    return _compared(first, other, which, blocks, seed, (some.name, some.holds), brief=True)


def _nothing(some: Slice, rows: int, why: str) -> Differences:
    return Differences(name=some.name, holds=some.holds, rows=rows, blocks=0, metrics={}, verdicts={}, note=why)


def _compared(
    first: Judge,
    other: Judge,
    which: NDArray[np.bool_],
    blocks: NDArray[np.int64],
    seed: int,
    named: tuple[str, str],
    *,
    brief: bool,
) -> Differences:
    index = np.flatnonzero(which)
    if not len(index):
        return Differences(name=named[0], holds=named[1], rows=0, blocks=0, metrics={}, verdicts={}, note=NO_ROWS)
    numbered = np.unique(blocks[index], return_inverse=True)[1].astype(np.int64)
    order = np.argsort(numbered, kind="stable")  # the rows of a block stand together
    draws = Draws.of_blocks(numbered[order], seed, DRAWS)
    judges = [judge.take(index[order]) for judge in (first, other)]
    before, after = (judge.brief(draws) if brief else judge.whole(draws)[0] for judge in judges)
    metrics = dict(_differences(before, after, draws.count))
    return Differences(
        name=named[0],
        holds=named[1],
        rows=len(index),
        blocks=draws.count,
        metrics=metrics,
        verdicts={name: told for name, metric in metrics.items() if (told := verdict(name, metric))},
    )


def _differences(before: Figures, after: Figures, blocks: int) -> Iterator[tuple[str, Metric]]:
    for name in before.metrics:
        if name in after.metrics:
            value = after.metrics[name].value - before.metrics[name].value
            yield name, difference(value, after.drawn[name] - before.drawn[name], blocks)


def difference(value: float, drawn: Numbers, blocks: int) -> Metric:
    """A difference with its interval, of those resamples in which both are defined. Shapes: drawn [R]."""
    defined = drawn[np.isfinite(drawn)]
    if blocks < 2 or not len(defined):
        return Metric(value=value, low=value, high=value, confidence=CONFIDENCE, note=ONE_BLOCK)
    tail = expanded_tail(blocks, CONFIDENCE)
    low, high = np.quantile(defined, [tail, 1 - tail])
    few = len(defined) < len(drawn)
    note = f"interval of {len(defined)} of {len(drawn)} resamples: it is not defined in the others" if few else ""
    return Metric(value=value, low=float(low), high=float(high), confidence=CONFIDENCE, note=note)


def verdict(name: str, metric: Metric) -> str:
    """What an interval says of a metric; nothing where neither more nor less of it is better, or there is none.

    >>> verdict("casual.mae", Metric(value=-2, low=-3, high=-1)), verdict("r2", Metric(value=-2, low=-3, high=0.5))
    ('better', 'not told apart')
    """
    plain = name.rpartition(".")[2]
    less = plain in LESS or name.startswith("pinball_")  # whose level has a point too
    if metric.note == ONE_BLOCK or not (less or plain in MORE):
        return ""
    if metric.low <= 0 <= metric.high:
        return "not told apart"
    return "better" if (metric.high < 0) == less else "worse"
