"""Loading: what the next steps need is made by another thread while the weights are fitted to this one."""

from __future__ import annotations

import collections
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
