"""Heads of requests that were read before, shared by all connections: equal bytes need no second reading."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import TYPE_CHECKING, Any

from serving.http.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterable

    from serving.http.connection import Connection
    from serving.http.server import Server

MOST_MISSES = 64
"""Unknown heads in a row, after which a caller's are not looked up any more: each of them is another."""
UNCOUNTED_BYTES = 4096
"""Bodies up to here that come whole are not counted: of those ``max_connections`` is bound enough."""
_MOST = 1024
_LONGEST = 1024
HASH_BYTES = 32
END = b"\r\n\r\n"
OTHER_FRAMING = frozenset((b"transfer-encoding", b"expect", b"upgrade"))
_SECRET = frozenset((b"authorization", b"proxy-authorization", b"x-api-key", b"cookie"))
_OWN_LINE = re.compile(rb"\r\n((?i:x-request-id|traceparent|tracestate)): ([!-~]{1,128})(?=\r\n)")
"""Headers whose values are each request's own. Of such values alone it is plain how any reader takes them: other lines
are left to the parser."""


class Head:
    """What stands before a body, as it was read once. All requests with the same bytes share it: it is not changed.

    Args:
        exchange: that it came with.
        length: of the body.
        own: names of headers whose values are each request's own: others with the same bytes but for these share it,
            and it is without them.
    """

    __slots__ = ("brief", "headers", "holder", "length", "method", "own", "path", "prepared", "query", "sealed")

    def __init__(self, exchange: Exchange, length: int, own: Iterable[bytes] = ()) -> None:
        self.method, self.path, self.query = exchange.method, exchange.path, exchange.query
        self.length, self.own = length, bool(own)
        self.sealed = not _SECRET.isdisjoint(exchange.headers)
        """Whether it came with a key, which is not among its headers here."""
        self.headers = exchange.headers
        if self.sealed or self.own:
            left_out = _SECRET.union(own)
            self.headers = {name: value for name, value in exchange.headers.items() if name not in left_out}
        self.prepared: Any = None
        """What whoever answers has made of it, and need not make again. One that is not whole is not found before."""
        self.brief = False
        """Whether the last request with it was answered as it came, without a place being kept for it.

        For one that could not be it is set to false before its connection gets it back, which would otherwise bring it
        again at once, and for ever.
        """
        self.holder = b""
        """By which whoever answers knows the holder of its key."""


def hashed(data: bytes, salt: bytes, *, own: bool) -> bytes:
    """By what a head is known that may hold a key, to whoever has the salt; ``own``: it had lines of its own too."""
    person = b"own" if own else b"whole"  # a head may hold such a line without a value
    return hashlib.blake2b(data, key=salt, digest_size=HASH_BYTES, person=person).digest()


class Heads:
    """Remembers heads by their bytes, down to the empty line.

    Only such are kept after which the connection goes on, with a body of a length that the head itself states: where
    one of them ends does not depend on anything else, so that a parser which stands between two requests may be left
    out.
    """

    def __init__(self) -> None:
        self.known: dict[bytes, Head] = {}
        self.others: dict[bytes, Head] = {}
        """Those with a key, or ids of their own, by a hash that nobody else can make: no key is kept longer than its
        request. What is each request's own is no part of it."""
        self._salt = secrets.token_bytes(HASH_BYTES)

    def other(self, data: bytes) -> tuple[Head, dict[bytes, bytes]] | None:
        """A head with a key or ids of its own whose like was read and prepared before, and its headers."""
        parted = halves_of(data)
        if parted is None:
            return None
        alike, own = parted
        head = self.others.get(self._hash(alike, own=bool(own)))
        if head is None or head.prepared is None:
            return None
        return head, {**head.headers, **own} if own else head.headers

    def _hash(self, data: bytes, *, own: bool) -> bytes:
        return hashed(data, self._salt, own=own)

    def learn(self, data: bytes, exchange: Exchange) -> None:
        """Keep the head of a request that was read from ``data``, if that holds it alone and whole."""
        end = data.find(END) + len(END)
        headers, body = exchange.headers, exchange.body
        if end > _LONGEST or end + len(body) != len(data) or not exchange.keep_alive or exchange.fault is not None:
            return
        if int(headers.get(b"content-length", b"0")) != len(body) or not OTHER_FRAMING.isdisjoint(headers):
            return
        parted = halves_of(data[:end])
        if parted is None:
            return
        alike, own = parted
        if any(headers[name] != value for name, value in own.items()):  # it is given once more in another form
            return
        exchange.head = head = Head(exchange, len(body), own)
        other = head.sealed or head.own
        heads, name = (self.others, self._hash(alike, own=head.own)) if other else (self.known, data[:end])
        if len(heads) >= _MOST:
            heads.clear()
        heads[name] = head


def halves_of(data: bytes) -> tuple[bytes, dict[bytes, bytes]] | None:
    r"""What a head has in common with its like, and what is its own; None where something of that is given twice.

    >>> halves_of(b"GET / HTTP/1.1\r\nX-Request-Id: 7\r\nHost: a\r\n\r\n")
    (b'GET / HTTP/1.1\x00\r\nHost: a\r\n\r\n\x00X-Request-Id', {b'x-request-id': b'7'})
    """
    parts = _OWN_LINE.split(data)
    if len(parts) == 1:
        return data, {}
    names = [name.lower() for name in parts[1::3]]
    own = dict(zip(names, parts[2::3], strict=True))
    # No head that was read holds a NUL: what stands between is told apart by it.
    return (b"\0".join((*parts[::3], *parts[1::3])), own) if len(own) == len(names) else None


class Memory:
    """One connection's use of known heads: a caller whose heads are never the same is not looked up any more."""

    __slots__ = ("_misses", "_server", "_to")

    def __init__(self, server: Server, to: Connection) -> None:
        self._server, self._to, self._misses = server, to, 0

    def recall(self, data: bytes) -> Exchange | None:
        """The request of these bytes, if they are one, whole, with a known head; its body is counted."""
        if self._misses > MOST_MISSES:
            return None
        server = self._server
        end = data.find(END) + len(END)
        heads = server.known
        head = heads.known.get(data[:end])
        headers: dict[bytes, bytes] = {}
        if head is not None:
            headers = head.headers
        elif heads.others and end <= _LONGEST and (found := heads.other(data[:end])) is not None:
            head, headers = found
        if head is None or len(data) != end + head.length:
            self._misses += 1
            return None
        exchange = Exchange(self._to, head.method, head.path, head.query, headers, True, head)  # noqa: FBT003
        if head.length > UNCOUNTED_BYTES:
            if server.inflight.full(head.length):
                return None
            exchange.held = head.length
            server.held += head.length
        exchange.body = data[end:]
        self._misses = 0
        return exchange

    def learn(self, data: bytes, exchange: Exchange) -> None:
        """Keep the head of a request, unless no two of this caller are the same."""
        if self._misses <= MOST_MISSES:
            self._server.known.learn(data, exchange)
