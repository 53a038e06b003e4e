"""Parts: what a judge tells of the rows of a part, and of each of its slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from staytrue.evaluation import PartEvaluation, SliceEvaluation, is_headline
from training.evaluate.bootstrap import RESAMPLES, Figures
from training.evaluate.judge import Detail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from staytrue.evaluation import Examples
    from training.evaluate.blocks import Blocks
    from training.evaluate.bootstrap import Draws
    from training.evaluate.judge import Judge
    from training.evaluate.slices import Slice

NO_ROWS = "no row has a truth"


def evaluated(
    judge: Judge,
    slices: Iterable[Slice],
    blocks: Blocks,
    *,
    minimum_rows: int,
    seed: int,
    worst: Examples | None = None,
) -> PartEvaluation:
    """All metrics of the rows that have a truth, and the headline ones of each slice that has enough such rows."""
    known = judge.known
    rows, figures, detail = int(known.sum()), Figures(absent={"all": NO_ROWS}), Detail()
    if rows:
        judged, draws = drawn(judge, known, blocks, seed)
        figures, detail = judged.whole(draws)
    return PartEvaluation(
        rows=rows,
        left_out=len(known) - rows,
        metrics=figures.metrics,
        absent=figures.absent,
        by_class=detail.by_class,
        confusion=detail.confusion,
        calibration=detail.calibration,
        residuals=detail.residuals,
        slices=[_sliced(judge, some, blocks, minimum_rows, seed) for some in slices],
        worst=worst,
        blocks=blocks.take(known).count,
        blocked_by=blocks.what,
    )


def drawn(
    judge: Judge, which: NDArray[np.bool_], blocks: Blocks, seed: int, resamples: int = RESAMPLES
) -> tuple[Judge, Draws]:
    """The rows of a mask, those of a block beside each other, and the draws of their blocks."""
    order, draws = blocks.take(which).draw(seed, resamples)
    return judge.take(np.flatnonzero(which)[order]), draws


def _sliced(judge: Judge, some: Slice, blocks: Blocks, minimum_rows: int, seed: int) -> SliceEvaluation:
    figures, rows, note = Figures(), 0, some.why
    if some.mask is not None:
        which = some.mask & judge.known
        rows = int(which.sum())
        if rows < minimum_rows:
            note = f"{rows} rows, fewer than {minimum_rows}: too few to judge by"
        else:
            part, draws = drawn(judge, which, blocks, seed)
            figures = part.brief(draws)
    return SliceEvaluation(
        name=some.name,
        holds=some.holds,
        rows=rows,
        metrics={name: metric for name, metric in figures.metrics.items() if is_headline(name)},
        absent={name: reason for name, reason in figures.absent.items() if is_headline(name)},
        note=note,
    )
