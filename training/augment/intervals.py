"""Intervals: uniform numbers brought to the span that a setting names, and areas to their sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def between(numbers: NDArray[np.float64], ends: Sequence[float]) -> NDArray[np.float64]:
    """Evenly over an interval.

    >>> between(np.array([0.0, 0.5]), [1, 3]).tolist()
    [1.0, 2.0]
    """
    return ends[0] + numbers * (ends[1] - ends[0])


def around(numbers: NDArray[np.float64], most: float) -> NDArray[np.float64]:
    """Evenly to either side of 0.

    >>> around(np.array([0.0, 0.5]), 3).tolist()
    [-3.0, 0.0]
    """
    return (2 * numbers - 1) * most


def rectangles(area: NDArray[np.float64], numbers: NDArray[np.float64], ratios: Sequence[float]) -> NDArray[np.float64]:
    """Sides of rectangles whose ratio, first side over second, is spread evenly by its logarithm; none above 1.

    Shapes: [N], [N] → [N,2].

    >>> rectangles(np.array([0.25]), np.array([0.5]), [0.5, 2]).tolist()
    [[0.5, 0.5]]
    """
    ratio = np.exp(between(numbers, np.log(ratios).tolist()))
    sides: NDArray[np.float64] = np.minimum(np.stack([np.sqrt(area * ratio), np.sqrt(area / ratio)], axis=1), 1.0)
    return sides
