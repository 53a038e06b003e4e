"""Movement: pictures mirrored, turned, scaled and cropped, all but the mirrors by one affine map for each."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch

from training.augment.intervals import around, between, rectangles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.augmentation import ImageVariation

NUMBERS = 8
"""Uniform numbers that the movement of a picture takes."""


@dataclasses.dataclass(frozen=True)
class Movement:
    """How each of N pictures moves. Shapes: [N], but ``middle`` and ``factors`` [N,2], down then right.

    Units: ``degrees`` to the left; ``middle`` in pixels, what comes to the middle, of which (0, 0) is the centre of the
    first.
    """

    mirrored: NDArray[np.bool_]
    upset: NDArray[np.bool_]
    degrees: NDArray[np.float64]
    middle: NDArray[np.float64]
    factors: NDArray[np.float64]
    interpolated: bool = True
    """Whether more than mirrors is asked for: by the settings, as one row's draws must not matter to another."""

    @classmethod
    def drawn(cls, settings: ImageVariation, numbers: NDArray[np.float64], size: Sequence[int]) -> Movement:
        """From uniform numbers, for pictures of a height and width. Shapes: numbers [N,8]."""
        sides = np.array(size, dtype=np.float64)
        middle, factors = np.tile((sides - 1) / 2, (len(numbers), 1)), np.ones((len(numbers), 2))
        if settings.scale:
            factors *= between(numbers[:, 3], settings.scale)[:, None]
        if settings.crop_padding:
            steps = 2 * settings.crop_padding + 1
            middle += np.floor(numbers[:, 4:6] * steps) - settings.crop_padding
        if settings.crop_area:
            kept = rectangles(between(numbers[:, 6], settings.crop_area), numbers[:, 7], settings.crop_ratio)[:, ::-1]
            middle += (numbers[:, 4:6] - 0.5) * (1 - kept) * sides
            factors /= kept
        mirrored, upset = numbers[:, 0] < settings.flip_horizontally, numbers[:, 1] < settings.flip_vertically
        wanted = settings.rotate or settings.scale or settings.crop_padding or settings.crop_area
        return cls(mirrored, upset, around(numbers[:, 2], settings.rotate), middle, factors, interpolated=bool(wanted))

    def maps(self, size: Sequence[int]) -> NDArray[np.float64]:
        """Where each pixel goes, (right, down) to (right, down). Shapes: → [N,2,3]."""
        ends = np.array(size, dtype=np.float64)[::-1] - 1
        turn = np.radians(self.degrees)[:, None, None]
        turned = np.cos(turn) * [[1, 0], [0, 1]] + np.sin(turn) * [[0, 1], [-1, 0]]  # down is positive
        linear = self.factors[:, ::-1, None] * turned
        mirrors = np.stack([self.mirrored, self.upset], axis=1)  # they come first: x becomes end - x
        start = np.where(mirrors, ends, 0) - self.middle[:, ::-1]
        shift = ends / 2 + (linear @ start[:, :, None])[:, :, 0]
        return np.concatenate([linear * np.where(mirrors, -1, 1)[:, None], shift[:, :, None]], axis=2)


def move(pictures: Tensor, movement: Movement, outside: str = "border") -> Tensor:
    """The pictures moved. A missing pixel (NaN) makes those missing that are interpolated from it.

    Shapes: [N,C,H,W] of floats → the same.
    """
    if not movement.interpolated:
        for which, axis in ((movement.mirrored, 3), (movement.upset, 2)):
            chosen = torch.from_numpy(which).to(pictures.device)[:, None, None, None]
            pictures = torch.where(chosen, pictures.flip(axis), pictures) if which.any() else pictures
        return pictures
    from kornia.geometry.transform import warp_affine  # noqa: PLC0415 - takes seconds to import

    size = pictures.shape[2:]
    there = torch.from_numpy(movement.maps(size)).to(pictures)
    moved: Tensor = warp_affine(pictures, there, (size[0], size[1]), padding_mode=outside)
    return moved
