"""Relation: how each feature goes with the target among the training rows, for people to judge the data by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from training.data.chapters import Chapter, Table
from training.data.clean.cleaning import is_missing
from training.data.distinct import distinct
from training.data.rows import by_name, evenly, learnable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from staytrue.feature import Feature
    from training.data.chapters import Cell
    from training.data.rows import TrainingRows

MOST_ROWS = 50_000
LEAST_ROWS = 10
"""Fewer rows that have both values tell nothing."""
SAME = 0.9999
"""A rank correlation of a feature that is as good as the target itself."""
SPEARMAN, RATIO, SHARED = "rank correlation", "correlation ratio", "shared information"
_SINGLE = {"numeric", "date", "category"}
_NOTE = (
    f"{SPEARMAN} (Spearman): -1 to 1, of numbers. {RATIO} (epsilon squared, Kelley 1935): 0 to 1, the share of a "
    f"number's variance between names, less what chance gives. {SHARED}: 0 to 1, the share of the target's "
    "entropy that the feature tells, of names; chance gives some where there are many. Each by itself: what "
    "features tell together stands in none of them."
)


class Relation(NamedTuple):
    """Of a feature and a target; ``value`` is None where it has none, as of a column that is the same everywhere."""

    feature: str
    target: str
    measure: str
    value: float | None
    rows: int


def chapter(rows: TrainingRows, features: Mapping[str, Feature], targets: Sequence[str]) -> Chapter:
    """Strongest first, of each target; pictures, texts and sequences are left out."""
    found = sorted(relations(rows, features, targets), key=lambda one: (one.target, -abs(one.value or 0.0)))
    told: list[list[Cell]] = [[one.target, one.feature, one.measure, one.value, one.rows] for one in found]
    columns = ["target", "feature", "measure", "value", "rows"]
    same = [one for one in found if one.measure == SPEARMAN and one.value is not None and abs(one.value) >= SAME]
    return Chapter(
        title="Features and target",
        summary="How each feature goes with the target, by itself, among the training rows that have both.",
        tables=[Table(title="Relations", columns=columns, rows=told, note=_NOTE)] if told else [],
        warnings=[
            f"{one.feature} rises or falls with {one.target} in all rows: is it known when the model is asked?"
            for one in same
        ],
    )


def relations(rows: TrainingRows, features: Mapping[str, Feature], targets: Sequence[str]) -> Iterator[Relation]:
    """One for each feature of single values and each target, of at most :data:`MOST_ROWS` rows from all over."""
    some = evenly(len(learnable(rows)), MOST_ROWS)
    for target, truths in by_name(rows.target[some], targets).items():
        for name, feature in features.items():
            if feature.kind not in _SINGLE:
                continue
            column = rows.columns[name][some]
            there = ~is_missing(column) & ~is_missing(truths)
            measure, value = _measured(column[there], truths[there], feature.kind == "category")
            yield Relation(name, target, measure, value, int(there.sum()))


def _measured(column: NDArray[Any], truths: NDArray[Any], category: bool) -> tuple[str, float | None]:
    classes = truths.dtype == object
    enough = len(column) >= LEAST_ROWS and bool((column != column[0]).any()) and bool((truths != truths[0]).any())
    if category and classes:
        return SHARED, _shared(column, truths) if enough else None
    if category or classes:
        names, numbers = (column, truths) if category else (truths, column)
        return RATIO, correlation_ratio(names, numbers.astype(np.float64)) if enough else None
    from scipy import stats  # noqa: PLC0415 - it takes seconds to import

    return SPEARMAN, float(stats.spearmanr(column, truths).statistic) if enough else None


def correlation_ratio(names: NDArray[Any], numbers: NDArray[np.float64]) -> float | None:
    """Epsilon squared; None where each row has a name of its own. Shapes: [N], [N].

    Source: Kelley, 1935, "An unbiased correlation ratio measure".

    >>> correlation_ratio(np.array(["a", "a", "b", "b"], object), np.array([0.0, 2.0, 4.0, 6.0]))
    0.7
    """
    groups = distinct(names)[1]
    counts = np.bincount(groups)
    if len(counts) >= len(numbers):
        return None
    scaled = numbers - numbers.mean()
    scaled /= np.abs(scaled).max() or 1.0  # squares of huge numbers would be infinite
    within = float(((scaled - (np.bincount(groups, scaled) / counts)[groups]) ** 2).sum())
    share = within / float((scaled**2).sum()) * (len(numbers) - 1) / (len(numbers) - len(counts))
    return max(0.0, 1.0 - share)


def _shared(column: NDArray[Any], truths: NDArray[Any]) -> float:
    from scipy import stats  # noqa: PLC0415 - as above
    from sklearn.metrics import mutual_info_score  # noqa: PLC0415 - it takes seconds to import

    codes = distinct(truths)[1]
    entropy = float(stats.entropy(np.bincount(codes)))
    return float(mutual_info_score(codes, distinct(column)[1])) / entropy
