"""Batches: rows as a model takes them, to train on or to stop by."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from training.augment.augmenter import seen
from training.data import mapped
from training.data.encode.encoder import ROWS, tensors
from training.loading import ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from training.augment.augmenter import Augmenter
    from training.data.rows import Rows
    from training.models.model import Model
    from training.tasks.task import Task


class Taken(NamedTuple):
    """Rows of one step. Shapes: matrix [n,width]; each truth [n,…] with its weight [n,1], two where rows are mixed."""

    matrix: Tensor
    truths: Sequence[tuple[Tensor, Tensor]]

    def to(self, device: torch.device) -> Taken:
        """The same rows there."""
        return Taken(self.matrix.to(device), [(truth.to(device), weight.to(device)) for truth, weight in self.truths])

    def total(self, judged: Callable[[Tensor], Tensor]) -> Tensor:
        """The weighted sum over the rows of what ``judged`` gives each for its truth, [n,1]. Shapes: a number."""
        first, *others = [(judged(truth) * weight).sum() for truth, weight in self.truths]
        return torch.stack([first, *others]).sum() if others else first


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
            return cls(raw, *marks, encode=encoder, chunk=encoder.chunk)
        made = mapped.empty((len(rows), encoder.width), np.float32, rows.most_bytes)
        with torch.no_grad():
            for some in mapped.parts(made, most=ROWS):
                made[some] = encoder(*(source[some] for source in raw)).numpy()
        return cls([torch.from_numpy(made)], *marks, encode=_as_it_is, chunk=max(1, min(ROWS, len(rows))))

    def __len__(self) -> int:
        return len(self.truth)

    def taken(self, which: slice) -> Taken:
        """Some rows, as they are."""
        with torch.no_grad():
            matrix = self.encode(*(source[which] for source in self.sources))
        return Taken(matrix, [(self.truth[which], self.weight[which])])

    def stream(self, batches: Iterable[Tensor], augmenter: Augmenter | None, epoch: int) -> Iterator[Taken]:
        """Batch after batch, varied; where there is work in making one, the next is made while this one is trained on.

        Shapes: places of the rows, [n] each. ``epoch`` counts from 1.
        """

        def varied(which: Tensor) -> Taken:
            with torch.no_grad():
                view = seen(augmenter, self, which, epoch)
            truths = [(self.truth[places], self.weight[places] * share) for places, share in view.truths]
            return Taken(view.matrix, truths)

        made = map(varied, batches)
        return made if self.encode is _as_it_is and augmenter is None else ahead(made)


def _as_it_is(matrix: Tensor) -> Tensor:
    return matrix
