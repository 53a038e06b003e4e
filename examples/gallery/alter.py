"""What happens to pictures out there: lenses blur, mounts turn, sensors get noisy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Alteration = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]

BLUR_SHARE = 0.08
"""Deviation of the blur, of the picture's width."""
DEGREES = 25.0
NOISE = 40.0
"""Deviation of the noise, of 255 greys."""


def clean(pictures: NDArray[np.uint8], _: np.random.Generator) -> NDArray[np.uint8]:
    """As they are."""
    return pictures


def blurred(pictures: NDArray[np.uint8], _: np.random.Generator) -> NDArray[np.uint8]:
    """Out of focus. Shapes: [N,C,H,W] → [N,C,H,W], as for the others."""
    sigma = BLUR_SHARE * pictures.shape[-1]
    return _bytes(ndimage.gaussian_filter(pictures.astype(np.float64), sigma, axes=(2, 3)))


def rotated(pictures: NDArray[np.uint8], _: np.random.Generator) -> NDArray[np.uint8]:
    """Turned about the middle; what comes in at the corners is black."""
    return _bytes(ndimage.rotate(pictures.astype(np.float64), DEGREES, axes=(2, 3), reshape=False, order=1))


def noisy(pictures: NDArray[np.uint8], draw: np.random.Generator) -> NDArray[np.uint8]:
    """Each value off by some greys, by itself."""
    return _bytes(pictures + draw.normal(0, NOISE, pictures.shape))


ALTERATIONS: dict[str, Alteration] = {"blurred": blurred, "rotated": rotated, "noisy": noisy}


def _bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)
