"""Blocks of time: neighbours are alike, so what counts as one draw is a block of rows, never a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAY_SECONDS = 86400.0
FULL = 0.8
"""A block or a window counts as whole from this share of the usual number of rows."""


def whole_blocks(time: NDArray[np.float64], seconds: float) -> list[NDArray[np.intp]]:
    """Indices of the rows of each whole block of a length, in order of time.

    Blocks are counted from the first row's day, so that they start at midnight UTC where the length is whole days.
    A block with under 80% of the median block's rows is left out: its mean would scatter more than the others'.

    >>> [len(block) for block in whole_blocks(np.arange(0.0, 10.0), 3.0)]
    [3, 3, 3]
    """
    if not len(time):
        return []
    first = np.floor(time.min() / DAY_SECONDS) * DAY_SECONDS if seconds >= DAY_SECONDS else time.min()
    place = np.floor((time - first) / seconds).astype(np.int64)
    groups = [np.flatnonzero(place == number) for number in np.unique(place)]
    usual = float(np.median([len(group) for group in groups]))
    return [group for group in groups if len(group) >= FULL * usual]


def usual_rows(blocks: list[NDArray[np.intp]]) -> float:
    """Rows of the median block; 0 without blocks."""
    return float(np.median([len(block) for block in blocks])) if blocks else 0.0
