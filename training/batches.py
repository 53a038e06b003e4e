"""Batches: rows as a model takes them, to train on or to stop by."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch

from training.data.encode.encoder import CHUNK, tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from training.data.rows import Rows
    from training.models.model import Model
    from training.tasks.task import Task

ENCODED = 65_536
"""Rows of a table encoded at once: a column of quantiles compares each number with all of them."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """Rows to train on or to stop by. Shapes: each source [N,…], truth [N,…], weight [N,1].

    The encoder has no weights, so every epoch sees the same matrix: a table is encoded once. Pictures stay as they are,
    which is a quarter of the size, until they are taken.
    """

    sources: Sequence[Tensor]
    truth: Tensor
    weight: Tensor
    encode: Callable[..., Tensor]
    chunk: int
    """Rows that may be predicted at once."""

    @classmethod
    def of(cls, model: Model, task: Task, rows: Rows, weight: NDArray[np.float64]) -> Batch:
        """The rows as the model takes them."""
        raw, encoder = tensors(rows.columns, model.encoder.states), model.encoder
        marks = task.truth(rows), torch.from_numpy(weight.astype(np.float32)).unsqueeze(1)
        if encoder.pictures:
            return cls(raw, *marks, encode=encoder, chunk=CHUNK)
        with torch.no_grad():
            parts = [encoder(*some) for some in zip(*(torch.split(source, ENCODED) for source in raw), strict=True)]
            return cls([torch.cat(parts)], *marks, encode=_as_it_is, chunk=len(rows))

    def __len__(self) -> int:
        return len(self.truth)

    def matrix(self, which: Tensor | slice) -> Tensor:
        """Some rows, encoded. Shapes: [n,width]."""
        with torch.no_grad():
            return self.encode(*(source[which] for source in self.sources))


def _as_it_is(matrix: Tensor) -> Tensor:
    return matrix
