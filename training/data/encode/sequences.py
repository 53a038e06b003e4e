"""Sequences: steps of unequal number, filled up with NaN, become scaled numbers, smoothed by setting, and a mask."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from torch import nn

from staytrue.signature import TensorSpec
from training.data.clean.filters import Filter
from training.data.encode.moments import check, divisor, moments
from training.data.encode.numbers import CLIP
from training.data.encode.smoothing import Smoothing

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.feature import Feature


class SequenceState(msgspec.Struct, frozen=True, kw_only=True, tag="sequence", tag_field="kind"):
    """What is known of a column of sequences: size, and mean and deviation of each channel over steps in training."""

    name: str
    unit: str
    shape: list[int]
    mean: list[float]
    deviation: list[float]
    smoothing: Filter | None = None
    """Along the steps, after scaling."""

    def spec(self) -> TensorSpec:
        """What callers send."""
        return TensorSpec(name=self.name, datatype="FP32", shape=[-1, *self.shape], unit=self.unit)

    def module(self) -> SequenceColumn:
        """What encodes it."""
        return SequenceColumn(self)

    def tensor(self, column: NDArray[Any]) -> Tensor:
        """Raw sequences as the module takes them: as they are."""
        return torch.from_numpy(np.ascontiguousarray(column, dtype=np.float32))


def learn_sequences(name: str, present: NDArray[Any], feature: Feature) -> SequenceState:
    """The state of a column of sequences from those that have a step; a channel without any value scales nothing.

    Raises:
        InvalidInput: numbers so large that FP32 cannot scale them.
    """
    means, deviations = [], []
    for channel in np.moveaxis(present, 2, 0):
        mean, deviation = moments(channel, lambda values: values[~np.isnan(values)].astype(np.float64))
        means.append(mean)
        deviations.append(divisor(deviation))
    check(name, means, deviations)
    return SequenceState(name=name, unit=feature.unit, shape=list(feature.shape), mean=means, deviation=deviations)


class SequenceColumn(nn.Module):
    """Each channel centred and scaled, then which steps are there. Shapes: [N,T,C] → [N,T*C+T].

    A step is there if any of its numbers is; one that is missing in it takes its channel's mean.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, state: SequenceState) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(state.mean).reshape(1, 1, -1), persistent=False)
        self.register_buffer("deviation", torch.tensor(state.deviation).reshape(1, 1, -1), persistent=False)
        self.smoothing = None if state.smoothing is None else Smoothing(state.smoothing, state.shape[0])
        self.width = math.prod(state.shape) + state.shape[0]

    def forward(self, sequences: Tensor) -> Tensor:
        """Numbers, step by step, then the mask, side by side."""
        gone = torch.isnan(sequences)
        scaled = torch.clamp((sequences - self.mean) / self.deviation, -CLIP, CLIP)
        numbers = torch.where(gone, torch.zeros_like(scaled), scaled)
        if self.smoothing is not None:  # of cut numbers: an infinite one would spread over its window
            numbers = self.smoothing(numbers, gone)
        there = 1.0 - gone.to(torch.float32).amin(dim=2)  # [N,T]: 0 where all channels are gone
        return torch.cat([numbers.flatten(1), there], dim=1)
