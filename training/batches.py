"""Batches: rows as a model takes them, to train on or to stop by."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from training.augment.augmenter import seen
from training.data import mapped
from training.data.encode.encoder import ROWS, tensors
from training.loading import ahead, together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from training.augment.augmenter import Augmenter
    from training.data.rows import Rows
    from training.models.model import Model
    from training.tasks.task import Task


HANDED_BYTES = 1 << 20
"""Of the rows of several steps that are taken together, at the most: what a core keeps near itself."""
LITTLE_BYTES = 1 << 14
"""Of a batch that is encoded sooner than another thread could be asked for it."""


class Taken(NamedTuple):
    """Rows of one step. Shapes: matrix [n,width]; each truth [n,…] with its weight [n,1], two where rows are mixed.

    Without a weight each row counts as one.
    """

    matrix: Tensor
    truths: Sequence[tuple[Tensor, Tensor | None]]

    def to(self, device: torch.device) -> Taken:
        """The same rows there."""
        truths = [(truth.to(device), None if weight is None else weight.to(device)) for truth, weight in self.truths]
        return Taken(self.matrix.to(device), truths)

    def total(self, judged: Callable[[Tensor], Tensor]) -> Tensor:
        """The weighted sum over the rows of what ``judged`` gives each for its truth, [n,1]. Shapes: a number."""
        first, *others = [weighed(judged(truth), weight).sum() for truth, weight in self.truths]
        return torch.stack([first, *others]).sum() if others else first


def weighed(losses: Tensor, weight: Tensor | None) -> Tensor:
    """Of each row, as much as it counts. Shapes: [n,1], [n,1] → [n,1]."""
    return losses if weight is None else losses * weight


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
    on_disk: bool = False
    """Whether a table lies in a file, being too large for memory."""

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
        chunk, on_disk = max(1, min(ROWS, len(rows))), mapped.is_mapped(made)
        return cls([torch.from_numpy(made)], *marks, encode=_as_it_is, chunk=chunk, on_disk=on_disk)

    def __len__(self) -> int:
        return len(self.truth)

    @functools.cached_property
    def alike(self) -> bool:
        """Whether each row counts as one: the sums then need no weights."""
        return bool((self.weight == 1).all())

    def taken(self, which: slice) -> Taken:
        """Some rows, as they are."""
        with torch.no_grad():
            matrix = self.encode(*(source[which] for source in self.sources))
        return Taken(matrix, [(self.truth[which], None if self.alike else self.weight[which])])

    def stream(self, batches: Iterable[Tensor], augmenter: Augmenter | None, epoch: int) -> Iterator[Taken]:
        """Batch after batch, varied; where there is work in making one, the next are made while this one is trained on.

        Batches of little are made several at a time: to take rows, or to hand them from one thread to another, costs as
        much as a step of a small model. What each holds depends on its own rows alone.
        Shapes: places of the rows, [n] each. ``epoch`` counts from 1.
        """
        some = together(batches, self._most)
        if self.encode is _as_it_is and augmenter is None:
            groups = ahead(map(self._rows, some)) if self.on_disk else map(self._rows, some)
        else:
            first = next(some, [])
            varied = (
                [self._varied(which, augmenter, epoch) for which in group] for group in itertools.chain([first], some)
            )
            little = augmenter is None and self._row_bytes * sum(map(len, first)) < LITTLE_BYTES
            groups = varied if little else ahead(varied)
        return (taken for group in groups for taken in group)

    @property
    def _most(self) -> int:
        """Rows that are taken together."""
        return max(1, HANDED_BYTES // max(1, self._row_bytes))

    @property
    def _row_bytes(self) -> int:
        return sum(source[0].nbytes for source in self.sources)

    def _rows(self, batches: Sequence[Tensor]) -> list[Taken]:
        """Rows of a table, of several batches at once."""
        which, sizes = torch.cat(list(batches)), [len(batch) for batch in batches]
        (source,) = self.sources
        matrices, truths = torch.split(source[which], sizes), torch.split(self.truth[which], sizes)
        weights = [None] * len(sizes) if self.alike else torch.split(self.weight[which], sizes)
        made = zip(matrices, truths, weights, strict=True)
        return [Taken(matrix, [(truth, weight)]) for matrix, truth, weight in made]

    def _varied(self, which: Tensor, augmenter: Augmenter | None, epoch: int) -> Taken:
        """One batch, varied and encoded."""
        with torch.no_grad():
            view = seen(augmenter, self, which, epoch)
        if self.alike and len(view.truths) == 1:
            return Taken(view.matrix, [(self.truth[which], None)])
        return Taken(view.matrix, [(self.truth[rows], self.weight[rows] * share) for rows, share in view.truths])


def _as_it_is(matrix: Tensor) -> Tensor:
    return matrix
