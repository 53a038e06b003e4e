"""Pictures: bytes or numbers of one size are put in order, brought to a size, and their channels scaled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import torch
from torch import nn

from staytrue.signature import TensorSpec
from training.data import mapped
from training.data.encode.moments import check, divisor, moments
from training.data.encode.numbers import CLIP

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.feature import Feature

_COUNTED = 1 << 20
"""Bytes counted at once: each becomes one of 64 bits for it."""
_LEAST_SHARE = 0.01
"""Of the deviation in training: a picture that varies less is of one colour, whose rounding is not to be blown up."""


class ImageState(msgspec.Struct, frozen=True, kw_only=True, tag="image", tag_field="kind"):
    """What is known of a column of pictures: size, and the mean and deviation of each channel in training.

    The channels of ``mean`` and ``deviation`` stand as the model sees them. Units: of UINT8, 0 to 1.
    """

    name: str
    datatype: Literal["UINT8", "FP32"]
    unit: str
    shape: list[int]
    mean: list[float]
    deviation: list[float]
    layout: Literal["channels_first", "channels_last"] = "channels_first"
    channel_order: Literal["as_sent", "reversed"] = "as_sent"
    resize: list[int] = []
    crop: list[int] = []
    normalise: Literal["channel", "picture", "half", "given", "none"] = "channel"
    given_mean: list[float] = []
    given_deviation: list[float] = []

    def spec(self) -> TensorSpec:
        """What callers send."""
        return TensorSpec(name=self.name, datatype=self.datatype, shape=[-1, *self.shape], unit=self.unit)

    def module(self) -> ImageColumn:
        """What encodes it."""
        return ImageColumn(self)

    def tensor(self, column: NDArray[Any]) -> Tensor:
        """Raw pictures as the module takes them: as they are."""
        return torch.from_numpy(np.ascontiguousarray(column))

    def uncut(self) -> list[int]:
        """Height and width before the middle is cut out."""
        return self.resize or (self.shape[:2] if self.layout == "channels_last" else self.shape[1:])

    def scale(self) -> tuple[list[float], list[float]]:
        """What is subtracted and divided by, of each channel."""
        if self.normalise == "channel":
            return self.mean, self.deviation
        if self.normalise == "given":
            return self.given_mean, self.given_deviation
        if self.normalise == "half":
            middle = 0.5 if self.datatype == "UINT8" else 127.5
            return [middle] * len(self.mean), [middle] * len(self.mean)
        return [0.0] * len(self.mean), [1.0] * len(self.mean)


def learn_pictures(name: str, present: NDArray[Any], feature: Feature) -> ImageState:
    """The state of a column of pictures from those that are whole."""
    last, backwards = feature.layout == "channels_last", feature.channel_order == "reversed"
    channels = np.moveaxis(present, 3 if last else 1, 0)
    mean, deviation = zip(*map(_channel, channels[::-1] if backwards else channels), strict=True)
    check(name, mean, deviation)
    return ImageState(
        name=name,
        datatype="UINT8" if feature.sent_as == "UINT8" else "FP32",
        unit=feature.unit,
        shape=list(feature.shape),
        mean=list(mean),
        deviation=list(deviation),
        layout=feature.layout,
        channel_order=feature.channel_order,
        resize=list(feature.resize),
        crop=list(feature.crop),
        normalise=feature.normalise,
        given_mean=list(feature.mean),
        given_deviation=list(feature.deviation),
    )


def _channel(values: NDArray[Any]) -> tuple[float, float]:
    """Mean and deviation of one channel; bytes are counted, so that no copy of them all as floats is made."""
    if values.dtype == np.uint8:
        counts = np.zeros(256, dtype=np.int64)
        for some in mapped.parts(values, most=max(1, _COUNTED // max(1, math.prod(values.shape[1:])))):
            counts += np.bincount(values[some].ravel(), minlength=256)
        scale = np.arange(256) / 255.0
        mean = float(np.average(scale, weights=counts))
        if (counts > 0).sum() == 1:  # whose deviation is the rounding of its mean
            return mean, 1.0
        return mean, float(np.sqrt(np.average((scale - mean) ** 2, weights=counts)))
    mean, deviation = moments(values)
    return mean, divisor(deviation)


class ImageColumn(nn.Module):
    """Bytes to 0 to 1, resized, cut to the middle, then scaled. Shapes: [N,C,H,W] or [N,H,W,C] → [N,C*h*w]."""

    mean: Tensor
    deviation: Tensor
    location: Tensor
    spread: Tensor

    def __init__(self, state: ImageState) -> None:
        super().__init__()
        (location, spread), size = state.scale(), state.crop or state.uncut()
        named = {"mean": state.mean, "deviation": state.deviation, "location": location, "spread": spread}
        for name, values in named.items():
            self.register_buffer(name, torch.tensor(values).reshape(1, -1, 1, 1), persistent=False)
        self.bytes = state.datatype == "UINT8"
        self.last, self.backwards = state.layout == "channels_last", state.channel_order == "reversed"
        self.resize, self.crop = list(state.resize), list(state.crop)
        self.top, self.left = ((have - want) // 2 for have, want in zip(state.uncut(), size, strict=True))
        self.learnt, self.each = state.normalise == "channel", state.normalise == "picture"
        self.least = _LEAST_SHARE * sum(state.deviation) / len(state.deviation)
        self.width = len(state.mean) * math.prod(size)

    def forward(self, pictures: Tensor) -> Tensor:
        """Raw pictures to scaled ones, each as one row; a missing pixel takes the channel's mean."""
        numbers = self._sized(self._known(self._ordered(pictures).to(torch.float32)))
        if self.each:
            for _ in range(2):  # the first mean is rounded, which a picture of one colour would be left with
                numbers = numbers - numbers.mean(dim=(1, 2, 3), keepdim=True)
            deviation = (numbers * numbers).mean(dim=(1, 2, 3), keepdim=True).sqrt()
            numbers = numbers / torch.clamp(deviation, min=self.least)
        elif self.bytes or not self.learnt:
            numbers = (numbers - self.location) / self.spread
        return numbers.flatten(1)

    def _ordered(self, pictures: Tensor) -> Tensor:
        """Channels first, in the order that the model sees. Shapes: as sent → [N,C,H,W]."""
        ordered = pictures.permute(0, 3, 1, 2) if self.last else pictures
        return torch.flip(ordered, dims=[1]) if self.backwards else ordered

    def _known(self, numbers: Tensor) -> Tensor:
        """Numbers without gaps and absurd ones; those that the learnt scale is for are scaled by it at once."""
        if self.bytes:
            return numbers / 255.0
        scaled = torch.clamp((numbers - self.mean) / self.deviation, -CLIP, CLIP)
        scaled = torch.where(torch.isnan(scaled), torch.zeros_like(scaled), scaled)
        return scaled if self.learnt else scaled * self.deviation + self.mean

    def _sized(self, numbers: Tensor) -> Tensor:
        if self.resize:
            numbers = nn.functional.interpolate(numbers, size=self.resize, mode="bilinear", align_corners=False)
        if self.crop:
            high, wide = self.crop
            numbers = numbers[:, :, self.top : self.top + high, self.left : self.left + wide]
        return numbers
