"""Curves: what a threshold on a score finds and what it takes along, the ROC and the precision-recall curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from staytrue.evaluation import RankingCurve
from training.evaluate.rates import ranked_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from staytrue.evaluation import ClassEvaluation
    from training.evaluate.bootstrap import Numbers

POINTS = 100
"""Of a curve at most: each is a point of it, and they lie as far from each other along it."""
MOST_CURVES = 50
"""More classes have no curves that anybody could look at."""


def curve(scores: Numbers, holds: NDArray[np.bool_]) -> RankingCurve:
    """Both curves of scores, of which some hold and some do not, the highest threshold first. Shapes: [N], [N].

    Source: Fawcett, 2006, "An introduction to ROC analysis"; scikit-learn counts.
    """
    from sklearn.metrics import precision_recall_curve, roc_curve  # noqa: PLC0415 - it takes a second to import

    wrong, found, limits = (some[1:] for some in roc_curve(holds, scores, drop_intermediate=False))  # [0]: none at all
    precision = precision_recall_curve(holds, scores)[0][-2::-1]  # which begins with all rows, and ends with none
    steps = sum(np.abs(np.diff(some, prepend=some[0])) for some in (wrong, found, precision))
    length = np.cumsum(steps)
    places = np.searchsorted(length, np.linspace(0.0, length[-1], POINTS - 1))
    some = np.unique([*np.minimum(places, len(length) - 1), len(length) - 1])
    return RankingCurve(
        thresholds=limits[some].tolist(),
        recall=found[some].tolist(),
        false_positive_rate=wrong[some].tolist(),
        precision=precision[some].tolist(),
    )


def with_curves(
    by_class: Mapping[str, ClassEvaluation], scores: Numbers, holds: Callable[[int], NDArray[np.bool_]]
) -> dict[str, ClassEvaluation]:
    """The classes with the curve of each that can be ranked against all others, of the rows that are ranked.

    Shapes: scores [N,K]; ``holds`` gives [N] of a class.
    """
    made = dict(by_class)
    if len(made) > MOST_CURVES:
        return made
    some = ranked_rows(*scores.shape)
    for place, (name, told) in enumerate(by_class.items()):
        true = holds(place)[some]
        if true.any() and not true.all():
            made[name] = msgspec.structs.replace(told, curve=curve(scores[some, place], true))
    return made
