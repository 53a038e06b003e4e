"""Dense links: what a block makes of its input stands beside it, and every later block sees both.

Source: Huang, Liu, van der Maaten and Weinberger, 2017, "Densely connected convolutional networks".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from training.models.layers import Layers

WITHIN = 4
"""Channels inside a bottleneck, for each that it adds."""


class DenseBlock(nn.Module):
    """Adds ``growth`` channels to those that come in. Shapes: [N,inputs,H,W] → [N,inputs+growth,H,W].

    Norm and activation stand in front of each convolution. Basic: one of 3 by 3; bottleneck: one of 1 by 1 before it.
    """

    def __init__(self, inputs: int, growth: int, layers: Layers, *, bottleneck: bool) -> None:
        super().__init__()
        before: list[nn.Module] = [layers.norm(inputs), layers.active()]
        if bottleneck:
            before += [*layers.convolution(inputs, WITHIN * growth, 1), layers.active()]
            inputs = WITHIN * growth
        convolution = nn.Conv2d(inputs, growth, 3, padding=1, bias=False)
        self.inner = nn.Sequential(*before, convolution, *layers.excitation(growth))

    def forward(self, maps: Tensor) -> Tensor:
        """What came in, and beside it what is new."""
        return torch.cat([maps, self.inner(maps)], dim=1)


def dense_stages(counts: list[int], growth: int, layers: Layers, *, bottleneck: bool) -> tuple[list[nn.Module], int]:
    """All stages after a stem of twice the growth, and the channels that come out of the last.

    Between two stages the channels are halved by a convolution of 1 by 1, and the picture by a mean of 2 by 2.
    """
    made: list[nn.Module] = []
    channels = 2 * growth
    for stage, count in enumerate(counts):
        if stage:
            halved = nn.Conv2d(channels, channels // 2, 1, bias=False)
            made += [layers.norm(channels), layers.active(), halved, nn.AvgPool2d(2, ceil_mode=True)]
            channels //= 2
        for _ in range(count):
            made.append(DenseBlock(channels, growth, layers, bottleneck=bottleneck))
            channels += growth
    return [*made, layers.norm(channels), layers.active()], channels
