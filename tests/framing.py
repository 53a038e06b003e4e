"""Two servers that are sent the same bytes: one that remembers no head, one that remembers all; they must agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving.http.announced import LEAST_BYTES, Announcing
from serving.http.connection import Connection
from serving.http.known import Heads
from serving.http.reader import IDLE
from serving.http.server import Limits, Server
from tests.http_wire import Wire, answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from serving.http.exchange import Exchange

BODY_BYTES, HELD_BYTES = 100_000, 10_000_000
KEYS = (b"authorization", b"proxy-authorization", b"x-api-key", b"cookie")
LONG_AGO = 1000.0
Act = bytes | str
"""A piece that comes; or ``pause`` and ``resume`` of writing, or ``answer`` to the first request that waits for it."""
Told = list[tuple[Any, ...]]


class _Forgetful(Heads):
    def learn(self, data: bytes, exchange: Exchange) -> None:
        """Keep nothing."""


class _Forgetting(Announcing):
    def learn(self, data: bytes, exchange: Exchange, came: int) -> bool:  # noqa: ARG002
        """Keep nothing."""
        return False


class Twin:
    """A server whose handler lets everybody in, and says of each request what it was taken for.

    Args:
        remembers: heads that came before.
    """

    def __init__(self, *, remembers: bool) -> None:
        self.server = Server(self._take, Limits(body_bytes=BODY_BYTES, held_bytes=HELD_BYTES))
        if not remembers:
            self.server.known, self.server.announcing = _Forgetful(), _Forgetting()
        self.recalled = self.announced = 0
        """Requests whose heads were known, with bodies that came whole and with long ones."""
        self._seen: Told = []
        self._waiting: list[Exchange] = []
        self._at_once = True

    def tell(self, acts: Iterable[Act]) -> Told:
        """What a caller's bytes are taken for, what it is told, and how its connection ends."""
        acts = [*acts]
        self._seen, self._waiting, self._at_once = [], [], "answer" not in acts
        connection, wire = Connection(self.server), Wire()
        connection.connection_made(wire)
        for act in acts:
            if isinstance(act, str):
                self._do(connection, act)
            elif not wire.closed:
                connection.data_received(act)
        self._do(connection, "resume")
        while self._waiting:
            self._do(connection, "answer")
        stage = connection._reader.stage
        self.server.clock += LONG_AGO
        connection.expire(self.server.clock)
        while self._waiting:
            self._do(connection, "answer")
        told = [(one.status, one.closes) for one in answers(bytes(wire.sent)) if one.status != 100]
        seen = [*self._seen, *told, (stage == IDLE, wire.closed or wire.eof)]
        connection.connection_lost(None)
        return [*seen, (self.server.held, self.server.answering)]

    def _do(self, connection: Connection, act: str) -> None:
        if act == "answer":
            if self._waiting:
                self._answer(self._waiting.pop(0))
        elif act == "pause":
            connection.pause_writing()
        elif not connection._writable:
            connection.resume_writing()

    def _take(self, exchange: Exchange) -> None:
        if exchange.fault is not None:  # how far a request was read that is none depends on the pieces
            self._seen.append((exchange.fault.status, exchange.keep_alive))
        else:
            headers = {name: value for name, value in exchange.headers.items() if name not in KEYS}
            asked = exchange.method, exchange.path, exchange.query, headers, exchange.body
            self._seen.append((*asked, exchange.keep_alive, self._holder(exchange)))
        if self._at_once:
            self._answer(exchange)
        else:
            self._waiting.append(exchange)

    def _holder(self, exchange: Exchange) -> bytes:
        """Whose request it is: of a known head, whose it was, as its key is not among its headers."""
        head = exchange.head
        if head is not None and head.prepared is not None:
            if len(exchange.body) < LEAST_BYTES:
                self.recalled += 1
            else:
                self.announced += 1
            return head.holder if head.sealed else b""
        holder = b"|".join(exchange.headers.get(name, b"") for name in KEYS).strip(b"|")
        if head is not None:
            head.prepared, head.holder = True, holder
        return holder

    @staticmethod
    def _answer(exchange: Exchange) -> None:
        exchange.answer(200 if exchange.fault is None else exchange.fault.status, b"")


class Twins:
    """Both of them.

    Args:
        found: is told of bytes that they take differently.
    """

    def __init__(self, found: Callable[[list[Act], Told, Told], None]) -> None:
        self.forgetful, self.knowing = Twin(remembers=False), Twin(remembers=True)
        self._found = found

    def compare(self, data: bytes, *cuts: list[Act]) -> None:
        """Whether bytes are taken alike, whole by the one and in each of these ways by the other."""
        wanted = self.forgetful.tell([data])
        for acts in cuts:
            got = self.knowing.tell(acts)
            if got != wanted:
                self._found(acts, got, wanted)
