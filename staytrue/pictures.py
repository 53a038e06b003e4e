"""What is watched of a picture: a few numbers that blur, noise, rotation or another light change.

Training writes them into the reference profile, monitoring computes them of what was served; both by this file, so that
they mean the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUMMARIES = ("brightness", "contrast", "sharpness", "grain", "tilt")
"""Each picture's columns in the profile: ``NAME.brightness`` and so on."""
_SMALL = 1e-6
BATCH = 1 << 18
"""Values of pictures that are in memory as floats at once; a dozen times, since each step makes others of them."""


def summarise(pictures: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """The numbers of each picture. UINT8 counts as 0 to 1, other datatypes as they are.

    - brightness: mean of the values, all channels.
    - contrast: standard deviation of the values.
    - sharpness: mean absolute step between neighbours, over the contrast: blur lowers it.
    - grain: mean absolute second difference along rows and columns, over the mean step: noise raises it.
    - tilt: correlation of row and column, weighted by ink (difference from the border's mean): rotation moves it.

    A picture of one colour has contrast 0, and 0 in all that follows from it.

    Shapes:
        pictures: [N,C,H,W]; each result: [N].

    >>> flat = np.zeros((1, 1, 4, 4), dtype=np.uint8)
    >>> {name: float(values[0]) for name, values in summarise(flat).items()}
    {'brightness': 0.0, 'contrast': 0.0, 'sharpness': 0.0, 'grain': 0.0, 'tilt': 0.0}
    """
    step = max(1, BATCH // max(1, int(np.prod(pictures.shape[1:]))))
    parts = [_summarise(pictures[at : at + step]) for at in range(0, len(pictures), step)]
    return {name: np.concatenate([part[name] for part in parts]) if parts else np.empty(0) for name in SUMMARIES}


def _summarise(pictures: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    values = pictures.astype(np.float64)
    if pictures.dtype == np.uint8:
        values /= 255.0
    contrast = values.std(axis=(1, 2, 3))
    step = _mean_abs(np.diff(values, axis=2), np.diff(values, axis=3))
    bend = _mean_abs(np.diff(values, n=2, axis=2), np.diff(values, n=2, axis=3))
    return {
        "brightness": values.mean(axis=(1, 2, 3)),
        "contrast": contrast,
        "sharpness": _ratio(step, contrast),
        "grain": _ratio(bend, step),
        "tilt": _tilt(values.mean(axis=1)),
    }


def _mean_abs(down: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean absolute value over both directions; 0 where a picture is too small to have any."""
    count = np.prod(down.shape[1:]) + np.prod(right.shape[1:])
    total = np.abs(down).sum(axis=(1, 2, 3)) + np.abs(right).sum(axis=(1, 2, 3))
    return np.asarray(total / max(int(count), 1))


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(below > _SMALL, above / np.maximum(below, _SMALL), 0.0)


def _tilt(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of the ink's row and column. Shapes: [N,H,W] → [N], in [-1, 1]."""
    height, width = grey.shape[1:]
    border = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1).mean(axis=1)
    ink = np.abs(grey - border[:, None, None])
    total = np.maximum(ink.sum(axis=(1, 2)), _SMALL)
    rows, columns = np.arange(height)[None, :, None], np.arange(width)[None, None, :]
    row = (ink * rows).sum(axis=(1, 2)) / total
    column = (ink * columns).sum(axis=(1, 2)) / total
    down, right = rows - row[:, None, None], columns - column[:, None, None]
    across = (ink * down * right).sum(axis=(1, 2)) / total
    spread = np.sqrt((ink * down**2).sum(axis=(1, 2)) * (ink * right**2).sum(axis=(1, 2))) / total
    return _ratio(across, spread)
