"""Intervals: how sure a mean over blocks of rows is, by the bootstrap, also where there are few blocks.

Percentiles of a plain bootstrap over n blocks make an interval that is too narrow, by the root of (n - 1) / n and as
much as the normal distribution is narrower than Student's t. They are widened by both.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; Kunsch 1989, Ann. Statist. 17:1217,
for blocks; Hesterberg 2015, The American Statistician 69:371, for the expanded percentile interval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAWS = 4000


def interval(
    difference: NDArray[np.float64], blocks: NDArray[np.int64], confidence: float, seed: int
) -> tuple[float, float]:
    """Percentile interval of the mean difference, whole blocks drawn with replacement.

    Shapes:
        difference, blocks: [N], blocks being each row's block number.
    """
    _, place = np.unique(blocks, return_inverse=True)
    tail = expanded_tail(int(place.max()) + 1, confidence)
    sums, counts = np.bincount(place, weights=difference), np.bincount(place)
    drawn = np.random.default_rng(seed).integers(0, len(sums), size=(DRAWS, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def expanded_tail(blocks: int, confidence: float) -> float:
    """Tail probability whose percentiles of a bootstrap over ``blocks`` make an interval of this confidence.

    >>> round(expanded_tail(1000, 0.95), 4), round(expanded_tail(8, 0.95), 4)
    (0.0248, 0.0057)
    """
    if blocks < 2:
        return 0.0
    from scipy import special  # noqa: PLC0415 - most that is imported along with this computes no interval

    student = float(special.stdtrit(blocks - 1, (1 + confidence) / 2))
    return float(special.ndtr(-np.sqrt(blocks / (blocks - 1)) * student))
