"""How other threads tell the event loop's thread something: what they leave is taken in their order, all in one go."""

from __future__ import annotations

import logging
import os
import weakref
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

log = logging.getLogger(__name__)
_AT_ONCE = 4096


class Bell:
    """Takes what is left for a loop, and wakes that.

    ``call_soon_threadsafe`` wakes a loop while its caller still holds the interpreter's lock: on a busy core the loop's
    thread takes the place of the other, finds the lock taken, gives the place back, and is woken once more when the
    lock is free: six switches of threads where two do. Writing to a pipe lets go of the lock first.

    Args:
        loop: that is told; made in its thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._left: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._rung = False
        self._hears, self._rings = os.pipe()
        os.set_blocking(self._hears, False)
        os.set_blocking(self._rings, False)
        loop.add_reader(self._hears, self._hear)
        weakref.finalize(self, _close, self._hears, self._rings)  # the loop lets go of it once that is closed

    def leave(self, tell: Callable[[Any], None], what: Any) -> None:
        """Leave something, for ``tell`` to be called with in the loop's thread after :meth:`ring`."""
        self._left.append((tell, what))

    def ring(self) -> None:
        """Have what was left be taken; nothing where nothing was, or where somebody has rung for it."""
        if self._left and not self._rung:
            self._rung = True
            with suppress(BlockingIOError):  # full of rings that nobody hears: the loop has ended
                os.write(self._rings, b"\0")

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._hears, _AT_ONCE)
        self._rung = False  # before anything is taken: what is left from now on may be missed below
        left = self._left
        while left:
            tell, what = left.popleft()
            try:
                tell(what)
            except Exception:
                log.exception("an answer could not be sent")


def _close(*handles: int) -> None:
    for handle in handles:
        os.close(handle)
