"""Listens, counts connections, ends those that take too long, and drains without breaking off a caller."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from serving.http.announced import Announcing
from serving.http.closing import let_nobody_in
from serving.http.connection import Connection
from serving.http.exchange import JSON, Fault
from serving.http.express import Express, express_of
from serving.http.known import Heads
from serving.http.prefixes import CLOSE, Prefixes
from serving.inflight import Inflight

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from serving.http.exchange import Exchange
    from serving.http.express import Brief

log = logging.getLogger(__name__)
SWEEP_SECONDS = 0.25
LEAVING_SECONDS = 0.25
"""From the signal to the end of listening: who connects in this time is answered still."""
SETTLING_SECONDS = 0.1
"""From the last newcomer to the end of listening: a handshake that has begun takes so long to come to its end."""
_BACKLOG = 2048
_LOOK_SECONDS = 0.02
_TURNS = 10
_MOST_TURNED_AWAY = 256
_FULL = b'{"error":"server: has as many connections as it takes; try again","code":"overloaded"}'


@dataclass(frozen=True)
class Limits:
    """What one caller, and all together, may take."""

    body_bytes: int
    held_bytes: int
    """Of all bodies that are being read or answered."""
    connections: int = 1024
    idle_seconds: float = 75.0
    """A connection without a request is closed after it."""
    head_seconds: float = 10.0
    body_seconds: float = 60.0
    write_seconds: float = 30.0
    """For an answer that the caller does not read."""


class _Listening(NamedTuple):
    server: asyncio.Server
    bound: socket.socket
    context: ssl.SSLContext | None


class Server:
    """Connections of one port.

    Args:
        handle: is given each whole request, in the loop's thread; it sees to an answer, at once or later.
        limits: see :class:`Limits`.
        inflight: what this port and others may hold together; without it this one has a bound of its own.
        brief: answers requests that cost little, many at once.
    """

    def __init__(
        self,
        handle: Callable[[Exchange], None],
        limits: Limits,
        inflight: Inflight | None = None,
        brief: Brief | None = None,
    ) -> None:
        self.handle, self.limits, self._brief = handle, limits, brief
        self.express: Express | None = None
        self.prefixes, self.known, self.announcing = Prefixes(), Heads(), Announcing()
        self.answering = self.held = 0
        """Requests being answered, and bytes of bodies."""
        self.inflight = inflight or Inflight(limits.held_bytes)
        self.inflight.join(self)
        self.draining = False
        self.clock = 0.0
        """The loop's time as of the last sweep: no request asks for it."""
        self._connections: set[Connection] = set()
        self._turned_away: set[Connection] = set()
        self._listening: list[_Listening] = []
        self._sweeping: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    async def start(self, bound: socket.socket, context: ssl.SSLContext | None = None) -> None:
        """Listen on a bound socket."""
        loop = asyncio.get_running_loop()
        self.clock = loop.time()
        patience = self._handshake_seconds(context)
        listening = await loop.create_server(
            lambda: Connection(self), sock=bound, backlog=_BACKLOG, ssl=context, ssl_handshake_timeout=patience
        )
        self._listening.append(_Listening(listening, bound, context))
        if self._sweeping is None:
            self._sweeping = asyncio.create_task(self._sweep())
            self.express = express_of(self, self._brief)

    async def renew(self, context: ssl.SSLContext) -> None:
        """Speak TLS with another context to who connects from now on; connections that are there go on.

        Another port on the same queue of callers, as a context never forgets an authority it once trusted.
        """
        async with self._turn:
            before = [*self._listening]
            for one in before:
                await self.start(one.bound.dup(), context)
            self._listening = self._listening[len(before) :]
            await asyncio.gather(*map(_close, before))

    async def drain(self, seconds: float) -> None:
        """Let callers go: each answer from now on ends its connection, new ones are taken for a moment still.

        After ``seconds`` what still runs is broken off.
        """
        now = asyncio.get_running_loop().time
        self.draining = True
        if self.express is not None:
            self.express.end()
        until = now() + seconds
        await asyncio.sleep(min(LEAVING_SECONDS, seconds))
        async with self._turn:
            listening, self._listening = self._listening, []
            settling = min(SETTLING_SECONDS, seconds)
            await asyncio.gather(*(self._listen_no_more(one, settling) for one in listening), return_exceptions=True)
        while self._open() and now() < until:
            # By this clock they may have come so much earlier.
            before = self.clock - LEAVING_SECONDS - 2 * SWEEP_SECONDS
            for connection in self._open():
                connection.end_if_idle(before)
            await asyncio.sleep(_LOOK_SECONDS)
        for connection in self._open():
            if connection.transport is not None:
                connection.transport.abort()
        if self.express is not None:
            self.express.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
            self._sweeping = None
        for _ in range(_TURNS):  # asyncio tells of the end of a connection in a later turn of the loop
            if self._open():
                await asyncio.sleep(0)

    def opened(self, connection: Connection) -> bytes:
        """A caller has come; for one too many, what it is told before it is let go."""
        if len(self._connections) < self.limits.connections:
            self._connections.add(connection)
            return b""
        self._turned_away.add(connection)
        if len(self._turned_away) > _MOST_TURNED_AWAY and connection.transport is not None:
            connection.transport.abort()
            return b""
        return b"%b%d\r\nRetry-After: 1\r\n%b\r\n%b" % (self.prefixes.make(429, JSON), len(_FULL), CLOSE, _FULL)

    def closed(self, connection: Connection) -> None:
        """A caller has gone."""
        self._connections.discard(connection)
        self._turned_away.discard(connection)

    def release(self, exchange: Exchange) -> None:
        """Let go of a body, and of its share of what all bodies may hold."""
        self.held -= exchange.held
        exchange.held, exchange.body = 0, b""

    def too_long(self, got: str) -> Fault:
        """A body beyond the limit."""
        expected, hint = f"at most {self.limits.body_bytes} bytes", "send fewer rows, or raise serving.max_body_bytes"
        return Fault(413, "body", expected=expected, got=got, hint=hint)

    def too_much(self) -> Fault:
        """The bodies of all callers together are beyond their limit."""
        problem = f"holds {self.inflight.total()} bytes of requests, {self.inflight.most} at most"
        return Fault(429, "server", problem, hint="try again")

    async def _listen_no_more(self, listening: _Listening, settling_seconds: float) -> None:
        """Close a port; who has connected by then, and would meet a reset connection, is taken still."""
        loop, context = asyncio.get_running_loop(), listening.context
        bound = listening.bound.dup()  # uvloop closes its own in a later turn
        bound.settimeout(0)
        if let_nobody_in(bound):
            await asyncio.sleep(settling_seconds)
        await _close(listening)
        taken = []
        with bound:
            while True:
                try:
                    taken.append(bound.accept()[0])
                except OSError:  # nobody waits
                    break
        patience = self._handshake_seconds(context)
        waiting = (
            loop.connect_accepted_socket(lambda: Connection(self), one, ssl=context, ssl_handshake_timeout=patience)
            for one in taken
        )
        await asyncio.gather(*waiting, return_exceptions=True)

    def _handshake_seconds(self, context: ssl.SSLContext | None) -> float | None:
        return None if context is None else self.limits.head_seconds

    def _open(self) -> list[Connection]:
        return [*self._connections, *self._turned_away]

    async def _sweep(self) -> None:
        """Keep the clock, and end the connections of callers that take too long."""
        now = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            late = now() - self.clock - SWEEP_SECONDS
            self.clock = now()
            self.prefixes.renew()
            try:
                if self.express is not None:
                    self.express.sweep()
            except Exception:  # or nobody's time would run any more
                log.exception("connections that ask for nothing could not be let go")
            for connection in self._open():
                if late > SWEEP_SECONDS:  # the loop stood still, which no caller is to blame for
                    connection.since += late
                try:
                    connection.expire(self.clock)
                except Exception:
                    log.exception("a connection could not be ended")


async def _close(listening: _Listening) -> None:
    asyncio.get_running_loop().remove_reader(listening.bound)  # asyncio's own loses whom it has just accepted otherwise
    await asyncio.sleep(0)
    listening.server.close()
    await asyncio.sleep(0)
