"""Labels that belong to nothing: counted again when labels or events have come, within a twentieth of the time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitoring.display.vitals import Vitals
    from monitoring.ingest.lake import Lake

PAUSES = 19
"""So many times as long as a count took, none is made."""


class Unmatched:
    """Keeps the count in the vitals."""

    def __init__(self, lake: Lake, vitals: Vitals, clock: Callable[[], float] = time.monotonic) -> None:
        self._lake, self._vitals, self._clock = lake, vitals, clock
        self._counted: tuple[int, int] | None = None
        self._due = clock()

    def refresh(self) -> None:
        """Count, if anything has come that may change the count, and the last one cost little."""
        labels = self._vitals.totals["labels"].get("labels", 0)
        waits = any(self._vitals.unmatched.values())
        there = (labels, sum(self._vitals.by_status().values()) if waits else 0)
        begun = self._clock()
        if not labels or there == self._counted or begun < self._due:
            return
        newest = max(self._vitals.newest.values(), default=0.0)
        self._vitals.unmatched = self._lake.unmatched(newest)
        self._counted = there
        ended = self._clock()
        self._due = ended + PAUSES * (ended - begun)
