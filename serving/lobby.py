"""Calls that wait for a thread, or for a version to load, before they stand in a lane; they can end there too."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.calls import Call


class Lobby:
    """Who waits. Whoever takes a call out goes on with it or ends it, and nobody else does. For all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[Call, None] = {}

    def enter(self, call: Call) -> None:
        """Have a call wait."""
        call.queued = time.monotonic()
        with self._lock:
            self._calls[call] = None

    def leave(self, call: Call) -> bool:
        """Take a call out; False where it is not there, since somebody else did."""
        with self._lock:
            return call in self._calls and self._calls.pop(call) is None

    def holds(self, call: Call) -> bool:
        """Whether a call still waits."""
        return call in self._calls

    def late(self, now: float) -> list[Call]:
        """Take out those that are past their deadline.

        Units:
            now: by ``time.monotonic``.
        """
        with self._lock:
            late = [call for call in self._calls if call.deadline <= now]
            for call in late:
                del self._calls[call]
        return late

    def clear(self) -> list[Call]:
        """Take out all."""
        with self._lock:
            calls, self._calls = list(self._calls), {}
        return calls
