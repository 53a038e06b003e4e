"""Numbers: a numeric column is imputed, centred, scaled and cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import torch
from torch import nn

from staytrue.signature import TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.preparation import Feature

CLIP = 10.0
"""Scaled numbers beyond this many deviations are cut: one absurd value must not run away with a prediction."""


class NumericState(msgspec.Struct, frozen=True, kw_only=True, tag="numeric", tag_field="kind"):
    """What is known of a numeric column: the fill (median), mean and deviation of the training rows."""

    name: str
    datatype: Literal["FP32", "INT64"]
    unit: str
    fill: float
    mean: float
    deviation: float

    def spec(self) -> TensorSpec:
        """What callers send."""
        return TensorSpec(name=self.name, datatype=self.datatype, shape=[-1, 1], unit=self.unit)

    def module(self) -> NumericColumn:
        """What encodes it."""
        return NumericColumn(self)

    def tensor(self, column: NDArray[Any]) -> Tensor:
        """A raw column as the module takes it. Shapes: [N] → [N,1]."""
        wanted = np.float32 if self.datatype == "FP32" else np.int64
        return torch.from_numpy(np.ascontiguousarray(column, dtype=wanted).reshape(-1, 1))


def learn_numbers(name: str, present: NDArray[Any], feature: Feature) -> NumericState:
    """The state of a numeric column from its values that are there."""
    numbers = present.astype(np.float64)
    return NumericState(
        name=name,
        datatype="INT64" if feature.sent_as == "INT64" else "FP32",
        unit=feature.unit,
        fill=float(np.median(numbers)),
        mean=float(numbers.mean()),
        deviation=float(numbers.std()) or 1.0,  # a constant column carries nothing, and must not divide by zero
    )


class NumericColumn(nn.Module):
    """Impute, centre, scale, cut. Shapes: [N,1] → [N,1]."""

    def __init__(self, state: NumericState) -> None:
        super().__init__()
        self.fill, self.mean, self.deviation = state.fill, state.mean, state.deviation
        self.missing_integer = state.datatype == "INT64"
        self.width = 1

    def forward(self, values: Tensor) -> Tensor:
        """Raw numbers to scaled ones; a missing one takes the median's place."""
        numbers = values.to(torch.float32)
        # A missing INT64 is the smallest one, which no measurement is; a missing FP32 is NaN.
        gone = numbers <= -(2.0**63) if self.missing_integer else torch.isnan(numbers)
        filled = torch.where(gone, torch.full_like(numbers, self.fill), numbers)
        return torch.clamp((filled - self.mean) / self.deviation, -CLIP, CLIP)
