"""Axes of any size beside that of the rows: which go together, and rows of other sizes along them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from export.pool import Pool
from staytrue.signature import MISSING_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from export.pool import Arrays
    from staytrue.signature import Signature

    Axis = tuple[str, int]

SIZES = (1, 2, 7)
"""Tried along a free axis, and twice what real rows have, and one more."""


def together(
    signature: Signature, part: Pool, refused: Callable[[Arrays], bool]
) -> Iterator[tuple[tuple[Axis, ...], bool]]:
    """Free axes, each by itself where the module takes that, or with those of the same size; and whether it does.

    Args:
        part: rows that it takes.
        refused: whether it takes others.
    """
    free = signature.free_axes()
    told: set[Axis] = set()
    for one in free:
        if one in told:
            continue
        size = part.rows[one[0]].shape[one[1]]
        tied = tuple(axis for axis in free if part.rows[axis[0]].shape[axis[1]] == size)
        taken = next((axes for axes in ((one,), tied) if _takes(part, axes, refused)), None)
        told.update(taken or (one,))
        yield taken or (one,), taken is not None


def resized(part: Pool, axes: tuple[Axis, ...]) -> Iterator[Pool]:
    """The same rows, repeated or cut along axes, at each size that is tried."""
    size = part.rows[axes[0][0]].shape[axes[0][1]]
    for tried in sorted({*SIZES, size + 1, 2 * size} - {size}):
        made = dict(part.rows)
        for key, axis in axes:
            made[key] = _along(made[key], axis, tried)
        yield Pool(made, part.real)


def _along(array: NDArray[Any], axis: int, size: int) -> NDArray[Any]:
    """Repeated or cut to a size; of what is empty there is nothing to repeat: zeros, or empty texts."""
    if not array.shape[axis]:
        shape = (*array.shape[:axis], size, *array.shape[axis + 1 :])
        return np.full(shape, MISSING_TEXT if array.dtype == object else 0, dtype=array.dtype)
    made: NDArray[Any] = np.take(array, np.arange(size) % array.shape[axis], axis=axis)
    return made


def _takes(part: Pool, axes: tuple[Axis, ...], refused: Callable[[Arrays], bool]) -> bool:
    return any(not refused(made.rows) for made in resized(part, axes))
