"""One window of a server, and how much else the machine did meanwhile: a disturbed one is measured again."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import msgspec
import psutil

from benchmarks.client import Figures

if TYPE_CHECKING:
    from benchmarks.loads import Load
    from benchmarks.servers import Client, Server

QUIET = 0.05
"""Share of the machine's cores that others may take."""
TRIES = 3
_IDLE = ("idle", "iowait", "guest", "guest_nice")


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one."""

    figures: Figures
    cpu_seconds: float
    """Of the server and all its processes, a request."""
    others: float
    """Share of the machine that neither server nor client took, the host's other guests included."""
    to_bare: float = 0.0
    """Processor time of a request to that of a bare call of one row right before."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """Medians of a server's windows of one kind."""

    rate: float
    cpu_seconds: float
    p50_seconds: float
    p99_seconds: float
    busy: float
    """The client's share of its core."""
    others: float
    to_bare: float = 0.0

    @classmethod
    def of(cls, windows: list[Window]) -> Point:
        """The medians, each figure's its own."""
        middle = statistics.median
        return cls(
            rate=middle(window.figures.rate for window in windows),
            cpu_seconds=middle(window.cpu_seconds for window in windows),
            p50_seconds=middle(window.figures.p50_seconds for window in windows),
            p99_seconds=middle(window.figures.p99_seconds for window in windows),
            busy=middle(window.figures.busy for window in windows),
            others=middle(window.others for window in windows),
            to_bare=middle(window.to_bare for window in windows),
        )


class Patience:
    """Measures again what others disturbed, for as long as there is time for it.

    Args:
        seconds: for all repetitions together; 0 for none.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def take(self, client: Client, server: Server, load: Load, seconds: float) -> Window:
        """The least disturbed of a few windows; the first, as a rule, where the machine has nothing else to do."""
        best = once(client, server, load, seconds)
        for _ in range(TRIES - 1):
            if best.others <= QUIET or self._seconds < seconds or best.figures.error:
                break
            self._seconds -= seconds
            again = once(client, server, load, seconds)
            best = again if again.others < best.others else best
        return best


def once(client: Client, server: Server, load: Load, seconds: float) -> Window:
    """A window."""
    began, machine, ours, own = time.perf_counter(), _busy(), server.process.cpu_seconds(), client.cpu_seconds()
    figures = client.ask(server.order(load, seconds))
    used, client_used = server.process.cpu_seconds() - ours, client.cpu_seconds() - own
    spent, elapsed = _busy() - machine, time.perf_counter() - began
    server.tidy()
    return Window(
        figures=figures,
        cpu_seconds=used / figures.answered if figures.answered else 0.0,
        others=max(0.0, spent - used - client_used) / (elapsed * (psutil.cpu_count() or 1)),
    )


def _busy() -> float:
    times = psutil.cpu_times()
    return float(sum(value for name, value in zip(times._fields, times, strict=True) if name not in _IDLE))
