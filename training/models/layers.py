"""Layers by name: what a network's activations, normalisations and convolutions are made of."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from staytrue.errors import InvalidConfig
from training.models.excitation import Excitation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
NORMALISATIONS = ("none", "batch", "group", "layer")
GROUP = 8
"""Channels of a group, where they can be dealt so."""
FORMATS = ("channels_first", "channels_last")
"""Orders in which maps lie in memory: channel by channel, or pixel by pixel."""


@dataclasses.dataclass(frozen=True)
class Layers:
    """One choice of activation, normalisation and attention, made once and followed all through a network."""

    activation: str = "relu"
    normalisation: str = "batch"
    attention: str = "none"

    def __post_init__(self) -> None:
        one_of("activation", self.activation, ACTIVATIONS)
        one_of("normalisation", self.normalisation, NORMALISATIONS)
        one_of("attention", self.attention, ("none", "channel"))

    def active(self) -> nn.Module:
        """The activation."""
        return ACTIVATIONS[self.activation]()

    def norm(self, channels: int, *, maps: bool = True) -> nn.Module:
        """Brings channels to mean 0 and deviation 1, then to a scale that is learnt.

        Batch: each channel over the rows of a batch. Layer: each row over all of its numbers. Group: each row over the
        numbers of eight channels. Sources: Ioffe and Szegedy, 2015; Ba, Kiros and Hinton, 2016; Wu and He, 2018.

        Shapes: [N,channels,H,W] of maps, else [N,channels] → the same.
        """
        if self.normalisation == "batch":
            return nn.BatchNorm2d(channels) if maps else nn.BatchNorm1d(channels)
        if self.normalisation == "none":
            return nn.Identity()
        return nn.GroupNorm(1 if self.normalisation == "layer" else groups(channels), channels)

    def convolution(self, inputs: int, outputs: int, size: int = 3, stride: int = 1) -> list[nn.Module]:
        """A convolution and its norm, which brings the shift. Shapes: [N,inputs,H,W] → [N,outputs,H/stride,W/stride].

        An even ``size`` leaves one pixel more.
        """
        bias = self.normalisation == "none"
        convolution = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=bias)
        return [convolution, self.norm(outputs)]

    def excitation(self, channels: int) -> list[nn.Module]:
        """What weighs the channels of each picture, where attention is asked for."""
        return [Excitation(channels)] if self.attention == "channel" else []


def groups(channels: int) -> int:
    """Into how many groups channels are dealt.

    >>> [groups(channels) for channels in (4, 12, 16, 24, 512)]
    [1, 1, 2, 3, 64]
    """
    return math.gcd(channels, max(channels // GROUP, 1))


def pictures(matrix: Tensor, shape: Sequence[int], memory_format: str) -> Tensor:
    """Encoded rows as pictures. Shapes: [N,C*H*W] → [N,C,H,W].

    What convolutions make of them lies in memory as they do.
    """
    maps = matrix.reshape(-1, *shape)
    return maps if memory_format == "channels_first" else maps.clone(memory_format=torch.channels_last)


def one_of(setting: str, got: str, known: Iterable[str]) -> None:
    """Refuse a name that there is nothing for.

    Raises:
        InvalidConfig: it is none of those.
    """
    names = list(known)
    if got not in names:
        raise InvalidConfig(f"model.{setting}", expected=f"one of {', '.join(names)} here", got=got)
