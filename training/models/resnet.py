"""The residual network for pictures: stages of blocks whose input is added to their output.

Source: He, Zhang, Ren and Sun, 2016, "Deep residual learning for image recognition"; the stem of 3 by 3 is that of its
variant for small pictures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from training.models.layout import Layout

MOST_STAGES = 4
SMALLEST = 8
"""A picture that is no larger than this is halved no further than once."""
LARGE, HUGE = 24, 96
"""From these sizes on, the stem halves the picture once, or twice."""


class Block(nn.Module):
    """Two convolutions around a shortcut. Shapes: [N,inputs,H,W] → [N,outputs,H/stride,W/stride]."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            *_convolution(inputs, outputs, stride),
            nn.ReLU(),
            *_convolution(outputs, outputs, 1),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(*_convolution(inputs, outputs, stride, size=1))

    def forward(self, pictures: Tensor) -> Tensor:
        """What the block changes, added to what came in."""
        out: Tensor = nn.functional.relu(self.inner(pictures) + self.shortcut(pictures))
        return out


class ResNet(nn.Module):
    """A stem, stages of ``depth`` blocks with twice the channels and half the size of the one before, a mean, a layer.

    Shapes: [N,C*H*W] → [N,outputs].
    """

    KINDS = ("image",)

    def __init__(self, layout: Layout, outputs: int, *, width: int = 16, depth: int = 2, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = tuple(layout.one("image").shape)
        channels, size = self.shape[0], min(self.shape[1:])
        layers: list[nn.Module] = [*_convolution(channels, width, 2 if size >= LARGE else 1), nn.ReLU()]
        if size >= HUGE:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        for stage in range(_stages(size)):
            wide = width * 2**stage
            before = wide // 2 if stage else width
            layers.append(Block(before, wide, stride=2 if stage else 1))  # [N,wide,H/2^stage,W/2^stage]
            layers += [Block(wide, wide, stride=1) for _ in range(depth - 1)]
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(wide, outputs)

    def forward(self, matrix: Tensor) -> Tensor:
        """Encoded pictures to ``outputs`` numbers each."""
        maps = self.layers(matrix.reshape(-1, *self.shape))  # [N,wide,h,w]
        out: Tensor = self.last(self.dropout(maps.mean(dim=(2, 3))))  # [N,wide] → [N,outputs]
        return out


def _stages(size: int) -> int:
    """How many stages a picture of this size goes through.

    >>> [_stages(size) for size in (4, 8, 28, 32, 224)]
    [1, 2, 2, 3, 4]
    """
    stages = 1
    size //= 4 if size >= HUGE else 2 if size >= LARGE else 1
    while stages < MOST_STAGES and size >= SMALLEST:
        stages, size = stages + 1, size // 2
    return stages


def _convolution(inputs: int, outputs: int, stride: int, size: int = 3) -> tuple[nn.Module, nn.Module]:
    """A convolution whose shift is left to the batch norm behind it."""
    convolution = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)
    return convolution, nn.BatchNorm2d(outputs)
