"""Moments: mean and deviation of many numbers, part by part, so that no copy of them all is made."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from training.data import mapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def moments(
    column: NDArray[Any], there: Callable[[NDArray[Any]], NDArray[Any]] = lambda values: values
) -> tuple[float, float]:
    """Mean and deviation of the numbers that ``there`` finds among some rows; 0 and 0 of none. Shapes: [N,…].

    Two passes: squares of differences to the mean do not cancel as sums of squares would.

    >>> moments(np.array([[1.0, 3.0], [5.0, 7.0]], dtype=np.float32))
    (4.0, 2.23606797749979)
    """
    count, total, squares = 0, 0.0, 0.0
    for some in mapped.parts(column):
        values = there(column[some])
        count, total = count + values.size, total + float(values.sum(dtype=np.float64))
    if not count:
        return 0.0, 0.0
    mean = total / count
    for some in mapped.parts(column):
        apart = np.subtract(there(column[some]), mean, dtype=np.float64)
        squares += float(np.multiply(apart, apart, out=apart).sum())
    return mean, math.sqrt(squares / count)
