"""Erasing: a rectangle of a picture takes its mean colour.

Source: Zhong, Zheng, Kang, Li and Yang, 2020, "Random erasing data augmentation".
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch

from training.augment.intervals import between, rectangles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.augmentation import ImageVariation

NUMBERS = 5
"""Uniform numbers that the rectangle of a picture takes."""


@dataclasses.dataclass(frozen=True)
class Erasure:
    """First pixel and number of pixels, down then right, of each picture's rectangle. Shapes: [N,2]; 0: none."""

    first: NDArray[np.int64]
    pixels: NDArray[np.int64]

    @classmethod
    def drawn(cls, settings: ImageVariation, numbers: NDArray[np.float64], size: Sequence[int]) -> Erasure:
        """From uniform numbers, for pictures of a height and width. Shapes: numbers [N,5]."""
        shares = rectangles(between(numbers[:, 1], settings.erase_area), numbers[:, 2], settings.erase_ratio)
        pixels = np.maximum(np.round(shares * size), 1).astype(np.int64)
        first = np.floor(numbers[:, 3:5] * (np.array(size) - pixels + 1)).astype(np.int64)
        return cls(first, np.where(numbers[:, :1] < settings.erase, pixels, 0))


def erase(pictures: Tensor, erasure: Erasure, *, gaps: bool = True) -> Tensor:
    """The pictures with their rectangles filled; ``gaps`` says whether a pixel may miss (NaN).

    Shapes: [N,C,H,W] of floats → the same.
    """
    inside = [
        torch.from_numpy((place >= first[:, None]) & (place < (first + pixels)[:, None])).to(pictures.device)
        for place, first, pixels in zip(
            (np.arange(side) for side in pictures.shape[2:]), erasure.first.T, erasure.pixels.T, strict=True
        )
    ]
    mask = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    mean = (torch.nanmean if gaps else torch.mean)(pictures, dim=(2, 3), keepdim=True)
    return torch.where(mask, mean, pictures)
