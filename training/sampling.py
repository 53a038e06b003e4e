"""Sampling: which rows an epoch sees, in which order, from the seed and the number of the epoch alone."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor


def order(count: int, epoch: int, seed: int, truth: Tensor | None = None) -> Tensor:
    """Places of the rows of an epoch, which are counted from 0.

    Without ``truth`` each row once, shuffled. With it, the places of classes, as many rows of each class as of another
    (one more or less): of a class with fewer rows they come again, each as often as another, and of one with more not
    all come. Which are left out differs from epoch to epoch. Shapes: truth [count] or [count,1] → [count], int64.

    >>> order(4, 0, seed=1).sort().values.tolist()
    [0, 1, 2, 3]
    >>> truth = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1])
    >>> truth[order(8, 5, seed=1, truth=truth)].bincount().tolist()
    [4, 4]
    """
    if truth is None:
        return _shuffles(count, seed).of(epoch)
    drawn = torch.Generator().manual_seed(_mixed(seed, epoch))
    rows = truth.flatten().argsort(stable=True)
    sizes = truth.flatten().bincount()
    sizes = sizes[sizes > 0]
    wanted = torch.full_like(sizes, count // len(sizes))
    wanted[torch.randperm(len(sizes), generator=drawn)[: count % len(sizes)]] += 1
    picked = [
        members[_rounds(len(members), int(some), drawn)]
        for members, some in zip(torch.split(rows, sizes.tolist()), wanted, strict=True)
    ]
    return torch.cat(picked)[torch.randperm(count, generator=drawn)]


def _rounds(size: int, wanted: int, drawn: torch.Generator) -> Tensor:
    """Whole rounds of all places, and of a last round as many as are still wanted."""
    full, rest = divmod(wanted, size)
    return torch.cat([torch.arange(size).repeat(full), torch.randperm(size, generator=drawn)[:rest]])


def _mixed(seed: int, epoch: int) -> int:
    """One number of both: neighbouring seeds and epochs have nothing in common."""
    return int(np.random.SeedSequence([seed % 2**64, epoch]).generate_state(1, np.uint64)[0])


class _Shuffles:
    """Permutations that one generator draws one after another, an epoch each.

    A generator cannot leap, so an epoch's permutation is drawn after those before it. Asked for in turn each costs one
    drawing; a training that goes on at an epoch draws those before it once.
    """

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._seed = count, seed
        self._lock = threading.Lock()
        self._begin()

    def of(self, epoch: int) -> Tensor:
        """The permutation of an epoch."""
        with self._lock:
            if epoch < self._drawn:
                self._begin()
            while self._drawn <= epoch:
                self._last = torch.randperm(self._count, generator=self._generator)
                self._drawn += 1
            return self._last

    def _begin(self) -> None:
        self._generator = torch.Generator().manual_seed(self._seed)
        self._drawn = 0
        self._last = torch.empty(0, dtype=torch.int64)


_shuffles = functools.lru_cache(maxsize=4)(_Shuffles)
