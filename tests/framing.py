"""Servers that are sent the same bytes: one that remembers no head, others that remember all; they must agree."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from serving.calls import ID_LENGTH
from serving.http.announced import LEAST_BYTES, Announcing
from serving.http.connection import Connection
from serving.http.express import Answered, express_of
from serving.http.known import UNCOUNTED_BYTES, Heads
from serving.http.reader import IDLE, SLICE
from serving.http.server import Limits, Server
from serving.http.stays import Stays
from staytrue.weaving import Woven
from tests.http_wire import Wire, answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from serving.http.exchange import Exchange

BODY_BYTES, HELD_BYTES = 100_000, 10_000_000
LEFT_BYTES = 40
"""Bodies as long as this are never answered past their connections."""
KEYS = (b"authorization", b"proxy-authorization", b"x-api-key", b"cookie")
LONG_AGO = 1000.0
Act = bytes | str
"""A piece that comes; or ``pause`` and ``resume`` of writing, or ``answer`` to the first request that waits for it."""
Told = list[tuple[Any, ...]]
Asked = tuple[bytes, bytes, bytes, dict[bytes, bytes]]
"""Method, path, query and headers but for keys."""


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
        connection, wire = Connection(self.server), self._wire()
        connection.connection_made(wire)
        for act in acts:
            if isinstance(act, str):
                self._do(connection, act)
            elif not wire.closed:
                self._bring(connection, act)
        self._last(connection)
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
        self._gone(wire)
        return [*seen, (self.server.held, self.server.answering)]

    def _wire(self) -> Wire:
        return Wire()

    def _bring(self, connection: Connection, piece: bytes) -> None:
        connection.data_received(piece)

    def _last(self, connection: Connection) -> None:
        """Everything has come."""

    def _gone(self, wire: Wire) -> None:
        """A connection has ended."""

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
            asked = exchange.method, exchange.path, exchange.query, headers
            self._seen.append((*asked, exchange.body, exchange.keep_alive, self._holder(exchange, asked)))
        if self._at_once:
            self._answer(exchange)
        else:
            self._waiting.append(exchange)

    def _holder(self, exchange: Exchange, asked: Asked) -> bytes:
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
            head.prepared, head.holder = asked, holder
        return holder

    def _answer(self, exchange: Exchange) -> None:
        exchange.answer(200 if exchange.fault is None else exchange.fault.status, b"")


class _Socket(Wire):
    """A wire with two ends that the kernel knows."""

    def __init__(self) -> None:
        super().__init__()
        self.near, self.far = socket.socketpair()
        self.near.settimeout(0)
        self.far.settimeout(0)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The socket, and whether it speaks TLS."""
        return {"socket": self.near, "sslcontext": self.context}.get(name, default)


class _Eager(Stays):
    """Of who goes there each time that it may."""

    def due(self) -> bool:
        """At once."""
        return True


class Quick(Twin):
    """One that remembers heads, and has requests that cost little received and answered past their connections.

    It needs a running event loop, in which nothing else happens meanwhile.
    """

    def __init__(self) -> None:
        super().__init__(remembers=True)
        self.express = self.server.express = express_of(self.server, self._answer_brief)
        assert self.express is not None
        self.passed = 0
        """Requests that were received so."""

    def close(self) -> None:
        """End it."""
        assert self.express is not None
        self.express.close()

    def _wire(self) -> Wire:
        return _Socket()

    def _bring(self, connection: Connection, piece: bytes) -> None:
        wire, connection.stays = connection.transport, _Eager()
        assert isinstance(wire, _Socket)
        while piece and connection.express >= 0:
            sent = wire.far.send(piece[:SLICE])
            piece = piece[sent:]
            self._turn(wire)
            if connection.express < 0:  # what it did not take comes the usual way
                piece = _left(wire.near) + piece
        if piece and not wire.closed:
            connection.data_received(piece)
            self._turn(wire)

    def _turn(self, wire: _Socket) -> None:
        """What the event loop does next."""
        assert self.express is not None
        self.express._come()
        while self.express._joined:
            self.express._come()
        with suppress(BlockingIOError):
            while some := wire.far.recv(SLICE):
                wire.sent += some

    def _gone(self, wire: Wire) -> None:
        assert isinstance(wire, _Socket)
        wire.near.close()
        wire.far.close()

    def _last(self, connection: Connection) -> None:
        assert self.express is not None
        if connection.express >= 0:
            self.express.leave(connection)

    def _do(self, connection: Connection, act: str) -> None:
        if act != "pause" or connection.express < 0:  # nothing is written that might wait
            super()._do(connection, act)

    def _answer_brief(self, asked: Asked, bodies: list[bytes]) -> list[Answered]:
        """Answer them, or leave them to be asked as usual."""
        if len(bodies[0]) == LEFT_BYTES:
            return []
        for body in bodies:
            self._seen.append((*asked, body, True, b""))
            self.passed += 1
        count = len(bodies)
        return [Answered(range(count), b"i" * ID_LENGTH * count, Woven(count, [b"", b""], [b"x" * count]), b"")]

    def _answer(self, exchange: Exchange) -> None:
        head, length = exchange.head, len(exchange.body)
        if head is not None and exchange.method != b"HEAD":
            head.brief = 0 < length <= UNCOUNTED_BYTES and not (head.sealed or head.own)
        super()._answer(exchange)


def _left(near: socket.socket) -> bytes:
    left = bytearray()
    with suppress(BlockingIOError):
        while some := near.recv(SLICE):
            left += some
    return bytes(left)


class Twins:
    """Both of them.

    Args:
        found: is told of bytes that they take differently.
        knowing: the one that remembers heads.
    """

    def __init__(self, found: Callable[[list[Act], Told, Told], None], knowing: Twin | None = None) -> None:
        self.forgetful, self.knowing = Twin(remembers=False), knowing or Twin(remembers=True)
        self._found = found

    def compare(self, data: bytes, *cuts: list[Act]) -> None:
        """Whether bytes are taken alike, whole by the one and in each of these ways by the other."""
        wanted = self.forgetful.tell([data])
        for acts in cuts:
            got = self.knowing.tell(acts)
            # Where a head without end is too long is known to a piece: what came before it in that is counted too.
            if got != wanted and got != (alike := self.forgetful.tell(acts)):
                self._found(acts, got, alike)
