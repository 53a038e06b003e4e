"""What an event log may still take, bounded for all its writers together."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from staytrue.segments import total_bytes

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS = 1.0
_SHARE, _LEAST_BYTES = 16, 64 * 1024


class Bound:
    """Of one writer, which counts what it writes itself, and looks what others write.

    It looks once a second, and before it has taken more than a sixteenth of what there was room for, so that several
    do not fill it many times over.
    """

    def __init__(self, log: Path, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._log = log
        self._total = self._trusted = 0
        self._until = 0.0

    def due(self, extra: int) -> bool:
        """Whether it has to look before so many bytes are written."""
        return self._total + extra > self._trusted or time.monotonic() >= self._until

    def look(self, ahead: int) -> int:
        """Count again; returns how many bytes may be written.

        Args:
            ahead: bytes of the log's files that this writer has yet to use.
        """
        self._total = total_bytes(self._log) - ahead
        left = self.most_bytes - self._total
        self._trusted = self._total + min(left, max(_LEAST_BYTES, left // _SHARE))
        self._until = time.monotonic() + _SECONDS
        return left

    def has(self, extra: int) -> bool:
        """Whether there is room for so many, as far as is known."""
        return self._total + extra <= self.most_bytes

    def trusted(self) -> tuple[int, float]:
        """How many bytes may be written without a look, and until when, by ``time.monotonic``."""
        return self._trusted - self._total, self._until

    def wrote(self, count: int) -> None:
        """So many were written."""
        self._total += count
