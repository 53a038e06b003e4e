"""Batches: rows as a model takes them, to train on or to stop by."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from training.data.encode.encoder import CHUNK, tensors
from training.loading import ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from training.data.rows import Rows
    from training.models.model import Model
    from training.tasks.task import Task

ENCODED = 65_536
"""Rows of a table encoded at once: a column of quantiles compares each number with all of them."""


class Taken(NamedTuple):
    """Rows of one step. Shapes: matrix [n,width], truth [n,…], weight [n,1]."""

    matrix: Tensor
    truth: Tensor
    weight: Tensor


@dataclasses.dataclass(frozen=True)
class Batch:
    """Rows to train on or to stop by. Shapes: each source [N,…], truth [N,…], weight [N,1].

    The encoder has no weights, so every epoch sees the same matrix: a table is encoded once. Pictures stay as they are,
    which is a quarter of the size, until they are taken.
    """

    sources: Sequence[Tensor]
    truth: Tensor
    weight: Tensor
    encode: Callable[..., Tensor] | None
    """None where the one source is the matrix already."""
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
            return cls([torch.cat(parts)], *marks, encode=None, chunk=len(rows))

    def __len__(self) -> int:
        return len(self.truth)

    def taken(self, which: Tensor | slice) -> Taken:
        """Some rows, encoded."""
        with torch.no_grad():
            some = [source[which] for source in self.sources]
            matrix = some[0] if self.encode is None else self.encode(*some)
        return Taken(matrix, self.truth[which], self.weight[which])

    def stream(self, batches: Iterable[Tensor]) -> Iterator[Taken]:
        """Batch after batch; where there is work in making one, the next is made while this one is trained on."""
        made = map(self.taken, batches)
        return made if self.encode is None else ahead(made)
