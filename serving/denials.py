"""Requests refused for the key that they came with: all are counted, and a few told of in the log.

They leave no event: the event log is for predictions, and whoever has no key must not be able to fill it. For the same
reason their lines are few, however many they are.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable

    from staytrue.errors import ErrorCode, StaytrueError

log = logging.getLogger(__name__)
LINE_SECONDS = 1.0
"""Between two lines of one reason."""
LONGEST_PEER = 80


class Denials:
    """For all threads.

    Args:
        clock: seconds, does not go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turn = threading.Lock()
        self._counts: dict[str, dict[str, int]] = {}
        self._next: dict[ErrorCode, float] = {}
        self._untold: dict[ErrorCode, int] = {}

    def note(self, protocol: str, error: StaytrueError, peer: str) -> None:
        """A request was refused.

        Args:
            protocol: that it came by, ours to name.
            error: of :class:`serving.access.Access`, which names a key and never shows it.
            peer: whose connection it came by; of a proxy where there is one.
        """
        code = error.code
        with self._turn:
            counts = self._counts.setdefault(protocol, {})
            counts[code.value] = counts.get(code.value, 0) + 1
            now = self._clock()
            if now < self._next.get(code, now):
                self._untold[code] = self._untold.get(code, 0) + 1
                return
            self._next[code] = now + LINE_SECONDS
            untold = self._untold.pop(code, 0)
        shown = unquote(peer)[:LONGEST_PEER] or "unknown"
        said = "caller refused protocol=%s status=%s peer=%r untold=%d: %s"
        log.warning(said, protocol, code.value, shown, untold, error)

    def tell(self) -> None:
        """Say how many had no line, once none of their reason follows: the next line may never come."""
        with self._turn:
            now = self._clock()
            due = [code for code in self._untold if now >= self._next[code]]
            told = [(code.value, self._untold.pop(code)) for code in due]
            self._next |= dict.fromkeys(due, now + LINE_SECONDS)
        for status, untold in told:
            log.warning("callers refused status=%s untold=%d", status, untold)

    def counts(self) -> dict[str, dict[str, int]]:
        """So many since the start, by protocol and code."""
        with self._turn:
            return {protocol: dict(counts) for protocol, counts in self._counts.items()}
