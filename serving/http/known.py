"""Heads of requests that were read before, shared by all connections: equal bytes need no second reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.http.exchange import Exchange

if TYPE_CHECKING:
    from serving.http.connection import Connection

MOST_MISSES = 64
"""Unknown heads in a row, after which a caller's are not looked up any more: each of them is another."""
_MOST = 1024
_LONGEST = 1024
END = b"\r\n\r\n"
_OTHER_FRAMING = frozenset((b"transfer-encoding", b"expect", b"upgrade"))
_SECRET = frozenset((b"authorization", b"proxy-authorization", b"x-api-key", b"cookie"))


Known = tuple[bytes, bytes, bytes, dict[bytes, bytes], int]
"""Method, path, query, headers, and the length of the body."""


class Heads:
    """Remembers heads by their bytes, down to the empty line.

    Only such are kept after which the connection goes on, with a body of a length that the head itself states: where
    one of them ends does not depend on anything else, so that a parser which stands between two requests may be left
    out.
    """

    def __init__(self) -> None:
        self.known: dict[bytes, Known] = {}

    def learn(self, data: bytes, exchange: Exchange) -> None:
        """Keep the head of a request that was read from ``data``, if that holds it alone and whole."""
        end = data.find(END) + len(END)
        headers, body = exchange.headers, exchange.body
        if end > _LONGEST or end + len(body) != len(data) or not exchange.keep_alive or exchange.fault is not None:
            return
        if int(headers.get(b"content-length", b"0")) != len(body) or not _OTHER_FRAMING.isdisjoint(headers):
            return
        if not _SECRET.isdisjoint(headers):  # no key is kept longer than its request
            return
        if len(self.known) >= _MOST:
            self.known.clear()
        self.known[data[:end]] = (exchange.method, exchange.path, exchange.query, headers.copy(), len(body))

    def recall(self, data: bytes, to: Connection) -> Exchange | None:
        """The request of these bytes, if they are one, whole, with a known head."""
        end = data.find(END) + len(END)
        known = self.known.get(data[:end])
        if known is None:
            return None
        method, path, query, headers, length = known
        if len(data) != end + length:
            return None
        exchange = Exchange(to, method, path, query, headers.copy(), True)  # noqa: FBT003 - by place it is quicker
        if length:
            exchange.body, exchange.held = data[end:], length
        return exchange
