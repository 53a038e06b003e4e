"""Blocks of time: neighbours are alike, so what counts as one draw is a block of rows, never a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from staytrue.records import DAY_SECONDS, HOUR_SECONDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

FULL = 0.8
"""A block counts as whole from this share of the usual number of rows."""
WHOLE_WINDOW = 0.9
"""A window does from this share: a week that lacks one day has another mix of weekdays, and no drift."""


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


def extent(time: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much rows amount to: their number, how many different hours they fall in, the seconds from first to last.

    A busy server has as many rows in an hour as a quiet one in a week, and they are still one hour.

    >>> extent(np.array([0.0, 60.0, 7200.0])).tolist()
    [3.0, 2.0, 7200.0]
    """
    if not len(time):
        return np.zeros(3)
    return np.array([len(time), len(np.unique(time // HOUR_SECONDS)), np.ptp(time)])


def usual_extent(time: NDArray[np.float64], blocks: list[NDArray[np.intp]]) -> NDArray[np.float64]:
    """What the median block amounts to; zeros without blocks."""
    return np.median([extent(time[block]) for block in blocks], axis=0) if blocks else np.zeros(3)
