"""Long bodies behind heads that were read before: no parser looks at them, their announced length alone is taken.

A head is known here by all but the length that it announces, which with long bodies of JSON is each request's own.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from serving.http.exchange import Exchange
from serving.http.known import END, HASH_BYTES, MOST_MISSES, OTHER_FRAMING, Head, halves_of, hashed
from serving.http.reader import BODY, IDLE, SLICE, Refused

if TYPE_CHECKING:
    from serving.http.connection import Connection
    from serving.http.known import Memory
    from serving.http.reader import Reader
    from serving.http.server import Server

LEAST_BYTES = SLICE
"""Of a body: shorter ones come whole, and are known with their heads."""
_MOST = 256
_LONGEST = 1024
_LENGTH = re.compile(rb"\r\n(?i:content-length): ?([1-9][0-9]{0,14})(?=\r\n)")

Found = tuple[bytes, dict[bytes, bytes], int]
"""By what a head is known, the lines that are its request's own, and the length that it announces."""


class Announcing:
    """Heads before long bodies, by a hash that nobody else can make: no key is kept longer than its request."""

    def __init__(self) -> None:
        self._heads: dict[bytes, Head] = {}
        self._same: dict[bytes, tuple[Head, Found]] = {}
        """Those without keys, or ids of their own, by all their bytes: found at a glance."""
        self._salt = secrets.token_bytes(HASH_BYTES)

    def find(self, data: bytes, end: int) -> tuple[Head, Found] | None:
        """A head whose like was read and prepared before: the first bytes, as many as it has."""
        if not self._heads:
            return None
        if (same := self._same.get(data[:end])) is not None:
            return same
        found = self._found(data, end)
        head = None if found is None else self._heads.get(found[0])
        if found is None or head is None or head.prepared is None:
            return None
        if not (head.sealed or head.own):
            if len(self._same) >= _MOST:
                self._same.clear()
            self._same[data[:end]] = head, found
        return head, found

    def learn(self, data: bytes, exchange: Exchange, came: int) -> bool:
        """Keep the head of a request that begins these bytes; whether it is one of those that are kept.

        Args:
            data: that began with it.
            exchange: the request.
            came: bytes of its body that came with it: where they are all that came, the head is all before them.
        """
        end, headers = data.find(END, 0, _LONGEST) + len(END), exchange.headers
        if end < len(END) or end + came != len(data) or not exchange.keep_alive or exchange.fault is not None:
            return False
        found = self._found(data, end)
        if found is None or not OTHER_FRAMING.isdisjoint(headers) or found[2] < LEAST_BYTES:
            return False
        name, own, length = found
        if int(headers.get(b"content-length", b"0")) != length or any(headers[key] != own[key] for key in own):
            return False
        if len(self._heads) >= _MOST:
            self._heads.clear()
            self._same.clear()
        exchange.head = self._heads[name] = Head(exchange, length, own)
        return True

    def _found(self, data: bytes, end: int) -> Found | None:
        """Of a head that announces one length, and has what is its own once."""
        parts = _LENGTH.split(data[:end])
        # No head that was read holds a NUL, by which halves_of() tells apart what stands between.
        if len(parts) != 3 or b"\0" in data[:end]:
            return None
        alike = halves_of(b"%b\r\ncontent-length:%b" % (parts[0], parts[2]))
        if alike is None:
            return None
        return hashed(alike[0], self._salt, own=bool(alike[1])), alike[1], int(parts[1])


class Announced:
    """Reads what comes by one connection: a long body behind a known head by itself, all else by the parser.

    Args:
        server: whose connections share what heads are known.
        to: the connection.
        reader: of the connection; has the parser.
        memory: of heads before short bodies.
    """

    __slots__ = ("_left", "_memory", "_misses", "_reader", "_server", "_to")

    def __init__(self, server: Server, to: Connection, reader: Reader, memory: Memory) -> None:
        self._server, self._to, self._reader, self._memory = server, to, reader, memory
        self._left = self._misses = 0
        """Bytes that a body lacks; and unknown heads in a row."""

    def read(self, data: bytes) -> bytes | memoryview:
        """Read until a request is whole, or refused; what came behind it, where that is long."""
        reader, at = self._reader, 0
        before = reader.stage
        if before == IDLE:
            at = self._begin(data)
        if at or (self._left and before == BODY):
            return self._take(data, at)
        behind: bytes | memoryview = b""
        if len(data) <= SLICE:
            reader.feed(data)
        else:
            behind = reader.feed_large(data)
        if before == IDLE:
            self._learn(data)
        return behind

    def read_some(self, rest: bytearray) -> None:
        """Read some of what was set aside, and take it out: a body that was begun here goes on here."""
        reader = self._reader
        if self._left and reader.stage == BODY:
            some = bytes(memoryview(rest)[: self._left])
            del rest[: len(some)]
            self._take(some, 0)
        else:
            reader.feed_some(rest)

    def _begin(self, data: bytes) -> int:
        """Begin a request with a known head; where its body begins, 0 for another."""
        end = data.find(END, 0, _LONGEST) + len(END)
        if end < len(END) or self._misses > MOST_MISSES:
            return 0
        known = self._server.announcing.find(data, end)
        if known is None:
            return 0
        head, (_, own, length) = known
        if not LEAST_BYTES <= length <= self._server.limits.body_bytes:
            return 0
        self._misses = 0
        headers = {**head.headers, **own, b"content-length": b"%d" % length}
        reader = self._reader
        reader.exchange = Exchange(self._to, head.method, head.path, head.query, headers, True, head)  # noqa: FBT003
        reader.stage, reader.length, self._left = BODY, length, length
        return end

    def _take(self, data: bytes, at: int) -> memoryview:
        """Take what belongs to the body, from this place on; what came behind it."""
        reader, end = self._reader, min(len(data), at + self._left)
        self._left -= end - at
        try:
            if end > at:
                reader.on_body(data[at:end])
            if not self._left:
                reader.on_message_complete()
        except Refused:
            self._left = 0
        return memoryview(data)[end:]

    def _learn(self, data: bytes) -> None:
        """Keep the head of a request that has begun with these bytes, unless no two of this caller are the same."""
        reader = self._reader
        if reader.stage == BODY:
            exchange = reader.exchange
            came = exchange.held
        elif reader.stage == IDLE and len(reader.ready) == 1:
            exchange = reader.ready[0]
            came = len(exchange.body)
            if len(data) <= SLICE:
                self._memory.learn(data, exchange)
                return
        else:
            return
        if self._misses <= MOST_MISSES and self._server.announcing.learn(data, exchange, came):
            self._misses += 1
