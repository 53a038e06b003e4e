"""Colours: pictures made brighter, flatter, paler and of another hue, each by its own amount."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import torch

from training.augment.intervals import around

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.augmentation import ImageVariation

NUMBERS = 4
"""Uniform numbers that the colours of a picture take."""


@dataclasses.dataclass(frozen=True)
class Colours:
    """How the colours of each of N pictures change; what is None stays. Shapes: [N] each.

    Units: ``brightness`` of the range, ``contrast`` and ``saturation`` factors, ``hue`` of the circle.
    """

    brightness: NDArray[np.float64] | None = None
    contrast: NDArray[np.float64] | None = None
    saturation: NDArray[np.float64] | None = None
    hue: NDArray[np.float64] | None = None

    @classmethod
    def drawn(cls, settings: ImageVariation, numbers: NDArray[np.float64]) -> Colours:
        """From uniform numbers. Shapes: [N,4]."""
        return cls(
            around(numbers[:, 0], settings.brightness) if settings.brightness else None,
            1 + around(numbers[:, 1], settings.contrast) if settings.contrast else None,
            1 + around(numbers[:, 2], settings.saturation) if settings.saturation else None,
            around(numbers[:, 3], settings.hue) if settings.hue else None,
        )


def recolour(pictures: Tensor, colours: Colours, *, gaps: bool = True) -> Tensor:
    """The pictures with changed colours, clipped to 0 to 1; a missing pixel (NaN) stays so, and counts as the mean.

    Shapes: [N,C,H,W] of floats from 0 to 1, three channels red, green, blue → the same. ``gaps``: whether any may miss.
    """
    from kornia import enhance  # noqa: PLC0415 - takes seconds to import

    made = _filled(pictures) if gaps else pictures
    for change, amounts, unit in (
        (enhance.adjust_brightness, colours.brightness, 1.0),
        (enhance.adjust_contrast_with_mean_subtraction, colours.contrast, 1.0),
        (enhance.adjust_saturation_with_gray_subtraction, colours.saturation, 1.0),
        (enhance.adjust_hue, colours.hue, 2 * math.pi),
    ):
        if amounts is not None:
            made = change(made, torch.from_numpy(amounts * unit).to(made))
    return torch.where(torch.isnan(pictures), pictures, made) if gaps else made


def _filled(pictures: Tensor) -> Tensor:
    mean = torch.nanmean(pictures, dim=(2, 3), keepdim=True).nan_to_num()
    return torch.where(torch.isnan(pictures), mean, pictures)
