"""The residual network for pictures: stages of blocks whose input is added to their output, or stands beside it.

Sources: He, Zhang, Ren and Sun, 2016, "Deep residual learning for image recognition"; dense links are in
:mod:`training.models.dense`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from training.models.dense import dense_stages
from training.models.layers import FORMATS, Layers, one_of, pictures
from training.models.stem import blocks_of, stem_of

if TYPE_CHECKING:
    from torch import Tensor

    from training.models.layout import Layout

EXPANSION = 4
"""Channels that come out of a bottleneck, for each inside."""
PLAIN = Layers()


class Block(nn.Module):
    """Convolutions around a shortcut. Shapes: [N,inputs,H,W] → [N,outputs,H/stride,W/stride].

    Basic: two of 3 by 3. Bottleneck: one of 3 by 3 on a quarter of the channels, between two of 1 by 1. The shortcut is
    the input itself, or a convolution of 1 by 1 where that has another size; ``shortcut`` false is a plain network.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        layers: Layers = PLAIN,
        *,
        bottleneck: bool = False,
        shortcut: bool = True,
    ) -> None:
        super().__init__()
        within = outputs // EXPANSION if bottleneck else outputs
        first, last = (1, 1) if bottleneck else (3, 3)  # sizes
        middle = [*layers.convolution(within, within, 3, stride), layers.active()] if bottleneck else []
        self.inner = nn.Sequential(
            *layers.convolution(inputs, within, first, 1 if bottleneck else stride),
            layers.active(),
            *middle,
            *layers.convolution(within, outputs, last),
            *layers.excitation(outputs),
        )
        same = inputs == outputs and stride == 1
        around = nn.Identity() if same else nn.Sequential(*layers.convolution(inputs, outputs, 1, stride))
        self.shortcut = around if shortcut else None
        self.active = layers.active()

    def forward(self, maps: Tensor) -> Tensor:
        """What the block changes, added to what came in."""
        changed = self.inner(maps)
        out: Tensor = self.active(changed if self.shortcut is None else changed + self.shortcut(maps))
        return out


class ResNet(nn.Module):
    """A stem, stages of blocks with twice the channels and half the size of the one before, a mean, a layer.

    ``stages`` counts the blocks of each stage; without, there are ``depth`` in each, and as many stages as the size of
    the pictures allows. ``width``: channels of the first stage inside its blocks; with dense links, those that each
    block adds. Known shapes, with ``stem`` large and of these stages:

    =================== ========== ===== =========== ========
    stages              block      width links       name
    =================== ========== ===== =========== ========
    [2, 2, 2, 2]        basic      64    residual    ResNet-18
    [3, 4, 6, 3]        basic      64    residual    ResNet-34
    [3, 4, 6, 3]        bottleneck 64    residual    ResNet-50
    [6, 12, 24, 16]     bottleneck 32    dense       DenseNet-121
    =================== ========== ===== =========== ========

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
        block: str = "basic",
        links: str = "residual",
        stem: str = "by_size",
        kernel: int | None = None,
        stride: int | None = None,
        activation: str = "relu",
        normalisation: str = "batch",
        attention: str = "none",
        memory_format: str = "channels_first",
    ) -> None:
        super().__init__()
        one_of("block", block, ("basic", "bottleneck"))
        one_of("links", links, ("plain", "residual", "dense"))
        one_of("memory_format", memory_format, FORMATS)
        self.shape, self.memory_format = tuple(layout.one("image").shape), memory_format
        layers, bottleneck = Layers(activation, normalisation, attention), block == "bottleneck"
        wide = 2 * width if links == "dense" else width
        first, size = stem_of(self.shape, wide, layers, stem, kernel, stride)
        counts = blocks_of(stages, depth, size)
        if links == "dense":
            made, wide = dense_stages(counts, width, layers, bottleneck=bottleneck)
        else:
            made, wide = _stages(counts, width, layers, bottleneck=bottleneck, shortcut=links == "residual")
        self.layers = nn.Sequential(*first, *made)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(wide, outputs)

    def forward(self, matrix: Tensor) -> Tensor:
        """Encoded pictures to ``outputs`` numbers each."""
        maps = self.layers(pictures(matrix, self.shape, self.memory_format))  # [N,wide,h,w]
        out: Tensor = self.last(self.dropout(maps.mean(dim=(2, 3))))  # [N,wide] → [N,outputs]
        return out


def _stages(
    counts: list[int], width: int, layers: Layers, *, bottleneck: bool, shortcut: bool
) -> tuple[list[nn.Module], int]:
    """All blocks, and the channels that come out of the last."""
    made: list[nn.Module] = []
    channels = width
    for stage, count in enumerate(counts):
        wide = width * 2**stage * (EXPANSION if bottleneck else 1)
        for place in range(count):
            stride = 2 if stage and not place else 1
            made.append(Block(channels, wide, stride, layers, bottleneck=bottleneck, shortcut=shortcut))
            channels = wide  # [N,wide,H/2^stage,W/2^stage]
    return made, channels
