"""Texts: UTF-8 bytes of a fixed length, filled up with zeros, become numbers from 0 to 1 and a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from torch import nn

from staytrue.signature import TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.feature import Feature


class TextState(msgspec.Struct, frozen=True, kw_only=True, tag="text", tag_field="kind"):
    """What is known of a column of texts: how many bytes of each are sent."""

    name: str
    unit: str
    length: int
    mean_bytes: float
    """Of the texts in training, for people."""

    def spec(self) -> TensorSpec:
        """What callers send."""
        return TensorSpec(name=self.name, datatype="UINT8", shape=[-1, self.length], unit=self.unit)

    def module(self) -> TextColumn:
        """What encodes it."""
        return TextColumn(self)

    def tensor(self, column: NDArray[Any]) -> Tensor:
        """Raw bytes as the module takes them: as they are."""
        return torch.from_numpy(np.ascontiguousarray(column, dtype=np.uint8))


def learn_texts(name: str, present: NDArray[Any], feature: Feature) -> TextState:
    """The state of a column of texts: nothing in it is learnt but how long they are."""
    mean = float((present != 0).sum(axis=1).mean())
    return TextState(name=name, unit=feature.unit, length=feature.shape[0], mean_bytes=mean)


class TextColumn(nn.Module):
    """Bytes as shares of 255, then which of them are there. Shapes: [N,L] → [N,2L]."""

    def __init__(self, state: TextState) -> None:
        super().__init__()
        self.width = 2 * state.length

    def forward(self, texts: Tensor) -> Tensor:
        """Bytes to numbers and mask, side by side; a byte of 0 is filling."""
        numbers = texts.to(torch.float32) / 255.0
        return torch.cat([numbers, (numbers > 0).to(torch.float32)], dim=1)
