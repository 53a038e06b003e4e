"""The state of this worker, written to the event log each second."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from staytrue.events import Heartbeat

if TYPE_CHECKING:
    from serving.dataplane import Dataplane
    from serving.denials import Denials


_STATM = Path("/proc/self/statm")


class Pulse:
    """Takes heartbeats of a dataplane, and of whom it never saw."""

    def __init__(self, dataplane: Dataplane, worker: str, denials: Denials) -> None:
        self._dataplane, self._worker, self._denials = dataplane, worker, denials
        self._before = (0, 0)

    def beat(self) -> Heartbeat:
        """The state now."""
        runs, rows = self._dataplane.runs()
        new_runs, new_rows = runs - self._before[0], rows - self._before[1]
        self._before = (runs, rows)
        return Heartbeat(
            worker=self._worker,
            time=time.time(),
            ready=self._dataplane.ready(),
            in_flight=self._dataplane.in_flight,
            queue_depth=self._dataplane.queued_rows(),
            batch_rows=new_rows / new_runs if new_runs > 0 else 0.0,
            answered=self._dataplane.answered,
            shadows_dropped=self._dataplane.shadows_dropped,
            callers_refused=self._denials.counts(),
            cpu_seconds=time.process_time(),
            resident_bytes=_resident_bytes(),
            versions=self._dataplane.registry.versions(),
        )


def _resident_bytes() -> int:
    """Of this process. Linux tells it in a file; elsewhere psutil is asked, which takes long to import."""
    if _STATM.exists():
        return int(_STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import psutil  # noqa: PLC0415 - where it is needed

    return int(psutil.Process().memory_info().rss)
