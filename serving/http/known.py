"""Heads of requests that were read before, shared by all connections: equal bytes need no second reading."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any

from serving.http.exchange import Exchange

if TYPE_CHECKING:
    from serving.http.connection import Connection
    from serving.http.server import Server

MOST_MISSES = 64
"""Unknown heads in a row, after which a caller's are not looked up any more: each of them is another."""
UNCOUNTED_BYTES = 4096
"""Bodies up to here that come whole are not counted: of those ``max_connections`` is bound enough."""
_MOST = 1024
_LONGEST = 1024
_HASH_BYTES = 32
END = b"\r\n\r\n"
_OTHER_FRAMING = frozenset((b"transfer-encoding", b"expect", b"upgrade"))
_SECRET = frozenset((b"authorization", b"proxy-authorization", b"x-api-key", b"cookie"))


class Head:
    """What stands before a body, as it was read once. All requests with the same bytes share it: it is not changed."""

    __slots__ = ("headers", "holder", "length", "method", "path", "prepared", "query", "sealed")

    def __init__(self, exchange: Exchange, length: int) -> None:
        self.method, self.path, self.query = exchange.method, exchange.path, exchange.query
        self.length = length
        self.sealed = not _SECRET.isdisjoint(exchange.headers)
        """Whether it came with a key, which is not among its headers here."""
        self.headers = exchange.headers
        if self.sealed:
            self.headers = {name: value for name, value in exchange.headers.items() if name not in _SECRET}
        self.prepared: Any = None
        """What whoever answers has made of it, and need not make again. One that is sealed is not found before."""
        self.holder = b""
        """By which whoever answers knows the holder of its key."""


class Heads:
    """Remembers heads by their bytes, down to the empty line.

    Only such are kept after which the connection goes on, with a body of a length that the head itself states: where
    one of them ends does not depend on anything else, so that a parser which stands between two requests may be left
    out.
    """

    def __init__(self) -> None:
        self.known: dict[bytes, Head] = {}
        self.sealed: dict[bytes, Head] = {}
        """Those with a key, by a hash that nobody else can make: no key is kept longer than its request."""
        self._salt = secrets.token_bytes(_HASH_BYTES)

    def unsealed(self, data: bytes) -> Head | None:
        """A head with a key that was read and prepared before."""
        head = self.sealed.get(self._seal(data))
        return head if head is not None and head.prepared is not None else None

    def _seal(self, data: bytes) -> bytes:
        return hashlib.blake2b(data, key=self._salt, digest_size=_HASH_BYTES).digest()

    def learn(self, data: bytes, exchange: Exchange) -> None:
        """Keep the head of a request that was read from ``data``, if that holds it alone and whole."""
        end = data.find(END) + len(END)
        headers, body = exchange.headers, exchange.body
        if end > _LONGEST or end + len(body) != len(data) or not exchange.keep_alive or exchange.fault is not None:
            return
        if int(headers.get(b"content-length", b"0")) != len(body) or not _OTHER_FRAMING.isdisjoint(headers):
            return
        exchange.head = head = Head(exchange, len(body))
        heads, name = (self.sealed, self._seal(data[:end])) if head.sealed else (self.known, data[:end])
        if len(heads) >= _MOST:
            heads.clear()
        heads[name] = head


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
        if head is None and heads.sealed:
            head = heads.unsealed(data[:end])
        if head is None or len(data) != end + head.length:
            self._misses += 1
            return None
        exchange = Exchange(self._to, head.method, head.path, head.query, head.headers, True, head)  # noqa: FBT003
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
