"""A connection over HTTP/1.1 that asks again as soon as it has its answer, at the least cost that still checks it."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from benchmarks.questions import WrongAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.questions import Question

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@dataclass
class Window:
    """What the connections of one window share."""

    end: float
    """By ``time.perf_counter``; what is answered later is no part of the rate."""
    done: asyncio.Future[None]
    """Set when the last connection has its last answer; its exception is what went wrong."""
    open: int
    latencies: list[float] = field(default_factory=list)
    late: int = 0
    """Answers after the end: each connection waits for its last."""

    def count(self, began: float) -> float | None:
        """Note an answer; when the next question begins, or None after the end."""
        now = time.perf_counter()
        if now < self.end:
            self.latencies.append(now - began)
            return now
        self.late += 1
        self.open -= 1
        if not self.open and not self.done.done():
            self.done.set_result(None)
        return None

    def fail(self, error: Exception) -> None:
        """End the window: one wrong answer makes its figures worthless."""
        if not self.done.done():
            self.done.set_exception(error)


class Connection(asyncio.Protocol):
    """A client of one row at a time; the connections of a window take their questions from the same place."""

    def __init__(self, questions: Iterator[Question], window: Window) -> None:
        self._questions, self._window = questions, window
        self._request, self._check = next(questions)
        self._held, self._began, self._resting = b"", 0.0, False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the first time."""
        self._transport = cast("asyncio.Transport", transport)
        self._began = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take an answer, or a part of one; then ask again."""
        if self._held:
            data, self._held = self._held + data, b""
        head = data.find(b"\r\n\r\n")
        if head < 0:
            self._held = data
            return
        length = _LENGTH.search(data, 0, head + 2)
        missing = head + 4 + int(length[1]) - len(data) if length else -1
        if missing > 0:
            self._held = data
            return
        if missing or data[:13] != b"HTTP/1.1 200 ":
            self._window.fail(WrongAnswer(f"no answer of status 200 with its length: {data[:500]!r}"))
            return
        try:
            self._check(data[head + 4 :])
        except WrongAnswer as error:
            self._window.fail(error)
            return
        began = self._window.count(self._began)
        if began is None:
            self._resting = True
            return
        self._began = began
        self._request, self._check = next(self._questions)
        assert self._transport is not None
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        """A server that hangs up before it was asked to fails the window."""
        if not self._resting:
            self._window.fail(ConnectionError(f"the server closed the connection: {exc}"))
