"""Requests out of the bytes of one connection: framing by llhttp, and bounds on what a caller may send.

Source: RFC 9112 (HTTP/1.1), sections 2.2 (line ends), 6 (framing) and 7.1 (chunks); RFC 9110, sections 5.5 (values),
6.5.1 (trailers), 7.8 (Upgrade) and 10.1.1 (Expect).
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

import httptools

from serving.http import bodies, rules
from serving.http.exchange import Exchange, Fault
from serving.http.rules import LONGEST_HEAD, LONGEST_TARGET, MOST_HEADERS, RARE

if TYPE_CHECKING:
    from serving.http.connection import Connection
    from serving.http.server import Server

log = logging.getLogger(__name__)
SLICE = 16 * 1024
"""Bytes that are parsed at once: they bound how many small requests can lie parsed behind one that is answered."""
IDLE, HEAD, BODY, ENDED = range(4)


class Refused(Exception):
    """Ends the parser from within; raised by what llhttp calls, and by nothing else."""


class Reader:
    """Reads requests; those that are whole, or refused, lie in :attr:`ready` in the order in which they came."""

    __slots__ = (
        "_head", "_headers", "_limit", "_odd", "_parser", "_parts", "_path", "_raw", "_repeats", "_server", "_thrown",
        "_to", "exchange", "length", "ready", "stage", "waits_for_leave",
    )  # fmt: skip

    def __init__(self, to: Connection, server: Server) -> None:
        self._to, self._server, self._limit = to, server, server.limits.body_bytes
        self._parser = httptools.HttpRequestParser(self)
        self.ready: deque[Exchange] = deque()
        self.stage = IDLE
        """What of a request has come; after ``ENDED`` nothing is read as one any more."""
        self.waits_for_leave = False
        """The caller has asked whether to send its body (RFC 9110, section 10.1.1)."""
        self.exchange = Exchange(to)
        self._path = b""
        self._headers: dict[bytes, bytes] = {}
        self._repeats = 0
        self._odd: Fault | None = None
        self._parts: list[bytes] = []
        self.length = -1
        """Of the body, as it was announced; looked at only where it does not come at once."""
        self._head = self._raw = self._thrown = 0

    def feed(self, data: bytes | memoryview) -> None:
        """Parse; what is no HTTP becomes a refused request, and the end."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as found:
            self._graft(bytes(data[found.args[0] :]))
        except httptools.HttpParserError as error:
            self._broken(error)
        if self.stage == HEAD:
            self._more_head(len(data))
        elif self.stage == BODY:
            self._more_body(len(data))

    def feed_large(self, data: bytes) -> memoryview:
        """Parse until a request is whole; gives back what came behind it."""
        view = memoryview(data)
        while view and not self.ready:
            taken = self._take()
            self.feed(view[:taken])
            view = view[taken:]
        return view

    def feed_some(self, rest: bytearray) -> None:
        """Parse some of what came behind a request, and take it out."""
        if self.stage == ENDED:
            rest.clear()
            return
        some = bytes(memoryview(rest)[: self._take()])
        del rest[: len(some)]
        self.feed(some)

    def _take(self) -> int:
        """How many bytes may be fed next: of a body with a known length, all that is missing."""
        if self.stage == BODY and self.length > 0:
            return max(SLICE, self.length - self.exchange.held - self._thrown)
        return SLICE

    def refuse(self, fault: Fault) -> None:
        """Refuse what is being read, and read no more; a body that was refused before is told why it was."""
        if self.stage == ENDED:
            return
        exchange = self.exchange
        if self.stage != BODY:
            exchange = Exchange(self._to, path=self._path[:LONGEST_TARGET])
        exchange.fault, exchange.keep_alive = exchange.fault or fault, False
        self._forget(exchange)
        self.ready.append(exchange)
        self.stage = ENDED
        self.waits_for_leave = False

    def knows_interim_answers(self) -> bool:
        """Whether the caller's version of HTTP has them (RFC 9110, section 15.2)."""
        return self._parser.get_http_version() != "1.0"

    def drop(self) -> Exchange | None:
        """Let go of all that has come; nothing more is read. What was broken off in its body is given back, refused."""
        broken, exchange = self.stage == BODY, self.exchange
        self.stage, self.waits_for_leave = ENDED, False
        if not broken:
            return None
        got = f"broke off after {exchange.held + self._thrown} bytes: the caller hung up"
        exchange.fault = exchange.fault or Fault(400, "body", got)
        self._forget(exchange)
        return exchange

    # What llhttp calls

    def on_message_begin(self) -> None:
        """A request begins."""
        if self.stage == ENDED:
            raise Refused
        self.stage = HEAD
        self._path = b""
        self._headers = {}
        self._head = self._repeats = 0

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        name = name.lower()
        if name in self._headers:
            self._again(name, value)
        else:
            self._headers[name] = value.rstrip()

    def on_headers_complete(self) -> None:
        """All of the head is there."""
        parser, headers, path, query = self._parser, self._headers, self._path, b""
        keep_alive = parser.should_keep_alive()
        if b"?" in path:
            path, _, query = path.partition(b"?")
        self.exchange = exchange = Exchange(self._to, parser.get_method(), path, query, headers, keep_alive)
        self.stage = BODY
        if (
            self._head
            or not keep_alive
            or b"host" not in headers
            or path[:1] != b"/"
            or b"#" in self._path
            or len(self._path) > LONGEST_TARGET
            or len(headers) + self._repeats > MOST_HEADERS
            or self._odd is not None
            or not RARE.isdisjoint(headers)
        ):
            self._examine(exchange)
        if int(headers.get(b"content-length", b"0")) > self._limit:  # at once: whoever waits for it to come waits long
            self._stop(self._server.too_long(exchange.text(b"content-length")))

    def on_body(self, data: bytes) -> None:
        """A part of the body; beyond the limits nothing is kept."""
        exchange, server, length = self.exchange, self._server, len(data)
        if exchange.fault is not None:
            self._throw(exchange, length)
            return
        held = exchange.held = exchange.held + length
        server.held += length
        if held > self._limit:
            self._reject(exchange, server.too_long("more"))
        elif server.inflight.full():
            self._reject(exchange, server.too_much())
        elif held == length:
            exchange.body = data
        else:
            self._parts.append(data)

    def on_message_complete(self) -> None:
        """The request is there."""
        exchange = self.exchange
        if self._parts:
            exchange.body = b"".join((exchange.body, *self._parts))
            self._parts = []
        self.stage = IDLE if exchange.keep_alive else ENDED
        self.waits_for_leave = False
        self.length = -1
        self._raw = self._thrown = 0
        self.ready.append(exchange)

    # What is unusual

    def _again(self, name: bytes, value: bytes) -> None:
        if self.stage == BODY:  # trailers, which are left out
            return
        self._repeats += 1
        if name in rules.ONCE:
            self._odd = rules.twice(name)
        elif self._repeats <= MOST_HEADERS:
            self._headers[name] += b", " + value.rstrip()
        else:
            self._odd = rules.MANY_HEADERS

    def _examine(self, exchange: Exchange) -> None:
        """What is not as most heads are."""
        headers, target, version = self._headers, self._path, self._parser.get_http_version()
        fault = self._odd or rules.size_of(target, headers, self._repeats) or rules.framing_of(headers, version)
        fault = fault or rules.target_of(exchange, target)
        if fault is not None:
            self._stop(fault)
        if b"transfer-encoding" in headers:
            self._headers = {}  # trailers go there, and nowhere
        if version == "1.0" or self._parser.should_upgrade():
            exchange.keep_alive = False
        if version == "1.1" and b"expect" in headers:
            if headers[b"expect"].lower() != b"100-continue":
                self._stop(rules.unmet(headers[b"expect"]))
            self.waits_for_leave = True

    def _more_head(self, length: int) -> None:
        """After this much the head has not come whole."""
        self._head += length
        if len(self._path) > LONGEST_TARGET:
            self.refuse(rules.LONG_TARGET)
        elif self._head > LONGEST_HEAD + SLICE:
            self.refuse(rules.LONG_HEAD)

    def _more_body(self, length: int) -> None:
        """After this much the body has not come whole."""
        exchange = self.exchange
        came = exchange.held + self._thrown
        if came:
            self.waits_for_leave = False
        if self.length < 0:
            self.length = int(exchange.headers.get(b"content-length", b"0"))
            return
        self._raw += length
        if self.length == 0 and self._raw > LONGEST_HEAD + rules.PER_CHUNK * came:
            self.refuse(rules.SPARSE_CHUNKS)

    def _reject(self, exchange: Exchange, fault: Fault) -> None:
        """Keep nothing of the body, but read it: the caller writes all of it before it reads the answer."""
        thrown = exchange.held
        self._forget(exchange)
        exchange.fault = fault
        self._throw(exchange, thrown)

    def _throw(self, exchange: Exchange, length: int) -> None:
        self._thrown += length
        if self._thrown > 2 * self._limit and exchange.fault is not None:
            self._stop(exchange.fault)

    def _forget(self, exchange: Exchange) -> None:
        self._server.release(exchange)
        self._parts = []

    def _stop(self, fault: Fault) -> None:
        """Refuse, from within the parser, which must not go on."""
        self.refuse(fault)
        raise Refused

    def _broken(self, error: Exception) -> None:
        """The parser has stopped."""
        if self.stage != ENDED and isinstance(error, httptools.HttpParserCallbackError):  # none of ours may fail
            log.error("a request could not be read", exc_info=error.__context__ or error)
        self.refuse(Fault(400, "request", f"is no HTTP/1.1: {(str(error) or type(error).__name__)[:200]}"))

    def _graft(self, rest: bytes) -> None:
        """An upgrade is asked for, and not done: llhttp takes its body for the other protocol, it is read here."""
        exchange = self.exchange
        exchange.keep_alive = False
        parser = None if exchange.method == b"CONNECT" else bodies.parser_of(self, exchange.headers)
        if parser is None:
            return
        self._parser = parser
        self.ready.pop()
        self.stage, self.waits_for_leave = BODY, b"expect" in exchange.headers
        if rest:
            self.feed(rest)
