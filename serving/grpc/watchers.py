"""Who watches health: each holds a thread, so they are few, and who has no key gives way."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from staytrue.errors import Overloaded

if TYPE_CHECKING:
    from types import TracebackType


class Watcher:
    """One of them, while it has a place.

    Args:
        places: those that there are.
        known: it came with a key, or needs none.
    """

    def __init__(self, places: Watchers, *, known: bool) -> None:
        self._places, self.known = places, known
        self._ended = threading.Event()

    def wait(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            Overloaded: the place is another's now.
        """
        if self._ended.wait(seconds):
            hint = "send a key, which keeps its place, or try again later"
            raise Overloaded("Watch", f"{self._places.most} are open, the limit, and another came", hint=hint)

    def end(self) -> None:
        """Have it give way."""
        self._ended.set()

    def __enter__(self) -> Self:
        """Take a place.

        Raises:
            Overloaded: there is none.
        """
        self._places.take(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._places.leave(self)


class Watchers:
    """Their places. Where all are taken the oldest without a key makes room, whoever comes.

    Args:
        most: how many.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._turn = threading.Lock()
        self._there: dict[Watcher, None] = {}

    def take(self, watcher: Watcher) -> None:
        """A place.

        Raises:
            Overloaded: all are taken by callers with keys.
        """
        with self._turn:
            if len(self._there) >= self.most:
                oldest = next((one for one in self._there if not one.known), None)
                if oldest is None:
                    raise Overloaded("Watch", f"{self.most} are open, the limit", hint="close one, or try again later")
                del self._there[oldest]
                oldest.end()
            self._there[watcher] = None

    def leave(self, watcher: Watcher) -> None:
        """Give a place back."""
        with self._turn:
            self._there.pop(watcher, None)
