"""Several processes on one port: started, watched, started again when one dies or hangs, and ended together."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.ports import again
from staytrue.errors import ErrorCode, StaytrueError
from staytrue.listening import ended_by, endings
from staytrue.orphans import end_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.ports import Ports

log = logging.getLogger(__name__)
SHORTEST_LIFE_SECONDS = 5.0
"""A worker that lives no longer is started again only after a pause, which doubles each time."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
TRIES = 3
"""So often in a row a worker may end before it has listened, while no other one listens."""
SILENT_SECONDS = 10.0
"""A worker that listened, and does not tell that it lives for so long, is killed."""
WATCH_SECONDS = 0.1
_LATE_SECONDS = 1.0
_REFUSED = 2
"""Exit code of a worker whose settings are wrong: trying again mends nothing."""


@dataclass(slots=True)
class _Place:
    """A worker's place, and the process that has it."""

    number: int
    due: float = 0.0
    """When a process is to be started, where there is none."""
    process: int = 0
    began: float = 0.0
    pipe: int = -1
    heard: float | None = None
    """When the process last told that it lives; nothing until it listens."""
    brief: int = 0
    """Short lives in a row."""
    unready: int = 0
    """Lives in a row that ended before they listened."""

    def listen(self, now: float) -> None:
        """Take what the process tells."""
        with contextlib.suppress(BlockingIOError):
            if os.read(self.pipe, 1024):
                self.heard = now


class Workers:
    """Processes that each serve on the same ports.

    Args:
        count: of processes.
        ports: reserved and never listened on here, so that they stay ours while no worker is there.
        serve: what a worker does; gives its exit code.
        grace_seconds: from SIGTERM to the end of a worker that does not end.
    """

    def __init__(self, count: int, ports: Ports, serve: Callable[[Ports], int], grace_seconds: float) -> None:
        self._ports, self._serve, self._grace = ports, serve, grace_seconds
        self._places = [_Place(number) for number in range(count)]
        self._ending = False
        self._code = 0

    def run(self) -> int:
        """Until SIGTERM, SIGINT or SIGHUP, which end all workers; 0 where each of them ended well.

        Ends by itself where no worker comes to listen: 2 where settings are wrong, 1 for other reasons.
        """

        def stop(*_: object) -> None:
            self._ending = True

        with ended_by(stop):
            try:
                looked = time.monotonic()
                while not self._ending:
                    now = time.monotonic()
                    self._watch(now, late=now - looked - WATCH_SECONDS)
                    looked = now
                    time.sleep(WATCH_SECONDS)
                failed = self._end()
            finally:
                self._signal(signal.SIGKILL)  # an error here must not leave processes that nobody watches
        return self._code or (1 if failed else 0)

    def _watch(self, now: float, late: float) -> None:
        for place in self._places:
            if place.process == 0:
                if now >= place.due and not self._ending:
                    self._start(place)
                continue
            place.listen(now)
            if place.heard is not None and late > _LATE_SECONDS:  # we stood still, and perhaps they did too
                place.heard += late
            found, status = os.waitpid(place.process, os.WNOHANG)
            if found:
                self._ended(place, os.waitstatus_to_exitcode(status), now)
            elif place.heard is not None and now - place.heard > SILENT_SECONDS:
                log.error("worker %d has not moved for %g seconds and is killed", place.number, SILENT_SECONDS)
                os.kill(place.process, signal.SIGKILL)
                place.heard = now

    def _start(self, place: _Place) -> None:
        told, tells = os.pipe()
        parent = os.getpid()
        process = os.fork()
        if process:
            os.close(tells)
            os.set_blocking(told, False)
            place.process, place.began, place.pipe, place.heard = process, time.monotonic(), told, None
            return
        code = 1
        try:
            for number in endings():  # of the parent; a worker that is still starting just ends
                signal.signal(number, signal.SIG_DFL)
            end_with(parent, signal.SIGKILL)
            for other in (told, *(each.pipe for each in self._places if each.process)):
                os.close(other)
            code = self._serve(again(self._ports, tells=place.number == 0, pulse=tells))
        except StaytrueError as error:
            log.error("worker %d ends: %s", place.number, error)  # noqa: TRY400 - it says all there is
            code = _REFUSED if error.code is ErrorCode.INVALID_CONFIG else 1
        except BaseException:
            log.exception("worker %d ends", place.number)
        finally:
            os._exit(code)

    def _ended(self, place: _Place, code: int, now: float) -> None:
        """Start it again, after a pause where it lived a short time; or give up."""
        listened, lived = place.heard is not None, now - place.began
        self._free(place)
        place.unready = 0 if listened else place.unready + 1
        place.brief = 0 if listened and lived >= SHORTEST_LIFE_SECONDS else place.brief + 1
        if not listened and (code == _REFUSED or place.unready >= TRIES) and not self._any_listens():
            log.error(
                "worker %d ended with %d before it listened, as no other does: the server ends", place.number, code
            )
            self._code, self._ending = _REFUSED if code == _REFUSED else 1, True
            return
        pause = min(FIRST_PAUSE_SECONDS * 2 ** min(place.brief - 1, 16), LONGEST_PAUSE_SECONDS) if place.brief else 0.0
        place.due = now + pause
        log.error("worker %d ended with %d and is started again in %g seconds", place.number, code, pause)

    def _any_listens(self) -> bool:
        return any(place.process and place.heard is not None for place in self._places)

    def _end(self) -> int:
        """End all workers; how many ended badly."""
        self._signal(signal.SIGTERM)
        until, failed = time.monotonic() + self._grace, 0
        while left := [place for place in self._places if place.process]:
            for place in left:
                found, status = os.waitpid(place.process, os.WNOHANG)
                if found:
                    failed += os.waitstatus_to_exitcode(status) not in (0, -signal.SIGTERM, -signal.SIGHUP)
                    self._free(place)
            if time.monotonic() > until:
                self._signal(signal.SIGKILL)
            time.sleep(0.02)
        return failed

    def _signal(self, number: int) -> None:
        for place in self._places:
            if place.process:
                os.kill(place.process, number)

    def _free(self, place: _Place) -> None:
        os.close(place.pipe)
        place.process, place.pipe, place.heard = 0, -1, None
