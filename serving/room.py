"""Whether the event log takes what is answered: where it does not nobody is answered, so the server is not ready."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from staytrue.errors import Unavailable

if TYPE_CHECKING:
    from staytrue.eventlog import Writer

log = logging.getLogger(__name__)


class Room:
    """Of an event log, for all threads. Told in the log when it lacks and when it is there again.

    Args:
        writer: of the log.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.there = True
        """Whether events are written, as far as is known."""
        self._turn = threading.Lock()
        self._needed = self._refused = 0
        self._since = 0.0

    def probe(self, record: bytes) -> None:
        """Write a record, and find out by it; for once a second, as a server that is not ready is asked nothing."""
        try:
            self._writer.append([record])
        except Unavailable as error:
            self.lacks(error, len(record))
        else:
            self._look()

    def lacks(self, error: Unavailable, needed: int, requests: int = 0) -> None:
        """Events were not written.

        Args:
            error: why.
            needed: bytes that they have.
            requests: that were refused for it.
        """
        with self._turn:
            self._needed, self._refused = max(self._needed, needed), self._refused + requests
            if not self.there:
                return
            self.there, self._since = False, time.monotonic()
        log.warning("not ready, and no prediction is given, until there is room for its event: %s", error)

    def _look(self) -> None:
        """Something was written: whether what was refused would be too, as that may have been larger."""
        if self.there:
            return
        try:
            room = self._writer.room()
        except OSError:
            return
        with self._turn:
            if self._needed > room:
                return
            refused, seconds = self._refused, time.monotonic() - self._since
            self._needed = self._refused = 0
            self.there = True
        log.info(
            "there is room for events again: for %.0f s there was none, and %d requests were refused", seconds, refused
        )
