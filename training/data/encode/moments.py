"""Moments: mean and deviation of many numbers, part by part, so that no copy of them all is made."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import InvalidInput
from training.data import mapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

LARGEST = float(np.finfo(np.float32).max)
HUGE = LARGEST / 32
"""What is divided by more is first multiplied by :data:`SHRUNK`: differences of the ends of FP32 overflow, and would be
cut although they are not beyond where numbers are cut."""
SHRUNK = 0.25
LEAST = float(np.finfo(np.float32).tiny)
"""Of the numbers that FP32 holds in full: nothing is divided by less."""
_MOST = 1e15
"""Of mean and deviation where squares of numbers are added up in FP32."""


def divisor(deviation: float) -> float:
    """A deviation as what FP32 numbers are divided by: 1 where it holds none, as of a column that carries nothing.

    >>> divisor(2.0), divisor(0.0), divisor(1e-40)
    (2.0, 1.0, 1.0)
    """
    return deviation if deviation >= LEAST else 1.0


def moments(
    column: NDArray[Any], there: Callable[[NDArray[Any]], NDArray[Any]] = lambda values: values
) -> tuple[float, float]:
    """Mean and deviation of the numbers that ``there`` finds among some rows; 0 and 0 of none. Shapes: [N,…].

    The deviation of numbers that are all the same is 0, whatever the rounding of their mean.

    Two passes: squares of differences to the mean do not cancel as sums of squares would.

    >>> moments(np.array([[1.0, 3.0], [5.0, 7.0]], dtype=np.float32))
    (4.0, 2.23606797749979)
    """
    count, total, squares, low, high = 0, 0.0, 0.0, math.inf, -math.inf
    for some in mapped.parts(column):
        values = there(column[some])
        count, total = count + values.size, total + float(values.sum(dtype=np.float64))
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    if not count:
        return 0.0, 0.0
    if low == high:
        return low, 0.0
    mean = total / count
    for some in mapped.parts(column):
        apart = np.subtract(there(column[some]), mean, dtype=np.float64)
        squares += float(np.multiply(apart, apart, out=apart).sum())
    return mean, math.sqrt(squares / count)


def check(name: str, means: Iterable[float], deviations: Iterable[float]) -> None:
    """Refuse moments by which numbers would become infinite in FP32.

    Raises:
        InvalidInput: names the feature.
    """
    beyond = [value for value in (*means, *deviations) if not abs(value) <= _MOST]
    if beyond:
        hint = "a number that stands for none (such as -1e30) is to be NaN; others bring to another unit in data.query"
        expected = f"channels whose mean and deviation are within {_MOST:g}"
        raise InvalidInput(f"data.features.{name}", expected=expected, got=f"{beyond[0]:g}", hint=hint)
