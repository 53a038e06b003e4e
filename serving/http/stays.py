"""When a connection may be answered among many: to go there and to come back costs as much as a request."""

from __future__ import annotations

FIRST, LONGEST = 2, 64


class Stays:
    """Of one connection: the shorter its stays there were, the longer it waits for the next."""

    __slots__ = ("_next", "_wait")

    def __init__(self) -> None:
        self._wait = self._next = FIRST

    def due(self) -> bool:
        """It asks as it would there: whether it has done so often enough, one after the other."""
        self._wait -= 1
        return self._wait < 0

    def lasts(self) -> None:
        """It is there for long."""
        self._next = FIRST

    def ends(self) -> None:
        """It asked for something else."""
        self._wait, self._next = self._next, min(2 * self._next, LONGEST)

    def pauses(self) -> None:
        """It asked for nothing."""
        self._wait = 0
