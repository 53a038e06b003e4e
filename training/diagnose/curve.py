"""Curve: how a series of epochs moves, beside how much it trembles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Series = NDArray[np.float64]

FEWEST = 6
"""Epochs that anything can be told of."""


def noise(values: Series) -> float:
    """Deviation of what is no trend, by second differences, which a line has none of. Shapes: [E].

    Source: Gasser, Sroka and Jennen-Steinmetz, 1986, "Residual variance and residual pattern in nonlinear regression";
    the median stands in for the mean, so that a single leap counts little.

    >>> noise(np.arange(9.0))
    0.0
    """
    if len(values) < FEWEST:
        return 0.0
    second = np.diff(values, 2)
    return float(1.4826 * np.median(np.abs(second - np.median(second))) / math.sqrt(6))


def trend(values: Series) -> tuple[float, float]:
    """Mann-Kendall's tau, from -1 (always down) to 1, and how probable as much is without a trend (two-sided).

    Source: Mann, 1945, "Nonparametric tests against trend"; Kendall, 1975, "Rank correlation methods".

    >>> [round(value, 4) for value in trend(np.arange(6.0)[::-1])]
    [-1.0, 0.0028]
    """
    from scipy import stats  # noqa: PLC0415 - it takes seconds to import

    if len(values) < FEWEST or (values == values[0]).all():
        return 0.0, 1.0
    found = stats.kendalltau(np.arange(len(values)), values)
    return float(found.statistic), float(found.pvalue)


def rise(values: Series) -> tuple[float, float]:
    """By what share the last epochs lie above the least value, and the lower end of that, noise taken into account.

    The least of noisy values is too low by chance: what noise of so many epochs makes is taken off. The last fifth
    stands for the end.
    """
    last = max(3, len(values) // 5)
    best, spread = float(values.min()), noise(values)
    if best <= 0 or len(values) < FEWEST:
        return 0.0, 0.0
    lucky = spread * math.sqrt(2 * math.log(len(values)))
    found = float(values[-last:].mean()) / best - 1
    return found, found - (lucky + 1.96 * spread / math.sqrt(last)) / best


def fall(values: Series) -> tuple[float, float]:
    """By what share the last fifth of the epochs still fell, and the lower end of that, noise taken into account."""
    last = max(3, len(values) // 5)
    if len(values) <= last or values[-last - 1] <= 0:
        return 0.0, 0.0
    begin = float(values[-last - 1])
    found = 1 - float(values[-1]) / begin
    return found, found - 1.96 * math.sqrt(2) * noise(values) / begin
