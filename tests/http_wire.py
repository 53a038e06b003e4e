"""Both ends of an HTTP connection for tests: a transport in memory, a handler that keeps what it saw, a caller."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import uvloop

from serving.http.connection import Connection
from serving.http.server import Limits, Server

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

    from serving.http.exchange import Exchange
    from serving.inflight import Inflight

HOST = "127.0.0.1"
BODY_BYTES, HELD_BYTES = 1000, 5000
LOOPS = {"uvloop": uvloop.run, "asyncio": asyncio.run}
"""Both kinds of event loop that a server may run in."""
GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"


def limits(**changed: Any) -> Limits:
    """Small ones, so that tests reach them."""
    return Limits(**({"body_bytes": BODY_BYTES, "held_bytes": HELD_BYTES} | changed))


def post(body: bytes, *headers: bytes, length: int | None = None, path: bytes = b"/p") -> bytes:
    """A request with a body."""
    lines = [b"POST %b HTTP/1.1" % path, b"Host: a", b"Content-Length: %d" % (len(body) if length is None else length)]
    return b"\r\n".join((*lines, *headers, b"", body))


class Handler:
    """Keeps what it is given; answers it at once, or when it is told to."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.at_once = at_once
        self.seen: list[tuple[bytes, bytes, bytes, dict[bytes, bytes], bytes, int]] = []
        self.waiting: list[Exchange] = []
        self.cancelled = 0

    def __call__(self, exchange: Exchange) -> None:
        """Take a request."""
        fault = exchange.fault
        status = 200 if fault is None else fault.status
        self.seen.append(
            (exchange.method, exchange.path, exchange.query, dict(exchange.headers), exchange.body, status)
        )
        if self.at_once:
            self.answer(exchange)
        else:
            self.waiting.append(exchange)
            exchange.on_cancel = self._cancel

    def answer(self, exchange: Exchange | None = None) -> None:
        """Answer this one, or the first that waits."""
        exchange = exchange or self.waiting.pop(0)
        if exchange.fault is not None:
            exchange.answer(exchange.fault.status, json.dumps(exchange.fault._asdict()).encode())
        else:
            exchange.answer(200, b"%b %b" % (exchange.path, exchange.body))

    async def come(self, count: int = 1) -> None:
        """Wait until so many wait for their answer."""
        while len(self.waiting) < count:  # noqa: ASYNC110 - the server's side knows no events
            await asyncio.sleep(0.01)

    def _cancel(self, _: Exchange) -> None:
        self.cancelled += 1


class Wire(asyncio.Transport):
    """A transport whose other end is a test."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.context: object = None
        """Of TLS."""
        self.closed = self.aborted = self.eof = self.paused = False
        """What has been done to it."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        assert not self.closed and not self.eof, "nothing is written after the end"  # noqa: PT018
        self.sent += data

    def get_write_buffer_size(self) -> int:
        """All is sent at once."""
        return 0

    def can_write_eof(self) -> bool:
        """As TCP can."""
        return True

    def write_eof(self) -> None:
        """Half of the end."""
        self.eof = True

    def is_closing(self) -> bool:
        """Whether it has been ended."""
        return self.closed

    def close(self) -> None:
        """End."""
        self.closed = True

    def abort(self) -> None:
        """End at once."""
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        """Give no more."""
        self.paused = True

    def resume_reading(self) -> None:
        """Give more."""
        self.paused = False

    def is_reading(self) -> bool:
        """Whether it gives what comes."""
        return not self.paused

    def get_extra_info(self, _: str, default: Any = None) -> Any:
        """Nothing is known."""
        return default


class Caller:
    """A connection in memory: what is given to :meth:`send` comes as one piece."""

    def __init__(
        self, handler: Callable[[Exchange], None] | None = None, inflight: Inflight | None = None, **changed: Any
    ) -> None:
        self.handler = Handler() if handler is None else handler
        self.server = Server(self.handler, limits(**changed), inflight)
        self.again()

    def again(self) -> None:
        """Another connection to the same server."""
        self.connection, self.wire = Connection(self.server), Wire()
        self.connection.connection_made(self.wire)

    def send(self, *pieces: bytes) -> list[Told]:
        """Send them; all answers so far."""
        for piece in pieces:
            if not self.wire.closed:
                self.connection.data_received(piece)
        return self.told()

    def told(self) -> list[Told]:
        """All answers so far."""
        return answers(bytes(self.wire.sent))

    def hang_up(self) -> None:
        """End, as asyncio tells it."""
        self.connection.connection_lost(None)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.server.clock += seconds
        self.connection.expire(self.server.clock)


class Told(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether it announces the end."""
        return self.headers.get("connection") == "close"


def answers(sent: bytes, *, without_body: bool = False) -> list[Told]:
    """Read answers; each must be whole."""
    told = []
    while sent:
        head, end, sent = sent.partition(b"\r\n\r\n")
        assert end, f"half an answer: {head!r}"
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, *_ = first.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = 0 if without_body else int(headers.get("content-length", "0"))
        assert len(sent) >= length, "half a body"
        told.append(Told(int(status), headers, sent[:length]))
        sent = sent[length:]
    return told


@asynccontextmanager
async def listening(
    handler: Callable[[Exchange], None], *, context: ssl.SSLContext | None = None, **changed: Any
) -> AsyncIterator[tuple[Server, int]]:
    """A server at a free port of this machine."""
    server = Server(handler, limits(**changed))
    bound = socket.socket()
    bound.bind((HOST, 0))
    await server.start(bound, context)
    try:
        yield server, bound.getsockname()[1]
    finally:
        await server.drain(0.0)


async def ended(writer: asyncio.StreamWriter) -> None:
    """Hang up, and wait for it."""
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def settled(server: Server, connections: int) -> None:
    """Wait until a server has so many connections, and nothing is left of others.

    Raises:
        TimeoutError: it has not.
    """
    async with asyncio.timeout(5):
        while len(server._connections) != connections or server._turned_away:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
