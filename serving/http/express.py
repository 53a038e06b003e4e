"""Connections that ask for little again and again: what they ask is received, and answered, many at once.

With a small model most of what a request costs is that each is received and answered by itself. The requests of such a
connection are taken and their answers sent in one call for all of them (native/express.c, native/answer.c), as long as
each comes whole, behind a head that has been answered so before. Anything else is given to the connection as it came,
which goes on by itself as if it had never been looked at here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from serving.http.exchange import JSON
from staytrue.compiled import native

if TYPE_CHECKING:
    from serving.http.connection import Connection
    from serving.http.exchange import Exchange
    from serving.http.server import Server
    from staytrue.weaving import Woven

    Batch = tuple[Any, list[int], list[bytes], list[bytes]]
    """What was prepared of the requests, their connections' descriptors, their heads, their bodies."""

log = logging.getLogger(__name__)
IDLE_SECONDS = 1.0
"""A connection that asks for nothing in this time is watched as any other."""
ROUNDS_SECONDS = 0.001
"""For which the loop's other work waits at most, and for one round more."""
_NAMED = b"\r\nX-Event-Id: "


class Answered(NamedTuple):
    """Requests that were answered: with status 200, in JSON."""

    places: Sequence[int]
    """Among those that were given."""
    names: bytes
    """Ids of their events, one behind the other."""
    bodies: Woven
    behind: bytes
    """Their other header lines, each with its line end."""


Brief = Callable[[Any, list[bytes]], list[Answered]]
"""Answers requests by what was prepared of their head, and their bodies; any that it leaves out is asked as usual."""


