"""Encode: raw feature tensors become one matrix, by a module that is part of the exported graph."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import torch
from torch import nn

from staytrue.errors import InvalidInput
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT, TensorSpec
from training.data.clean.cleaning import is_missing
from training.data.rows import learnable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.preparation import Feature
    from training.data.rows import TrainingRows

CHUNK = 1024
"""Pictures predicted at once: what a network keeps between its layers is far larger than the picture."""
CLIP = 10.0
"""Scaled numbers beyond this many deviations are cut: one absurd value must not run away with a prediction."""


class NumericState(msgspec.Struct, frozen=True, kw_only=True, tag="numeric", tag_field="kind", omit_defaults=True):
    """What is known of a numeric column: the fill (median), mean and deviation of the training rows.

    ``low`` and ``high`` are the bounds that values are clipped to, where outliers are.
    """

    name: str
    datatype: Literal["FP32", "INT64"]
    unit: str
    fill: float
    mean: float
    deviation: float
    low: float | None = None
    high: float | None = None


class CategoryState(msgspec.Struct, frozen=True, kw_only=True, tag="category", tag_field="kind", omit_defaults=True):
    """What is known of a category column: the values seen in training, with their frequencies.

    ``fill`` is the value that takes a missing one's place; without it a missing value is an unknown one.
    """

    name: str
    datatype: Literal["INT64", "BYTES"]
    unit: str
    values: list[str]
    frequencies: list[float]
    fill: str = ""

    @property
    def sent(self) -> list[str]:
        """Values that have a code: of texts also the missing one, where it is filled and must not pass for unknown."""
        return [*self.values, MISSING_TEXT] if self.fill and self.datatype == "BYTES" else self.values


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


ColumnState = NumericState | CategoryState | ImageState


def learn(rows: TrainingRows, features: dict[str, Feature]) -> list[ColumnState]:
    """The state of the encoder, from training rows alone.

    Raises:
        InvalidInput: a column without any value.
    """
    return [_learn_column(name, learnable(rows).columns[name], feature) for name, feature in features.items()]


def _learn_column(name: str, column: NDArray[np.generic], feature: Feature) -> ColumnState:
    present = column[~is_missing(column)]
    if not len(present):
        raise InvalidInput(f'column "{name}"', expected="values among the training rows", got="only missing ones")
    if feature.kind == "image":
        mean, deviation = zip(*map(_channel, np.moveaxis(present, 1, 0)), strict=True)
        return ImageState(
            name=name,
            datatype="UINT8" if feature.sent_as == "UINT8" else "FP32",
            unit=feature.unit,
            shape=list(feature.shape),
            mean=list(mean),
            deviation=list(deviation),
        )
    if feature.kind == "category":
        values, counts = np.unique(present, return_counts=True)
        return CategoryState(
            name=name,
            datatype="INT64" if feature.sent_as == "INT64" else "BYTES",
            unit=feature.unit,
            values=[str(value) for value in values],
            frequencies=(counts / counts.sum()).tolist(),
        )
    numbers = present.astype(np.float64)
    return NumericState(
        name=name,
        datatype="INT64" if feature.sent_as == "INT64" else "FP32",
        unit=feature.unit,
        fill=float(np.median(numbers)),
        mean=float(numbers.mean()),
        deviation=float(numbers.std()) or 1.0,  # a constant column carries nothing, and must not divide by zero
    )


def _channel(values: NDArray[np.generic]) -> tuple[float, float]:
    """Mean and deviation of one channel; bytes are counted, so that no copy of them all as floats is made."""
    if values.dtype == np.uint8:
        counts = np.bincount(values.ravel(), minlength=256)
        scale = np.arange(256) / 255.0
        mean = float(np.average(scale, weights=counts))
        deviation = float(np.sqrt(np.average((scale - mean) ** 2, weights=counts)))
    else:
        mean, deviation = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    return mean, deviation or 1.0


class NumericColumn(nn.Module):
    """Impute, centre, scale, cut. Shapes: [N,1] → [N,1]."""

    def __init__(self, state: NumericState) -> None:
        super().__init__()
        self.fill, self.mean, self.deviation = state.fill, state.mean, state.deviation
        self.missing_integer = state.datatype == "INT64"
        self.low, self.high = state.low, state.high
        self.width = 1

    def forward(self, values: Tensor) -> Tensor:
        """Raw numbers to scaled ones; a missing one takes the fill (the median, if nothing else is set)."""
        numbers = values.to(torch.float32)
        # A missing INT64 is the smallest one, which no measurement is; a missing FP32 is NaN.
        gone = numbers <= -(2.0**63) if self.missing_integer else torch.isnan(numbers)
        if self.low is not None or self.high is not None:
            numbers = torch.clamp(numbers, self.low, self.high)
        filled = torch.where(gone, torch.full_like(numbers, self.fill), numbers)
        return torch.clamp((filled - self.mean) / self.deviation, -CLIP, CLIP)


class CategoryColumn(nn.Module):
    """One column for each known value; an unknown value is spread over them as they were in training.

    So an unknown category predicts close to the average over the known ones, instead of what an untrained weight says.
    Shapes: codes or integers [N,1] → [N,K]. BYTES arrive as codes: 1 + position in ``values``, 0 for anything else.
    """

    values: Tensor
    frequencies: Tensor

    def __init__(self, state: CategoryState) -> None:
        super().__init__()
        known = [int(v) for v in state.values] if state.datatype == "INT64" else range(1, len(state.values) + 1)
        self.register_buffer("values", torch.tensor([list(known)], dtype=torch.int64), persistent=False)
        self.register_buffer("frequencies", torch.tensor([state.frequencies], dtype=torch.float32), persistent=False)
        self.width = len(state.values)
        self.missing = MISSING_INTEGER if state.datatype == "INT64" else len(state.sent)
        self.fill = list(known)[state.values.index(state.fill)] if state.fill else None

    def forward(self, codes: Tensor) -> Tensor:
        """Which value it is, as zeros and a one."""
        if self.fill is not None:
            codes = torch.where(codes == self.missing, torch.full_like(codes, self.fill), codes)
        hits = (codes == self.values).to(torch.float32)  # [N,1] against [1,K]
        return hits + (1.0 - hits.sum(dim=1, keepdim=True)) * self.frequencies


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


class Encoder(nn.Module):
    """All columns, side by side. It has no weights: its state is JSON, learnt before training.

    Shapes: one [N,1] tensor a feature, [N,C,H,W] of pictures → [N,width].
    """

    def __init__(self, states: Sequence[ColumnState]) -> None:
        super().__init__()
        self.states = list(states)
        columns = [_column(state) for state in self.states]
        self.columns = nn.ModuleList(columns)
        self.width = sum(column.width for column in columns)

    @property
    def pictures(self) -> bool:
        """Whether a column is of pictures."""
        return any(isinstance(state, ImageState) for state in self.states)

    def chunks(self, columns: dict[str, NDArray[Any]]) -> Iterator[dict[str, NDArray[Any]]]:
        """Raw columns in parts to predict at once: all rows of a table, :data:`CHUNK` pictures."""
        rows = len(next(iter(columns.values())))
        size = CHUNK if self.pictures else max(rows, 1)
        for begin in range(0, max(rows, 1), size):
            yield {name: column[begin : begin + size] for name, column in columns.items()}

    def forward(self, *tensors: Tensor) -> Tensor:
        """Raw tensors, in the order of the features, to one matrix."""
        return torch.cat([column(tensor) for column, tensor in zip(self.columns, tensors, strict=True)], dim=1)


def _column(state: ColumnState) -> NumericColumn | CategoryColumn | ImageColumn:
    if isinstance(state, ImageState):
        return ImageColumn(state)
    return NumericColumn(state) if isinstance(state, NumericState) else CategoryColumn(state)


def input_specs(states: Sequence[ColumnState]) -> list[TensorSpec]:
    """What callers send, one tensor a feature."""
    return [
        TensorSpec(
            name=state.name,
            datatype=state.datatype,
            shape=[-1, *state.shape] if isinstance(state, ImageState) else [-1, 1],
            categories=state.sent if isinstance(state, CategoryState) else [],
            unit=state.unit,
        )
        for state in states
    ]


def tensors(columns: dict[str, NDArray[np.generic]], states: Sequence[ColumnState]) -> list[Tensor]:
    """Raw columns as the module takes them: texts become codes. Shapes: {name: [N]} → [N,1] each, pictures as is."""
    return [_tensor(columns[state.name], state) for state in states]


def _tensor(column: NDArray[np.generic], state: ColumnState) -> Tensor:
    if isinstance(state, ImageState):
        return torch.from_numpy(np.ascontiguousarray(column))
    if isinstance(state, CategoryState) and state.datatype == "BYTES":
        codes = {value: code for code, value in enumerate(state.sent, 1)}
        column = np.array([codes.get(str(value), 0) for value in column], dtype=np.int64)
    wanted = np.float32 if state.datatype == "FP32" else np.int64
    return torch.from_numpy(np.ascontiguousarray(column, dtype=wanted).reshape(-1, 1))
