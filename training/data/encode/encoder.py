"""Encode: raw feature tensors become one matrix, by a module that is part of the exported graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from torch import nn

from staytrue.errors import InvalidInput
from training.data import mapped
from training.data.clean.cleaning import is_missing
from training.data.encode.categories import CategoryState, learn_categories
from training.data.encode.dates import DateState, learn_dates
from training.data.encode.numbers import NumericState, learn_numbers
from training.data.encode.pictures import ImageState, learn_pictures
from training.data.encode.sequences import SequenceState, learn_sequences
from training.data.encode.texts import TextState, learn_texts
from training.data.rows import learnable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.feature import Feature
    from staytrue.signature import TensorSpec
    from training.data.rows import TrainingRows

CHUNK, CHUNK_BYTES = 1024, 4 << 20
"""Pictures predicted at once, and bytes of them: what a network keeps between its layers is far larger."""
ROWS = 65_536
"""Rows of a table encoded or predicted at once: a column of quantiles compares each number with all of them."""

ColumnState = NumericState | CategoryState | DateState | ImageState | TextState | SequenceState

_LEARN: dict[str, Callable[[str, NDArray[Any], Feature], ColumnState]] = {
    "numeric": learn_numbers,
    "category": learn_categories,
    "date": learn_dates,
    "image": learn_pictures,
    "text": learn_texts,
    "sequence": learn_sequences,
}
"""Kind of a feature → what learns its state."""


def learn(rows: TrainingRows, features: dict[str, Feature]) -> list[ColumnState]:
    """The state of the encoder, from training rows alone.

    Raises:
        InvalidInput: a column without any value.
    """
    learnable(rows)
    return [_learn_column(name, rows, feature) for name, feature in features.items()]


def _learn_column(name: str, rows: TrainingRows, feature: Feature) -> ColumnState:
    column = rows.columns[name]
    present = mapped.taken(column, ~is_missing(column), rows.share)
    if not len(present):
        hint = "remove it from data.features, or correct how data.query or the source's options read it"
        raise InvalidInput(
            f"data.features.{name}", expected="values among the training rows", got="only missing ones", hint=hint
        )
    return _LEARN[feature.kind](name, present, feature)


def is_embedded(state: ColumnState) -> TypeGuard[CategoryState]:
    """Whether a column becomes learnt numbers, behind the encoder."""
    return isinstance(state, CategoryState) and state.encoding == "embedding"


def seen_width(state: ColumnState) -> int:
    """Numbers of a row that the model's body sees of a column."""
    return state.width if is_embedded(state) else state.module().width


class Encoder(nn.Module):
    """All columns, side by side. It has no weights: its state is JSON, learnt before training.

    Shapes: one [N,1] tensor a feature, [N,C,H,W] of pictures, [N,L] of texts, [N,T,C] of sequences → [N,width].
    """

    def __init__(self, states: Sequence[ColumnState]) -> None:
        super().__init__()
        self.states = list(states)
        columns = [state.module() for state in self.states]
        self.columns = nn.ModuleList(columns)
        self.width = sum(column.width for column in columns)

    @property
    def pictures(self) -> bool:
        """Whether a column is of pictures, or of texts or sequences, which are as large."""
        return any(isinstance(state, ImageState | TextState | SequenceState) for state in self.states)

    @property
    def chunk(self) -> int:
        """Rows to predict at once: :data:`ROWS` of a table, of pictures at most :data:`CHUNK` and their bytes."""
        return max(1, min(CHUNK, CHUNK_BYTES // (4 * self.width))) if self.pictures else ROWS

    def chunks(self, columns: dict[str, NDArray[Any]]) -> Iterator[dict[str, NDArray[Any]]]:
        """Raw columns in parts to predict at once."""
        rows = len(next(iter(columns.values())))
        size = self.chunk
        for begin in range(0, max(rows, 1), size):
            yield {name: column[begin : begin + size] for name, column in columns.items()}
            if begin + size < rows:
                mapped.give_back()

    def forward(self, *tensors: Tensor) -> Tensor:
        """Raw tensors, in the order of the features, to one matrix."""
        return torch.cat([column(tensor) for column, tensor in zip(self.columns, tensors, strict=True)], dim=1)


def input_specs(states: Sequence[ColumnState]) -> list[TensorSpec]:
    """What callers send, one tensor a feature."""
    return [state.spec() for state in states]


def tensors(columns: dict[str, NDArray[Any]], states: Sequence[ColumnState]) -> list[Tensor]:
    """Raw columns as the module takes them: texts become codes. Shapes: {name: [N]} → [N,1] each, pictures as is."""
    return [state.tensor(columns[state.name]) for state in states]
