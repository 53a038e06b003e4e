"""One connection: answers in the order of requests, how slow a caller may be, and an end that loses no answer.

Source: RFC 9112 (HTTP/1.1), sections 9.3 (persistence and pipelining) and 9.6 (tear-down).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from serving.http.announced import Announced
from serving.http.closing import unread_bytes
from serving.http.exchange import JSON, Fault
from serving.http.known import Memory
from serving.http.prefixes import CLOSE, CONTINUE, FAILED
from serving.http.reader import BODY, HEAD, IDLE, SLICE, Reader
from serving.http.stays import Stays

if TYPE_CHECKING:
    from serving.http.exchange import Exchange
    from serving.http.server import Server

log = logging.getLogger(__name__)
LINGER_SECONDS = 2.0
"""How long more is waited for after the last answer, up to ``body_seconds``, to be read and thrown away: a caller that
writes all before it reads would meet a reset connection instead of the answer."""
BEHIND_BYTES = 64 * 1024
"""Kept of what a caller sends while its last request is being answered; then it is read no more until the answer."""
LARGE_BYTES = 64 * 1024
"""A larger answer is not copied behind its head."""
PROBES = 2
"""The first write is answered by a reset where the caller has gone, the next one meets it."""


class Connection(asyncio.Protocol):
    """Reads requests and writes answers. All calls come in the event loop's thread."""

    __slots__ = (
        "_announced", "_aside", "_eof", "_heard", "_memory", "_paused", "_prefixes", "_probes", "_pumping", "_reader",
        "_ready", "_rest", "_thrown", "_writable", "current", "express", "lingers", "server", "since", "stays",
        "transport",
    )  # fmt: skip

    def __init__(self, server: Server) -> None:
        self.server, self._prefixes = server, server.prefixes
        self.transport: asyncio.Transport | None = None
        self.current: Exchange | None = None
        """The request that is being answered."""
        self._reader, self._memory = Reader(self, server), Memory(server, self)
        self._ready, self._announced = self._reader.ready, Announced(server, self, self._reader, self._memory)
        self._rest = bytearray()
        """Came behind the request that is being answered; not parsed yet."""
        self.express, self.stays = -1, Stays()
        """Its descriptor, while :class:`serving.http.express.Express` reads and answers in its place."""
        self._aside = self._pumping = self._paused = self._eof = False
        self._writable, self.lingers = True, False
        """The last answer is sent, or the caller was turned away."""
        self._thrown, self._probes, self._heard = 0, 0, 0.0
        self.since = server.clock
        """When that began for which the caller is waited now, by the server's clock."""

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many."""
        self.transport = cast("asyncio.Transport", transport)
        self.since = self.server.clock
        if told := self.server.opened(self):
            self.transport.write(told)
            self._finish(unread=True)

    def data_received(self, data: bytes) -> None:
        """Parse, and answer what is whole."""
        if self._aside or self.current is not None:
            self._set_aside(data)
            return
        reader, before = self._reader, self._reader.stage
        if before == IDLE and (exchange := self._memory.recall(data)) is not None:
            brief = exchange.head is not None and exchange.head.brief and self.stays.due()
            if brief and (express := self.server.express) is not None and express.join(self, exchange, data):
                return
            self._pumping = True
            self._start(exchange)
            self._pumping = False
            if self.current is None:
                self._pump()
            return
        self._rest += self._announced.read(data)
        if self._ready:
            self._pump()
            return
        if reader.stage != before:
            self.since = self.server.clock
        if reader.waits_for_leave:
            self._give_leave()

    def eof_received(self) -> bool:
        """The caller will send no more; what it has sent is answered first."""
        transport = self.transport
        if transport is None or self.lingers or (self.current is None and self._writable):
            return False
        self._eof = True
        return transport.get_extra_info("sslcontext") is None  # TLS cannot be closed by half

    def connection_lost(self, _: Exception | None) -> None:
        """The caller hung up: what it waits for is cancelled."""
        self.server.closed(self)
        self.transport = None
        if self.express >= 0 and self.server.express is not None:
            self.server.express.leave(self)
        current, self.current = self.current, None
        if current is not None:
            self.server.answering -= 1
            self._ready.appendleft(current)
        for exchange in self._ready:
            self.server.release(exchange)
            exchange.cancel()
        self._ready.clear()
        if (broken := self._reader.drop()) is not None:
            self.server.handle(broken)
        self._rest.clear()

    def pause_writing(self) -> None:
        """The caller does not read: it gets a time, and no further answer meanwhile."""
        self._writable = False
        self._aside = True
        self.since = self.server.clock

    def resume_writing(self) -> None:
        """It does read."""
        self._writable = True
        self.since = self.server.clock
        if not self._pumping:
            self._pump()

    # What is sent

    def send(self, exchange: Exchange, status: int, body: bytes, kind: bytes, headers: bytes) -> None:
        """Send the answer to the request that is being answered, then begin the next."""
        transport, server = self.transport, self.server
        if transport is None or exchange is not self.current:
            return
        before = self._prefixes.made.get((status, kind)) or self._prefixes.make(status, kind)
        self.current = None
        server.answering -= 1
        server.held -= exchange.held
        exchange.held, exchange.body, exchange.on_cancel = 0, b"", None
        length = len(body)
        keep_alive = exchange.keep_alive and not server.draining
        if not keep_alive:
            headers += CLOSE
        if exchange.method == b"HEAD":
            body = b""
        if length < LARGE_BYTES:
            transport.write(b"%b%d\r\n%b\r\n%b" % (before, length, headers, body))
        else:
            transport.write(b"%b%d\r\n%b\r\n" % (before, length, headers))
            transport.write(body)
        if not keep_alive:
            self._finish(unread=exchange.fault is not None)
        elif self._pumping:
            return
        elif self._ready or self._rest or self._paused or self._eof or not self._writable:
            self._pump()
        else:  # what most answers leave to be done
            self.since, self._aside = server.clock, False
            if self._reader.waits_for_leave:
                self._give_leave()

    def expire(self, now: float) -> None:
        """End it, where the caller has taken too long."""
        transport, limits = self.transport, self.server.limits
        if transport is None:
            return
        waited, stage = now - self.since, self._reader.stage
        if transport.is_closing() or not self._writable or (transport.get_write_buffer_size() and self.current is None):
            if waited >= limits.write_seconds:
                transport.abort()
        elif self.lingers:
            if waited >= limits.body_seconds or now - max(self.since, self._heard) >= LINGER_SECONDS:
                transport.abort()
        elif self.current is not None:
            self._probe(transport)
        elif stage == IDLE:
            if waited >= limits.idle_seconds:
                self._close(transport)
        elif waited >= (limits.head_seconds if stage == HEAD else limits.body_seconds):
            part = "request head" if stage == HEAD else "request body"
            self._reader.refuse(Fault(408, part, "did not come whole in its time", hint="send it faster"))
            self._pump()

    def _probe(self, transport: asyncio.Transport) -> None:
        """Whoever has closed its half may have gone, which only writing tells; an interim answer harms nobody else."""
        if self._eof and self._probes < PROBES and self._reader.knows_interim_answers():
            self._probes += 1
            transport.write(CONTINUE)

    def end_if_idle(self, before: float) -> None:
        """Close it where nothing is asked, nor has been since then, nor has come unread."""
        idle = self.current is None and self._reader.stage == IDLE and not self.lingers
        if idle and self.since <= before and self.transport is not None and not unread_bytes(self.transport):
            self._close(self.transport)

    # What goes on between

    def _pump(self) -> None:
        """Answer what is ready, one at a time; what came behind is read when it is answered."""
        self._pumping = True
        ready, rest, transport = self._ready, self._rest, self.transport
        while transport is not None and self.current is None and self._writable and not self.lingers:
            if ready:
                self._start(ready.popleft())
            elif rest:
                self._announced.read_some(rest)
            if not (ready or rest) or transport.is_closing():
                break
        self._pumping = False
        if self.current is None and self._writable:
            self._await()

    def _start(self, exchange: Exchange) -> None:
        self.current = exchange
        server = self.server
        server.answering += 1
        try:
            server.handle(exchange)
        except Exception:
            log.exception("a request could not be handled")
            exchange.keep_alive = False
            self.send(exchange, 500, FAILED, JSON, b"")

    def _await(self) -> None:
        """Nothing is there to be answered: the caller's time runs."""
        self.since = self.server.clock
        if self.lingers:
            return
        transport = self.transport
        if self._eof and transport is not None:
            self._close(transport)
            return
        self._aside = False
        if self._paused:
            self._resume()
        if self._reader.waits_for_leave:
            self._give_leave()

    def _set_aside(self, data: bytes) -> None:
        """Keep what may not be parsed now."""
        if self.lingers:
            self._throw(len(data))
            return
        self._rest += data
        if len(self._rest) > BEHIND_BYTES and not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()

    def _give_leave(self) -> None:
        if self.current is None and self._reader.stage == BODY and self.transport is not None:
            self._reader.waits_for_leave = False
            self.transport.write(CONTINUE)

    def _finish(self, *, unread: bool) -> None:
        """End after the last answer; what the caller still sends is thrown away for a time, so that it can read it.

        Args:
            unread: whether it may be sending still.
        """
        transport = self.transport
        if transport is None:
            return
        self._reader.drop()
        while self._ready:
            self.server.release(self._ready.popleft())
        self._rest.clear()
        self.since = self.server.clock
        self.lingers = self._aside = True
        if self._eof or transport.is_closing() or not (transport.can_write_eof() or unread):
            self._close(transport)
            return
        if transport.can_write_eof():
            with suppress(OSError):  # of asyncio's own loop, where the caller has just gone
                transport.write_eof()
        self._resume()

    def _close(self, transport: asyncio.Transport) -> None:
        self.since = self.server.clock
        self.lingers = self._aside = True
        transport.close()

    def _resume(self) -> None:
        if self._paused and self.transport is not None:
            self._paused = False
            self.transport.resume_reading()

    def _throw(self, length: int) -> None:
        self._thrown, self._heard = self._thrown + length, self.server.clock
        if self._thrown > 2 * self.server.limits.body_bytes + SLICE and self.transport is not None:
            self.transport.abort()
