"""The Inception network for pictures: modules that look at one input in four ways, side by side.

Sources: Szegedy et al., 2015, "Going deeper with convolutions", for the modules; Szegedy et al., 2016, "Rethinking the
Inception architecture for computer vision", for two convolutions of 3 by 3 in place of one of 5 by 5, and for modules
that halve the picture; Ioffe and Szegedy, 2015, "Batch normalization", for the norm behind each convolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from training.models.layers import FORMATS, Layers, one_of, pictures
from training.models.stem import blocks_of, stem_of

if TYPE_CHECKING:
    from torch import Tensor

    from training.models.layout import Layout

OUT = 4
"""Channels that come out of a module, for each of its width."""


class Branches(nn.Module):
    """Branches beside each other, their channels in one row; ``outputs`` of them."""

    def __init__(self, branches: list[nn.Sequential], outputs: int, layers: Layers) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.weighed = nn.Sequential(*layers.excitation(outputs))

    def forward(self, maps: Tensor) -> Tensor:
        """What each branch sees."""
        out: Tensor = self.weighed(torch.cat([branch(maps) for branch in self.branches], dim=1))
        return out


class Inception(nn.Module):
    """A stem, stages of modules with twice the channels and half the size of the one before, a mean, a layer.

    ``stages`` counts the modules of each stage; without, there are ``depth`` in each, and as many stages as the size of
    the pictures allows. A module of width 64 has the sizes of the first one of Inception v3: 64 channels of 1 by 1, 64
    of 3 by 3, 96 of twice 3 by 3, 32 pooled, 256 in all.

    Shapes: [N,C*H*W] → [N,outputs].
    """

    KINDS = ("image",)

    def __init__(
        self,
        layout: Layout,
        outputs: int,
        *,
        width: int = 16,
        depth: int = 2,
        dropout: float = 0.0,
        stages: list[int] | None = None,
        stem: str = "by_size",
        kernel: int | None = None,
        stride: int | None = None,
        activation: str = "relu",
        normalisation: str = "batch",
        attention: str = "none",
        memory_format: str = "channels_last",
    ) -> None:
        super().__init__()
        one_of("memory_format", memory_format, FORMATS)
        self.shape, self.memory_format = tuple(layout.one("image").shape), memory_format
        layers = Layers(activation, normalisation, attention)
        made, size = stem_of(self.shape, width, layers, stem, kernel, stride)
        channels = width
        for stage, count in enumerate(blocks_of(stages, depth, size)):
            if stage:
                made.append(halving(channels, width, layers))
                channels, width = channels + OUT * width, 2 * width
            for _ in range(count):
                made.append(beside(channels, width, layers))  # [N,4*width,H/2^stage,W/2^stage]
                channels = OUT * width
        self.layers = nn.Sequential(*made)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(channels, outputs)

    def forward(self, matrix: Tensor) -> Tensor:
        """Encoded pictures to ``outputs`` numbers each."""
        maps = self.layers(pictures(matrix, self.shape, self.memory_format))  # [N,channels,h,w]
        out: Tensor = self.last(self.dropout(maps.mean(dim=(2, 3))))  # [N,channels] → [N,outputs]
        return out


def beside(inputs: int, width: int, layers: Layers) -> Branches:
    """A module that keeps the size. Shapes: [N,inputs,H,W] → [N,4*width,H,W]."""
    few, more = max(width * 3 // 4, 1), width * 3 // 2
    pool = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    branches = [
        _chain(inputs, layers, (1, width)),
        _chain(inputs, layers, (1, few), (3, width)),
        _chain(inputs, layers, (1, width), (3, more), (3, more)),
        nn.Sequential(pool, *_chain(inputs, layers, (1, OUT * width - 2 * width - more))),
    ]
    return Branches(branches, OUT * width, layers)


def halving(inputs: int, width: int, layers: Layers) -> Branches:
    """A module that halves the size. Shapes: [N,inputs,H,W] → [N,inputs+4*width,ceil(H/2),ceil(W/2)]."""
    branches = [
        _chain(inputs, layers, (1, width), (3, 2 * width), stride=2),
        _chain(inputs, layers, (1, width), (3, width * 3 // 2), (3, 2 * width), stride=2),
        nn.Sequential(nn.MaxPool2d(3, stride=2, padding=1)),
    ]
    return Branches(branches, inputs + OUT * width, layers)


def _chain(inputs: int, layers: Layers, *sizes: tuple[int, int], stride: int = 1) -> nn.Sequential:
    """Convolutions behind each other, each (size, channels); the last has the stride."""
    made: list[nn.Module] = []
    for place, (size, channels) in enumerate(sizes, 1):
        made += [*layers.convolution(inputs, channels, size, stride if place == len(sizes) else 1), layers.active()]
        inputs = channels
    return nn.Sequential(*made)
