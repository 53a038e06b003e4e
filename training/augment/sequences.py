"""Sequences: noise on their numbers, and a stretch of steps that tells nothing.

Source: Park and others, 2019, "SpecAugment: a simple data augmentation method for automatic speech recognition", of
which this is the mask over time.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.augmentation import SequenceVariation
    from training.augment.draws import Draws


@dataclasses.dataclass(frozen=True)
class Sequences:
    """What varies one column of sequences. Of a row's draws the first block says whether, and where the mask lies."""

    settings: SequenceVariation
    draws: Draws

    def __call__(self, sequences: Tensor, places: NDArray[np.int64], epoch: int) -> Tensor:
        """The sequences of some rows, varied; steps that are not there (NaN) stay away. Shapes: [N,T,C] → the same."""
        given = sequences.cpu().numpy()
        there = ~np.isnan(given)
        count = np.maximum(there.sum(axis=1, keepdims=True), 1)
        mean = np.where(there, given, 0).sum(axis=1, keepdims=True) / count
        numbers = self.draws.rows(places, epoch, 3)
        made = given
        if self.settings.noise:
            spread = np.sqrt((np.where(there, given - mean, 0) ** 2).sum(axis=1, keepdims=True) / count)
            made = made + self.settings.noise * spread * self._normal(places, epoch, given.shape)
        if self.settings.mask:
            made = np.where(self._masked(numbers, there.any(axis=2).sum(axis=1), given.shape[1]), mean, made)
        chosen = (numbers[:, 0] < self.settings.share)[:, None, None]
        return torch.from_numpy(np.where(chosen & there, made, given).astype(given.dtype)).to(sequences.device)

    def _normal(self, places: NDArray[np.int64], epoch: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
        from scipy.special import ndtri  # noqa: PLC0415 - it takes long to import

        drawn = self.draws.rows(places, epoch, 4 + shape[1] * shape[2])[:, 4:]
        found: NDArray[np.float64] = ndtri(drawn).reshape(shape)
        return found

    def _masked(self, numbers: NDArray[np.float64], steps: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
        """Shapes: numbers [N,3], steps that are there [N] → [N,T,1]."""
        width = np.floor(numbers[:, 1] * (np.floor(self.settings.mask * steps) + 1))
        first = np.floor(numbers[:, 2] * (steps - width + 1))
        every = np.arange(most)
        masked: NDArray[np.bool_] = (every >= first[:, None]) & (every < (first + width)[:, None])
        return masked[:, :, None]
