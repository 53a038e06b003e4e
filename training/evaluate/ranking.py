"""Ranking: how well scores put what holds before what does not, of all rows and of every resample at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from training.data.rows import evenly

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.evaluate.bootstrap import Draws, Numbers

MOST = 256
"""Thresholds that a resample is ranked at. With more different scores of what holds, neighbours count as tied."""
WORK = 1e9
"""Products of thresholds, blocks and resamples that all classes together may take; beyond, each has fewer of them."""
LEAST = 32


class Areas(NamedTuple):
    """Area under the ROC curve, and average precision; NaN where not defined. Shapes: alike."""

    auc: Numbers
    average_precision: Numbers


def ranked(scores: Numbers, holds: NDArray[np.bool_], draws: Draws, *, among: int = 1) -> tuple[Areas, Areas]:
    """Both areas, and those of the resamples; ``among``: of how many such rankings this is one.

    Where a resample is ranked at fewer thresholds than there are, what this changes in the value itself is taken off
    again. Shapes: [N], [N] → [], [R].
    """
    alone = np.zeros(len(scores), dtype=np.int64)
    point = areas(scores, holds, alone, np.ones((1, 1)), most=len(scores))
    most = int(np.clip(WORK / (among * draws.often.size), LEAST, MOST))
    drawn = areas(scores, holds, draws.blocks, draws.weights, most=most)
    few = len(np.unique(scores[holds])) <= most
    coarse = point if few else areas(scores, holds, alone, np.ones((1, 1)), most=most)
    moved = (some + (exact - about) for some, exact, about in zip(drawn, point, coarse, strict=True))
    auc, precision = (np.clip(some, 0.0, 1.0) for some in moved)
    return Areas(point.auc[0], point.average_precision[0]), Areas(auc, precision)


def areas(
    scores: Numbers, holds: NDArray[np.bool_], groups: NDArray[np.int64], weights: Numbers, *, most: int
) -> Areas:
    """Both areas of rows that count by the weight of their group, for each column of weights.

    Of a pair of rows of which one holds, the area under the ROC curve is the share in which that one has the higher
    score, ties counting half. Average precision is the sum over the thresholds of the growth in recall times the
    precision there. Thresholds are the scores of what holds, at most so many of them.

    Shapes: scores, holds, groups [N], weights [G,R] → [R]. Source: Hanley and McNeil, 1982, "The meaning and use of the
    area under a receiver operating characteristic (ROC) curve"; Fawcett, 2006, "An introduction to ROC analysis".
    """
    count, columns = weights.shape
    if not holds.any():
        nothing = np.full(columns, np.nan)
        return Areas(nothing, nothing)
    limits = np.unique(scores[holds])
    exact = len(limits) <= most
    limits = limits[evenly(len(limits), most)]
    place = np.searchsorted(limits, scores, side="right") - 1  # -1: below all
    tied = (scores == limits[place]) | (not exact)
    cells = (np.where(holds, 0, 1 + tied) * len(limits) + len(limits) - 1 - place) * count + groups
    shape = (3 * len(limits), count)  # what holds, what does not, what does not at the threshold: the highest first
    cut = np.bincount(cells[place >= 0], minlength=shape[0] * count).reshape(shape).astype(np.float64) @ weights
    hits, apart, tied_others = np.split(cut, 3)
    found, others = np.cumsum(hits, axis=0), np.cumsum(apart + tied_others, axis=0)
    total = np.bincount(groups[~holds], minlength=count).astype(np.float64) @ weights
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample without one or the other is not defined
        auc = (hits * (total - others + tied_others / 2)).sum(axis=0) / (found[-1] * total)
        precision = (hits * np.where(hits > 0, found / (found + others), 0.0)).sum(axis=0) / found[-1]
    return Areas(auc, precision)
