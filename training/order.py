"""Order: in which order the rows of each epoch are trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


class Order:
    """A shuffle of all rows for each epoch: that of one epoch depends on the seed and its number alone.

    >>> again = Order(5, seed=1, epoch=0)
    >>> first, second = again.next(), again.next()
    >>> torch.equal(Order(5, seed=1, epoch=1).next(), second)
    True
    """

    def __init__(self, rows: int, seed: int, epoch: int) -> None:
        self._rows, self._generator = rows, torch.Generator().manual_seed(seed)
        for _ in range(epoch):  # those of epochs done before are drawn again: no state needs to be kept
            self.next()

    def next(self) -> Tensor:
        """Of the epoch that comes. Shapes: [rows]."""
        return torch.randperm(self._rows, generator=self._generator)
