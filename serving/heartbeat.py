"""The state of this worker, written to the event log each second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil

from staytrue.events import Heartbeat

if TYPE_CHECKING:
    from serving.dataplane import Dataplane


class Pulse:
    """Takes heartbeats of a dataplane."""

    def __init__(self, dataplane: Dataplane, worker: str) -> None:
        self._dataplane, self._worker, self._process = dataplane, worker, psutil.Process()
        self._before = (0, 0)

    def beat(self) -> Heartbeat:
        """The state now."""
        times = self._process.cpu_times()
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
            cpu_seconds=times.user + times.system,
            resident_bytes=self._process.memory_info().rss,
            versions=self._dataplane.registry.versions(),
        )
