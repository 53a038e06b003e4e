"""Sizes: what parts of few rows can tell at most, so that nobody believes their figures to the last digit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from training.data.chapters import many
from training.data.shares import wilson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from staytrue.bundle import TaskName

FEW = 50
"""Rows below which a part is warned of: an accuracy is then known to 13 points at best."""


def warnings_of(counts: Mapping[str, int], task: TaskName) -> list[str]:
    """Of each part with fewer than :data:`FEW` rows what can be learnt of it, or judged by it.

    >>> warnings_of({"train": 400, "validation": 10, "test": 60}, "classification")
    ['validation has 10 rows: an accuracy of one half has a 95 % interval of ±26 points, wider where rows are alike']
    """
    return [_told(part, count, task) for part, count in counts.items() if count < FEW]


def half_width(count: int) -> float:
    """Of the 95 % interval of an accuracy of one half, which is the widest.

    >>> round(half_width(10), 3), round(half_width(100), 3)
    (0.263, 0.096)
    """
    low, high = wilson(count / 2, count)
    return (high - low) / 2


def factors(count: int) -> tuple[float, float]:
    """The 95 % interval of a root mean squared error of so many normal errors, as factors of what is measured.

    >>> tuple(round(factor, 2) for factor in factors(10))
    (0.7, 1.75)
    """
    from scipy import stats  # noqa: PLC0415 - it takes seconds to import

    low, high = (math.sqrt(count / float(stats.chi2.ppf(level, count))) for level in (0.975, 0.025))
    return low, high


def _told(part: str, count: int, task: TaskName) -> str:
    rows = f"{part} has {many(count, 'row')}"
    if part == "train":
        return f"{rows}: hardly anything can be learnt of so few, means and categories included"
    if not count:
        return f"{rows}: nothing can be judged by it"
    if task == "regression":
        low, high = factors(count)
        figure = f"a root mean squared error has a 95 % interval of {low:.2f} to {high:.2f} times itself"
    elif task == "generation":
        figure = "how like made pictures are to real ones can hardly be told"
    else:
        figure = f"an accuracy of one half has a 95 % interval of ±{100 * half_width(count):.0f} points"
    return f"{rows}: {figure}, wider where rows are alike"
