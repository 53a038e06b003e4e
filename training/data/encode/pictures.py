"""Pictures: bytes or numbers of one size become scaled channels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import torch
from torch import nn

from staytrue.signature import TensorSpec
from training.data.encode.numbers import CLIP

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.preparation import Feature


class ImageState(msgspec.Struct, frozen=True, kw_only=True, tag="image", tag_field="kind"):
    """What is known of a column of pictures: size, and the mean and deviation of each channel in training.

    Units: of UINT8, 0 to 1.
    """

    name: str
    datatype: Literal["UINT8", "FP32"]
    unit: str
    shape: list[int]
    mean: list[float]
    deviation: list[float]

    def spec(self) -> TensorSpec:
        """What callers send."""
        return TensorSpec(name=self.name, datatype=self.datatype, shape=[-1, *self.shape], unit=self.unit)

    def module(self) -> ImageColumn:
        """What encodes it."""
        return ImageColumn(self)

    def tensor(self, column: NDArray[Any]) -> Tensor:
        """Raw pictures as the module takes them: as they are."""
        return torch.from_numpy(np.ascontiguousarray(column))


def learn_pictures(name: str, present: NDArray[Any], feature: Feature) -> ImageState:
    """The state of a column of pictures from those that are whole."""
    mean, deviation = zip(*map(_channel, np.moveaxis(present, 1, 0)), strict=True)
    return ImageState(
        name=name,
        datatype="UINT8" if feature.sent_as == "UINT8" else "FP32",
        unit=feature.unit,
        shape=list(feature.shape),
        mean=list(mean),
        deviation=list(deviation),
    )


def _channel(values: NDArray[Any]) -> tuple[float, float]:
    """Mean and deviation of one channel; bytes are counted, so that no copy of them all as floats is made."""
    if values.dtype == np.uint8:
        counts = np.bincount(values.ravel(), minlength=256)
        scale = np.arange(256) / 255.0
        mean = float(np.average(scale, weights=counts))
        deviation = float(np.sqrt(np.average((scale - mean) ** 2, weights=counts)))
    else:
        mean, deviation = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    return mean, deviation or 1.0


class ImageColumn(nn.Module):
    """Bytes to 0 to 1, then each channel centred and scaled. Shapes: [N,C,H,W] → [N,C*H*W]."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, state: ImageState) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(state.mean).reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(state.deviation).reshape(1, -1, 1, 1), persistent=False)
        self.bytes = state.datatype == "UINT8"
        self.width = math.prod(state.shape)

    def forward(self, pictures: Tensor) -> Tensor:
        """Raw pictures to scaled ones, each as one row; a missing pixel takes the channel's mean."""
        numbers = pictures.to(torch.float32)
        if self.bytes:
            return ((numbers / 255.0 - self.mean) / self.deviation).flatten(1)
        scaled = torch.clamp((numbers - self.mean) / self.deviation, -CLIP, CLIP)
        return torch.where(torch.isnan(scaled), torch.zeros_like(scaled), scaled).flatten(1)
