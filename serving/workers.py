"""Several processes on one port: started, watched, started again when one dies, and ended together."""

from __future__ import annotations

import logging
import os
import signal
import time
from typing import TYPE_CHECKING

from serving.ports import again
from staytrue.listening import ended_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.ports import Ports

log = logging.getLogger(__name__)
SHORTEST_LIFE_SECONDS = 5.0
"""A worker that lives no longer is started again only after a pause."""
WATCH_SECONDS = 0.1


class Workers:
    """Processes that each serve on the same ports.

    Args:
        count: of processes.
        ports: reserved and never listened on here, so that they stay ours while no worker is there.
        serve: what a worker does; gives its exit code.
        grace_seconds: from SIGTERM to the end of a worker that does not end.
    """

    def __init__(self, count: int, ports: Ports, serve: Callable[[Ports], int], grace_seconds: float) -> None:
        self._count, self._ports, self._serve, self._grace = count, ports, serve, grace_seconds
        self._started: dict[int, tuple[int, float]] = {}
        """Process → its place and when it started."""
        self._ending = False

    def run(self) -> int:
        """Until SIGTERM or SIGINT, which all workers get; 0 where each of them ended well."""
        failed = 0

        def stop(*_: object) -> None:
            self._ending = True

        with ended_by(stop):
            for place in range(self._count):
                self._start(place)
            while not self._ending:
                self._watch()
                time.sleep(WATCH_SECONDS)
            for process in self._started:
                os.kill(process, signal.SIGTERM)
            until = time.monotonic() + self._grace
            while self._started:
                failed += self._reap() not in (0, -signal.SIGTERM)
                if time.monotonic() > until:
                    for process in self._started:
                        os.kill(process, signal.SIGKILL)
                time.sleep(0.02)
        return 1 if failed else 0

    def _start(self, place: int) -> None:
        process = os.fork()
        if process:
            self._started[process] = (place, time.monotonic())
            return
        code = 1
        for number in (signal.SIGTERM, signal.SIGINT):  # of the parent; a worker that is still starting just ends
            signal.signal(number, signal.SIG_DFL)
        try:
            code = self._serve(again(self._ports, tells=place == 0))
        except BaseException:
            log.exception("worker %d ends", place)
        finally:
            os._exit(code)

    def _watch(self) -> None:
        for process, (place, began) in list(self._started.items()):
            found, status = os.waitpid(process, os.WNOHANG)
            if not found:
                continue
            del self._started[process]
            log.error("worker %d ended with %d and is started again", place, os.waitstatus_to_exitcode(status))
            if time.monotonic() - began < SHORTEST_LIFE_SECONDS:
                time.sleep(1.0)
            if not self._ending:
                self._start(place)

    def _reap(self) -> int:
        """The exit code of a worker that has ended; 0 where none has."""
        for process in list(self._started):
            found, status = os.waitpid(process, os.WNOHANG)
            if found:
                del self._started[process]
                return os.waitstatus_to_exitcode(status)
        return 0
