"""What was asked for a moment ago and is not asked for again: bounds what a store is asked by many who look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Lately(Generic[T]):
    """Answers by key, each asked for anew once it is older than a while.

    Args:
        ask: gives the answer to a key; what it raises is raised, and asked for again.
        seconds: for which an answer holds.
        clock: seconds.
    """

    def __init__(self, ask: Callable[[str], T], seconds: float, clock: Callable[[], float]) -> None:
        self._ask, self._seconds, self._clock = ask, seconds, clock
        self._held: dict[str, tuple[float, T]] = {}

    def get(self, key: str) -> T:
        """The answer, or the one of lately; while one caller asks, others go on with that."""
        held, now = self._held.get(key), self._clock()
        if held is not None:
            if 0 <= now - held[0] < self._seconds:
                return held[1]
            self._held[key] = (now, held[1])
        return self.anew(key)

    def anew(self, key: str) -> T:
        """The answer asked for now, whatever is held."""
        now = self._clock()
        try:
            fresh = self._ask(key)
        except BaseException:
            self._held.pop(key, None)
            raise
        self._held[key] = (now, fresh)
        return fresh

    def forget(self, key: str) -> None:
        """Ask anew next time."""
        self._held.pop(key, None)