class Express:
    """Such connections of one server. For the thread of its loop.

    Args:
        server: theirs.
        answer: see :data:`Brief`.
    """

    def __init__(self, server: Server, answer: Brief) -> None:
        self._server, self._answer = server, answer
        self._loop = asyncio.get_running_loop()
        self._poll = native.Express()
        self._connections: dict[int, Connection] = {}
        self._joined: list[Batch] = []
        """What those asked that have just come here."""
        self._active: set[int] = set()
        """Those that have asked since the last sweep."""
        self._quiet: dict[int, float] = {}
        """Since when others have not, by the server's clock."""
        self._loop.add_reader(self._poll.fileno(), self._come)

    def join(self, connection: Connection, exchange: Exchange, data: bytes) -> bool:
        """Answer a connection's request here, and those behind it; whether that can be.

        Args:
            connection: that asks nothing else, and is owed nothing.
            exchange: the request.
            data: as it came.
        """
        head, transport = exchange.head, connection.transport
        if head is None or transport is None or self._server.draining or transport.is_closing():
            return False
        if transport.get_write_buffer_size() or transport.get_extra_info("sslcontext") is not None:
            return False
        end = len(data) - len(exchange.body)
        try:
            fd = transport.get_extra_info("socket").fileno()
            self._poll.know(data[:end], len(exchange.body), head.prepared)
            self._poll.add(fd)
        except (OSError, ValueError):
            return False
        transport.pause_reading()
        self._connections[fd], connection.express = connection, fd
        if not self._joined:
            self._loop.call_soon(self._come)
        self._joined.append((head.prepared, [fd], [data[:end]], [exchange.body]))
        return True

    def leave(self, connection: Connection, data: bytes = b"") -> None:
        """Have a connection watched as any other again, where it was here; it is given what came meanwhile."""
        fd, connection.express = connection.express, -1
        if self._connections.get(fd) is not connection:
            return
        del self._connections[fd]
        connection.stays.ends()
        self._quiet.pop(fd, None)
        self._poll.remove(fd)
        connection.since = self._server.clock
        transport = connection.transport
        if transport is None:  # its descriptor may soon be another caller's, who is not to get its answer
            self._joined = [batch for batch in self._joined if batch[1] != [fd]]
            return
        try:
            transport.resume_reading()
            if data:
                connection.data_received(data)
        except Exception:  # as the loop does with what is raised there: the others' requests are in hand still
            log.exception("a connection could not go on by itself")
            transport.abort()

    def sweep(self) -> None:
        """Let go of those that have not asked for a while; for others no time runs."""
        active, self._active, now = self._active, set(), self._server.clock
        for fd, connection in [*self._connections.items()]:
            if fd in active:
                connection.since = now
                connection.stays.lasts()
                self._quiet.pop(fd, None)
            elif now - self._quiet.setdefault(fd, now) >= IDLE_SECONDS:
                self.leave(connection)
                connection.stays.pauses()

    def end(self) -> None:
        """Let go of all; what they have asked is answered by themselves."""
        self._ask_what_joined()
        for connection in [*self._connections.values()]:
            self.leave(connection)

    def close(self) -> None:
        """Watch nothing any more."""
        self._loop.remove_reader(self._poll.fileno())

    def _come(self) -> None:
        """Something has come; what comes while it is being answered is answered too, for a time.

        A turn of the loop costs as much as several requests.
        """
        self._ask_what_joined()
        until = time.monotonic() + ROUNDS_SECONDS
        while self._receive() and time.monotonic() < until:
            pass

    def _receive(self) -> bool:
        """Answer what has come, and tell whether more may have come meanwhile: not where one asks alone."""
        try:
            batches, odd = self._poll.receive()
        except Exception:  # what was read is lost, of whom nobody knows
            log.exception("requests could not be received")
            self._drop([*self._connections])
            return False
        for batch in batches:
            self._ask(batch)
        for fd, data in odd:
            if (connection := self._connections.get(fd)) is not None:
                self.leave(connection, data)
            else:  # or it would be told of for ever
                self._poll.remove(fd)
                log.error("something came by a connection that nobody knows")
        # Not where any left: one that has come back by now asks what it has asked before more is read of it.
        return not odd and bool(batches) and len(batches[0][1]) > 1

    def _ask_what_joined(self) -> None:
        """Ask what came with those that joined: before anything that they send behind it is read."""
        joined, self._joined = self._joined, []
        batches: dict[int, Batch] = {}
        for prepared, descriptors, heads, bodies in joined:
            batch = batches.setdefault(id(prepared), (prepared, [], [], []))
            batch[1].extend(descriptors)
            batch[2].extend(heads)
            batch[3].extend(bodies)
        for batch in batches.values():
            self._ask(batch)

    def _ask(self, batch: Batch) -> None:
        prepared, descriptors, heads, bodies = batch
        self._active.update(descriptors)
        answered: list[Answered] = []
        try:
            answered = self._answer(prepared, bodies)
            for some in answered:
                self._send([descriptors[place] for place in some.places], some)
        except Exception:  # who got an answer, and who not, is not known any more
            log.exception("requests could not be answered")
            self._drop(descriptors)
            return
        if sum([len(some.places) for some in answered]) < len(bodies):
            taken = {place for some in answered for place in some.places}
            for place, fd in enumerate(descriptors):
                if place not in taken:
                    self._ask_as_usual(fd, heads[place], bodies[place])

    def _ask_as_usual(self, fd: int, head: bytes, body: bytes) -> None:
        if (known := self._server.known.known.get(head)) is not None:
            known.brief = False  # or it would come back at once
        if (connection := self._connections.get(fd)) is not None:
            self.leave(connection, head + body)

    def _send(self, descriptors: list[int], some: Answered) -> None:
        prefixes = self._server.prefixes
        before = prefixes.made.get((200, JSON)) or prefixes.make(200, JSON)
        _, around, columns = some.bodies
        behind = b"\r\n%b\r\n" % some.behind
        left = native.answer(descriptors, before, _NAMED, behind, some.names, around, columns)
        for place, rest in left:
            connection = self._connections[descriptors[place]]
            if rest is None:
                self._drop([descriptors[place]])
            else:  # it reads slowly, for which it has a time
                transport = connection.transport
                self.leave(connection)
                if transport is not None:
                    transport.write(rest)

    def _drop(self, descriptors: list[int]) -> None:
        """Break off these connections."""
        for fd in descriptors:
            connection = self._connections.get(fd)
            if connection is not None and (transport := connection.transport) is not None:
                self.leave(connection)
                transport.abort()


def express_of(server: Server, answer: Brief | None) -> Express | None:
    """For a server that is answered so; None where nothing was compiled for it, as on other systems than Linux."""
    return Express(server, answer) if answer is not None and hasattr(native, "Express") else None
