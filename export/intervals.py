"""Intervals: how sure a mean over blocks of rows is, by the bootstrap, also where there are few blocks.

Percentiles of a plain bootstrap over n blocks make an interval that is too narrow, by the root of (n - 1) / n and as
much as the normal distribution is narrower than Student's t. They are widened by both. Resamples of fewer than ten
blocks do not reach as far as that asks for: there each end is at least as far off as Student's t times the bootstrap's
standard error says.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; Kunsch 1989, Ann. Statist. 17:1217,
for blocks; Hesterberg 2015, The American Statistician 69:371, for the expanded percentile interval and the t interval
with bootstrap standard error.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAWS = 4000
FEW = 10
"""Blocks below which widened percentiles alone fall short: of five, 95% intervals hold the truth in 92 cases of 100."""


def interval(
    difference: NDArray[np.float64], blocks: NDArray[np.int64], confidence: float, seed: int
) -> tuple[float, float]:
    """Percentile interval of the mean difference, whole blocks drawn with replacement.

    Shapes:
        difference, blocks: [N], blocks being each row's block number.
    """
    _, place = np.unique(blocks, return_inverse=True)
    sums, counts = np.bincount(place, weights=difference), np.bincount(place)
    drawn = np.random.default_rng(seed).integers(0, len(sums), size=(DRAWS, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return bounds(float(difference.mean()), means, len(sums), confidence)


def bounds(value: float, drawn: NDArray[np.float64], blocks: int, confidence: float) -> tuple[float, float]:
    """The interval of a value by its resamples over so many blocks.

    Shapes: drawn [R], at least one, all finite.
    """
    tail = expanded_tail(blocks, confidence)
    low, high = (float(end) for end in np.quantile(drawn, [tail, 1 - tail]))
    if not 2 <= blocks < FEW:
        return low, high
    unit = float(np.abs(drawn).max()) or 1.0  # squares of very large numbers have no value
    reach = _widening(blocks, confidence) * float((drawn / unit).std()) * unit
    if math.isinf(value - reach) or math.isinf(value + reach):
        return low, high
    return min(low, value - reach), max(high, value + reach)


def expanded_tail(blocks: int, confidence: float) -> float:
    """Tail probability whose percentiles of a bootstrap over ``blocks`` make an interval of this confidence.

    >>> round(expanded_tail(1000, 0.95), 4), round(expanded_tail(8, 0.95), 4)
    (0.0248, 0.0057)
    """
    if blocks < 2:
        return 0.0
    from scipy import special  # noqa: PLC0415 - most that is imported along with this computes no interval

    return float(special.ndtr(-_widening(blocks, confidence)))


def _widening(blocks: int, confidence: float) -> float:
    """How many of the bootstrap's standard errors an end is off, of at least two blocks."""
    from scipy import special  # noqa: PLC0415 - as above

    return float(np.sqrt(blocks / (blocks - 1)) * special.stdtrit(blocks - 1, (1 + confidence) / 2))
