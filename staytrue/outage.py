"""A fault that lasts, told in few lines: when it begins, then at intervals that grow, and when it has ended."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from staytrue.errors import ErrorCode, StaytrueError

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)
FIRST_SECONDS, LONGEST_SECONDS = 60.0, 3600.0
"""Between two lines: the first time, and at most; each time it is twice as long."""


class Outage:
    """Of one thing that is tried again and again. For one thread at a time.

    Args:
        what: is tried, for the log.
        meanwhile: what goes on all the same, for its lines of failures.
        clock: seconds, does not go back.
    """

    def __init__(self, what: str, meanwhile: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._meanwhile, self._clock = what, f"; {meanwhile}" if meanwhile else "", clock
        self._since: float | None = None
        self._failures = 0
        self._next: dict[ErrorCode, tuple[float, float]] = {}
        """When the next line of each kind of fault is due, and how long after it the one behind that."""

    def failed(self, error: Exception) -> None:
        """It failed; told if this is the first time, a fault of another kind than before, or a line is due."""
        code = error.code if isinstance(error, StaytrueError) else ErrorCode.INTERNAL
        now = self._clock()
        if self._since is None:
            self._since = now
        self._failures += 1
        due, wait = self._next.get(code, (now, FIRST_SECONDS))
        if now < due:
            return
        first = code not in self._next
        self._next[code] = (now + wait, min(2 * wait, LONGEST_SECONDS))
        lasts = "" if self._failures == 1 else f" for {now - self._since:.0f} s, {self._failures} times by now"
        said = str(error) if isinstance(error, StaytrueError) else repr(error)
        ours = None if isinstance(error, StaytrueError) or not first else error  # where it came from is told once
        log.warning("%s fails%s: %s%s", self._what, lasts, said, self._meanwhile, exc_info=ours)

    def over(self) -> None:
        """It went well."""
        if self._since is not None:
            seconds = self._clock() - self._since
            log.info("%s works again: it failed for %.0f s, %d times", self._what, seconds, self._failures)
        self._since, self._failures = None, 0
        self._next.clear()


class Outages:
    """Of the same thing for several models. For one thread at a time."""

    def __init__(self, what: str, clock: Callable[[], float]) -> None:
        self._what, self._clock = what, clock
        self._lasting: dict[str, Outage] = {}

    def failed(self, name: str, error: Exception) -> None:
        """It failed for a model."""
        fresh = Outage(f"{name}: {self._what}", clock=self._clock)
        self._lasting.setdefault(name, fresh).failed(error)

    def over(self, name: str) -> None:
        """It went well for a model."""
        if (outage := self._lasting.pop(name, None)) is not None:
            outage.over()
