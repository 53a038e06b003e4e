"""Numbers: a numeric column is imputed, scaled and cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import torch
from torch import nn

from staytrue.signature import TensorSpec
from training.data.encode.moments import HUGE, LARGEST, SHRUNK, divisor
from training.data.encode.quantiles import Knots, QuantileScale

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.feature import Feature

CLIP = 10.0
"""Scaled numbers beyond this many deviations are cut: one absurd value must not run away with a prediction."""


class NumericState(msgspec.Struct, frozen=True, kw_only=True, tag="numeric", tag_field="kind"):
    """What is known of a numeric column: what stands in for a missing value, and the statistics of the training rows.

    ``mean`` and ``deviation`` are what is subtracted and divided by: also the median and the quartiles' distance, the
    lowest value and the span, or those of the logarithms, as ``scale`` says. The result is cut at ``low`` and ``high``.
    Before all that values are clipped to ``lowest`` and ``highest``, where outliers are.
    """

    name: str
    datatype: Literal["FP32", "INT64"]
    unit: str
    fill: float
    mean: float
    deviation: float
    scale: Literal["standard", "minmax", "symmetric", "robust", "log", "quantile", "none"] = "standard"
    low: float = -CLIP
    high: float = CLIP
    knots: Knots | None = None
    """Of scale quantile alone."""
    lowest: float | None = None
    highest: float | None = None

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
    scaled = np.sign(numbers) * np.log1p(np.abs(numbers)) if feature.scale == "log" else numbers
    mean, deviation = _location(scaled, feature)
    low, high = -CLIP, CLIP
    if feature.scale in ("minmax", "quantile"):
        low, high = 0.0, 1.0
    elif feature.scale == "symmetric":
        low, high = -1.0, 1.0
    elif feature.scale == "none":
        (low, high), (mean, deviation) = _reach(mean, deviation), (0.0, 1.0)
    return NumericState(
        name=name,
        datatype="INT64" if feature.sent_as == "INT64" else "FP32",
        unit=feature.unit,
        fill=_fill(numbers, feature),
        mean=mean,
        deviation=deviation,
        scale=feature.scale,
        low=low,
        high=high,
        knots=Knots.of(numbers, feature.quantiles) if feature.scale == "quantile" else None,
    )


def _reach(mean: float, deviation: float) -> tuple[float, float]:
    """Where plain numbers are cut, within what FP32 holds."""
    return max(mean - CLIP * deviation, -LARGEST), min(mean + CLIP * deviation, LARGEST)


def _location(numbers: NDArray[np.float64], feature: Feature) -> tuple[float, float]:
    """What is subtracted and divided by; a constant column carries nothing, and must not divide by zero."""
    low, high = float(numbers.min()), float(numbers.max())
    if low == high:  # whose computed deviation may be the rounding of its mean, and would make the next value enormous
        return low, 1.0
    if feature.scale in ("minmax", "symmetric"):
        if feature.scale == "minmax":
            return low, divisor(high - low)
        return (low + high) / 2, divisor((high - low) / 2)
    if feature.scale == "robust":
        lower, middle, upper = np.quantile(numbers, [0.25, 0.5, 0.75])
        return float(middle), divisor(float(upper - lower))
    return float(numbers.mean()), divisor(float(numbers.std()))


def _fill(numbers: NDArray[np.float64], feature: Feature) -> float:
    """What a missing value counts as; of several most frequent ones the smallest."""
    if feature.fill == "median":
        return float(np.median(numbers))
    if feature.fill == "mean":
        return float(numbers.mean())
    if feature.fill == "mode":
        values, counts = np.unique(numbers, return_counts=True)
        return float(values[np.argmax(counts)])
    return float(feature.fill)


class NumericColumn(nn.Module):
    """Impute, centre, scale, cut. Shapes: [N,1] → [N,1]."""

    def __init__(self, state: NumericState) -> None:
        super().__init__()
        self.fill, self.mean, self.deviation = state.fill, state.mean, state.deviation
        if self.deviation > HUGE:
            self.mean, self.deviation = self.mean * SHRUNK, self.deviation * SHRUNK
        self.shrunk = state.deviation > HUGE
        self.low, self.high = state.low, state.high
        self.lowest, self.highest = state.lowest, state.highest
        self.missing_integer = state.datatype == "INT64"
        self.logarithm = state.scale == "log"
        self.quantiles = None if state.knots is None else QuantileScale(state.knots)
        self.width = 1

    def forward(self, values: Tensor) -> Tensor:
        """Raw numbers to scaled ones; a missing one takes the fill's place."""
        numbers = values.to(torch.float32)
        # A missing INT64 is the smallest one, which no measurement is; a missing FP32 is NaN.
        gone = numbers <= -(2.0**63) if self.missing_integer else torch.isnan(numbers)
        if self.lowest is not None or self.highest is not None:
            numbers = torch.clamp(numbers, self.lowest, self.highest)
        filled = torch.where(gone, torch.full_like(numbers, self.fill), numbers)
        if self.quantiles is not None:
            spread: Tensor = self.quantiles(filled)
            return spread
        if self.logarithm:
            filled = signed_log1p(filled)
        if self.shrunk:
            filled = filled * SHRUNK
        return torch.clamp((filled - self.mean) / self.deviation, self.low, self.high)


def signed_log1p(numbers: Tensor) -> Tensor:
    """Sign times the logarithm of 1 + size, to the last bits also near zero: ONNX has but a plain logarithm.

    Source: Goldberg, 1991, "What every computer scientist should know about floating-point arithmetic", theorem 4.
    """
    size = torch.clamp(torch.abs(numbers), max=LARGEST)
    above = 1.0 + size
    step = above - 1.0
    small = step == 0.0
    exact = torch.log(above) * (size / torch.where(small, torch.ones_like(step), step))
    return torch.sign(numbers) * torch.where(small, size, exact)
