"""Parts: what a judge tells of the rows of a part, and of each of its slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.evaluation import PartEvaluation, SliceEvaluation, is_headline
from training.evaluate.bootstrap import Draws, Figures
from training.evaluate.judge import Detail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from staytrue.evaluation import Examples
    from training.evaluate.judge import Judge
    from training.evaluate.slices import Slice

NO_ROWS = "no row has a truth"


def evaluated(
    judge: Judge, slices: Iterable[Slice], *, minimum_rows: int, seed: int, worst: Examples | None = None
) -> PartEvaluation:
    """All metrics of the rows that have a truth, and the headline ones of each slice that has enough such rows."""
    known = judge.known
    judged = judge if known.all() else judge.take(known)
    rows = int(known.sum())
    figures, detail = (
        judged.whole(Draws.of(judged.times, seed)) if rows else (Figures(absent={"all": NO_ROWS}), Detail())
    )
    return PartEvaluation(
        rows=rows,
        left_out=len(known) - rows,
        metrics=figures.metrics,
        absent=figures.absent,
        by_class=detail.by_class,
        confusion=detail.confusion,
        calibration=detail.calibration,
        residuals=detail.residuals,
        slices=[_sliced(judge, some, minimum_rows, seed) for some in slices],
        worst=worst,
    )


def _sliced(judge: Judge, some: Slice, minimum_rows: int, seed: int) -> SliceEvaluation:
    figures, rows, note = Figures(), 0, some.why
    if some.mask is not None:
        which = some.mask & judge.known
        rows = int(which.sum())
        if rows < minimum_rows:
            note = f"{rows} rows, fewer than {minimum_rows}: too few to judge by"
        else:
            part = judge.take(which)
            figures = part.brief(Draws.of(part.times, seed))
    return SliceEvaluation(
        name=some.name,
        holds=some.holds,
        rows=rows,
        metrics={name: metric for name, metric in figures.metrics.items() if is_headline(name)},
        absent={name: reason for name, reason in figures.absent.items() if is_headline(name)},
        note=note,
    )
