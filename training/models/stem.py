"""The stem of networks for pictures: their first layers, and how many stages come after them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from training.models.layers import one_of

if TYPE_CHECKING:
    from training.models.layers import Layers

MOST_STAGES = 4
SMALLEST = 8
"""A picture that is no larger than this is halved no further than once."""
LARGE, HUGE = 24, 96
"""From these sizes on, the stem halves the picture once, or twice."""


def stem_of(
    shape: tuple[int, ...], outputs: int, layers: Layers, kind: str, kernel: int | None, stride: int | None
) -> tuple[list[nn.Module], int]:
    """The first layers, and how many pixels of the shorter side they leave. Shapes: [N,C,H,W] → [N,outputs,h,w].

    A convolution, a norm and an activation, then maybe a pooling of 3 by 3 that halves the picture:

    ======== ====== ===================== ==============
    kind     kernel stride                pooling
    ======== ====== ===================== ==============
    by_size  3      1, from 24 pixels on 2 from 96 on
    small    3      1                     no
    pooled   3      1                     yes
    large    7      2                     yes
    ======== ====== ===================== ==============

    ``kernel`` and ``stride``, where given, stand in for the kind's own.

    Source: He, Zhang, Ren and Sun, 2016, "Deep residual learning for image recognition": large is its stem for
    ImageNet, small the one for CIFAR-10.
    """
    one_of("stem", kind, ("by_size", "small", "pooled", "large"))
    channels, size = shape[0], min(shape[1:])
    halves = kind == "large" or (kind == "by_size" and size >= LARGE)
    pools = kind in ("pooled", "large") or (kind == "by_size" and size >= HUGE)
    kernel, stride = kernel or (7 if kind == "large" else 3), stride or (2 if halves else 1)
    made = [*layers.convolution(channels, outputs, kernel, stride), layers.active()]
    if pools:
        made.append(nn.MaxPool2d(3, stride=2, padding=1))
    return made, size // stride // (2 if pools else 1)


def blocks_of(stages: list[int] | None, depth: int, size: int) -> list[int]:
    """Blocks of each stage: as given, or ``depth`` for as many as a stem leaves pixels for, each but the first halving.

    >>> [blocks_of(None, 2, size) for size in (4, 8, 14, 16, 56)]
    [[2], [2, 2], [2, 2], [2, 2, 2], [2, 2, 2, 2]]
    >>> blocks_of([3, 4, 6, 3], 2, 56)
    [3, 4, 6, 3]
    """
    if stages:
        return stages
    count = 1
    while count < MOST_STAGES and size >= SMALLEST:
        count, size = count + 1, size // 2
    return [depth] * count
