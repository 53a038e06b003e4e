"""Pictures: those of a column varied as they are sent, before the model's own encoding sees them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch

from training.augment import colours, erasing, movement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.augmentation import ImageVariation
    from staytrue.feature import Feature
    from training.augment.draws import Draws

_BYTES = [0.0, 255.0]
_MOVES = slice(4, 4 + movement.NUMBERS)
_COLOURS = slice(_MOVES.stop, _MOVES.stop + colours.NUMBERS)
_ERASES = slice(_COLOURS.stop, _COLOURS.stop + erasing.NUMBERS)
"""Which of a row's uniform numbers are whose: each keeps its own, whatever else is set. The first says whether."""


@dataclasses.dataclass(frozen=True)
class Pictures:
    """What varies one column of pictures."""

    settings: ImageVariation
    feature: Feature
    draws: Draws

    def __call__(self, pictures: Tensor, places: NDArray[np.int64], epoch: int) -> Tensor:
        """The pictures of some rows, varied. Shapes: as sent, [N,C,H,W] or [N,H,W,C], bytes or floats → the same."""
        numbers = self.draws.rows(places, epoch, _ERASES.stop)
        chosen = numbers[:, 0] < self.settings.share
        if chosen.all():
            return self._varied(pictures, numbers)
        made = pictures.clone()
        if chosen.any():
            which = torch.from_numpy(chosen).to(pictures.device)
            made[which] = self._varied(pictures[which], numbers[chosen])
        return made

    def _varied(self, pictures: Tensor, numbers: NDArray[np.float64]) -> Tensor:
        settings, bytes_ = self.settings, self.feature.sent_as == "UINT8"
        last, backwards = self.feature.layout == "channels_last", self.feature.channel_order == "reversed"
        made = pictures.to(torch.float32)
        made = made.permute(0, 3, 1, 2) if last else made
        made = made.flip(1) if backwards else made
        size = made.shape[2:]
        made = movement.move(made, movement.Movement.drawn(settings, numbers[:, _MOVES], size), settings.outside)
        if any(getattr(settings, name) for name in settings.colours()):
            low, high = _BYTES if bytes_ else settings.range
            changed = colours.Colours.drawn(settings, numbers[:, _COLOURS])
            made = colours.recolour((made - low) / (high - low), changed, gaps=not bytes_) * (high - low) + low
        if settings.erase:
            made = erasing.erase(made, erasing.Erasure.drawn(settings, numbers[:, _ERASES], size), gaps=not bytes_)
        made = made.flip(1) if backwards else made
        made = made.permute(0, 2, 3, 1) if last else made
        return made.round().clamp(*_BYTES).to(pictures.dtype) if bytes_ else made.to(pictures.dtype)
