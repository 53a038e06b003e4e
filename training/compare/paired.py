"""Paired differences: two judges of the same rows, whose blocks are drawn for both at once.

What makes a day hard makes it hard for both models, so that their difference varies far less than either: an interval
of the difference tells models apart whose own intervals overlap. Blocks and widening are those of one model by itself.

Source: Künsch, 1989; Efron and Tibshirani, 1993, chapter 13; Hesterberg, 2015 (:mod:`export.intervals`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.comparison import Differences
from training.evaluate.bootstrap import has_interval
from training.evaluate.parts import NO_ROWS, drawn
from training.evaluate.ranges import ANY, SHARE, ends_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from staytrue.bundle import Metric
    from training.evaluate.blocks import Blocks
    from training.evaluate.bootstrap import Draws, Figures
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


def whole(first: Judge, other: Judge, blocks: Blocks, seed: int) -> Differences:
    """All metrics of all rows that have a truth.

    The judges are of the same rows in the same order.
    """
    return _compared(first, other, first.known, blocks, seed, ("", "all rows"), brief=False)


def sliced(first: Judge, other: Judge, some: Slice, blocks: Blocks, least: int, seed: int) -> Differences:
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
    blocks: Blocks,
    seed: int,
    named: tuple[str, str],
    *,
    brief: bool,
) -> Differences:
    rows = int(which.sum())
    if not rows:
        return Differences(name=named[0], holds=named[1], rows=0, blocks=0, metrics={}, verdicts={}, note=NO_ROWS)
    pairs = [drawn(judge, which, blocks, seed, DRAWS) for judge in (first, other)]
    before, after = (judge.brief(draws) if brief else judge.whole(draws)[0] for judge, draws in pairs)
    draws = pairs[0][1]
    metrics = dict(_differences(before, after, draws))
    return Differences(
        name=named[0],
        holds=named[1],
        rows=rows,
        blocks=draws.count,
        metrics=metrics,
        verdicts={name: told for name, metric in metrics.items() if (told := verdict(name, metric))},
    )


def _differences(before: Figures, after: Figures, draws: Draws) -> Iterator[tuple[str, Metric]]:
    """Those that both have, of the resamples in which both are defined; of shares between -1 and 1."""
    for name in before.metrics:
        if name in after.metrics:
            value = after.metrics[name].value - before.metrics[name].value
            ends, among = ((-1.0, 1.0), draws.count) if ends_of(name) == SHARE else (ANY, 0)
            yield name, draws.metric(value, after.drawn[name] - before.drawn[name], ends, among)


def verdict(name: str, metric: Metric) -> str:
    """What an interval says of a metric; nothing where neither more nor less of it is better, or there is none.

    >>> from staytrue.bundle import Metric
    >>> verdict("casual.mae", Metric(value=-2, low=-3, high=-1)), verdict("r2", Metric(value=-2, low=-3, high=0.5))
    ('better', 'not told apart')
    """
    plain = name.rpartition(".")[2]
    less = plain in LESS or name.startswith("pinball_")  # whose level has a point too
    if not has_interval(metric) or not (less or plain in MORE):
        return ""
    if metric.low <= 0 <= metric.high:
        return "not told apart"
    return "better" if (metric.high < 0) == less else "worse"
