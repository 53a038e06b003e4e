"""Loading: what the next steps need is made by another thread while the weights are fitted to this one."""

from __future__ import annotations

import collections
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

T = TypeVar("T")
AHEAD = 2
"""Things made in advance: one is enough to be busy with while another is taken."""


def ahead(things: Iterable[T]) -> Iterator[T]:
    """The same things in the same order, made by a thread that stays :data:`AHEAD` of who takes them.

    What making one raises is raised where it would have been taken. The thread ends with the generator, also where that
    is closed early.

    >>> list(ahead(n * n for n in range(4)))
    [0, 1, 4, 9]
    """
    source, end = iter(things), object()
    with ThreadPoolExecutor(1, thread_name_prefix="loading") as worker:
        made = collections.deque(worker.submit(next, source, end) for _ in range(AHEAD))
        try:
            while (thing := made.popleft().result()) is not end:
                made.append(worker.submit(next, source, end))
                yield thing  # type: ignore[misc]  # the end alone is no thing
        finally:
            for pending in made:
                pending.cancel()


def together(batches: Iterable[Tensor], most: int) -> Iterator[list[Tensor]]:
    """The batches in groups of at most ``most`` rows, or of one batch; the first groups are small, to begin soon.

    >>> import torch
    >>> [len(group) for group in together(torch.arange(40).split(2), most=8)]
    [1, 2, 4, 4, 4, 4, 1]
    """
    group: list[Tensor] = []
    rows, limit = 0, 1
    for batch in batches:
        if group and (len(group) >= limit or rows + len(batch) > most):
            yield group
            group, rows, limit = [], 0, 2 * limit
        group.append(batch)
        rows += len(batch)
    if group:
        yield group
