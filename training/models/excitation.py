"""Squeeze and excitation: attention to channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

REDUCTION = 16
"""The channels are told in this many times fewer numbers."""
LEAST = 4


class Excitation(nn.Module):
    """Multiplies each channel by a number from 0 to 1 that is read off the means of all channels.

    Shapes: [N,channels,H,W] → the same.

    Source: Hu, Shen and Sun, 2018, "Squeeze-and-excitation networks".
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(channels // REDUCTION, LEAST)
        self.squeeze, self.excite = nn.Linear(channels, squeezed), nn.Linear(squeezed, channels)

    def forward(self, maps: Tensor) -> Tensor:
        """The maps, each channel weighed."""
        means = maps.mean(dim=(2, 3))  # [N,channels]
        weights = torch.sigmoid(self.excite(torch.relu(self.squeeze(means))))  # [N,channels]
        return maps * weights[:, :, None, None]
