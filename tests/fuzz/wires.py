"""Gives what is compiled to receive, to answer and to put texts together made-up bytes: none is lost or told twice."""

from __future__ import annotations

import contextlib
import itertools
import socket
from typing import TYPE_CHECKING, Any

from staytrue.weaving import woven

if TYPE_CHECKING:
    import random

    Pairs = list[tuple[socket.socket, socket.socket]]
    """A connection, and its caller's end."""

HEADS = [
    (b"POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\n", 4),
    (b"POST /b HTTP/1.1\r\nContent-Length: 4\r\n\r\n", 4),
    (b"POST /c HTTP/1.1\r\nContent-Length: 7000\r\n\r\n", 7000),
    (b"GET / HTTP/1.1\r\n\r\n", 0),
    (b"\r\n\r\n", 0),
]
KINDS = [object(), object()]
LINES = (b"HTTP/1.1 200 OK\r\nContent-Length: ", b"\r\nX-Event-Id: ", b"\r\n\r\n")
LEAST_BUFFER = 1


class Told:
    """What was sent over connections, and what was told of it."""

    def __init__(self, poll: Any, pairs: Pairs) -> None:
        self.poll = poll
        self.sent = {mine.fileno(): b"" for mine, _ in pairs}
        self.told = dict(self.sent)
        self.known: dict[bytes, tuple[int, object]] = {}
        self.ended: set[int] = set()
        """Of which it was told that nothing comes any more."""

    def know(self, head: bytes, length: int, kind: object) -> None:
        """A head, for which another kind may take the place of its own."""
        self.poll.know(head, length, kind)
        self.known[head] = length, kind

    def receive(self) -> int:
        """Take what has come; how many requests. They are of known heads, and of each connection there is one."""
        batches, odd = self.poll.receive()
        seen = [fd for fd, _ in odd]
        requests = 0
        for kind, descriptors, heads, bodies in batches:
            for fd, head, body in zip(descriptors, heads, bodies, strict=True):
                if self.known[head] != (len(body), kind):
                    raise AssertionError(f"no such request is known: {head!r} {body!r}")
                self.told[fd] += head + body
                requests += 1
            seen += descriptors
        for fd, data in odd:
            self.told[fd] += data
            if not data:
                self.ended.add(fd)
                self.poll.remove(fd)
        if len(set(seen)) < len(seen):
            raise AssertionError(f"told twice of one connection: {seen}")
        return requests


def some_bytes(chance: random.Random) -> bytes:
    """Requests, or what is nearly one."""
    made = b""
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        head, length = chance.choice(HEADS)
        made += head + chance.randbytes(length)
    if chance.random() < 0.3:
        at = chance.randrange(len(made))
        made = (
            made[:at] + chance.choice([b"", b"\r\n\r\n", b"\0", b"x" * 9000]) + made[at + chance.choice([0, 1, 30]) :]
        )
    return made


def receive(native: Any, chance: random.Random) -> int:
    """How many requests were received of some connections; all that was sent was told, in its order."""
    pairs = [socket.socketpair() for _ in range(chance.choice([1, 3, 70]))]
    told, requests = Told(native.Express(), pairs), 0
    try:
        for mine, _ in pairs:
            told.poll.add(mine.fileno())
        for _ in range(chance.randrange(1, 12)):
            told.know(*chance.choice(HEADS), chance.choice(KINDS))
            for mine, other in chance.sample(pairs, chance.randrange(1, len(pairs) + 1)):
                if other.fileno() < 0:
                    continue
                other.settimeout(0)
                data = some_bytes(chance)
                told.sent[mine.fileno()] += data[: other.send(data)]
                if chance.random() < 0.05:
                    other.close()
            requests += told.receive()
        gone = {mine.fileno() for mine, other in pairs if other.fileno() < 0}
        while told.told != told.sent or told.ended != gone:
            before = {**told.told}, len(told.ended)
            requests += told.receive()
            if before == (told.told, len(told.ended)):
                raise AssertionError("something that was sent is not told")
    finally:
        for one in itertools.chain.from_iterable(pairs):
            one.close()
    return requests


def column(chance: random.Random, rows: int) -> Any:
    """One of each sort."""
    sort = chance.randrange(3)
    if sort == 0:
        return chance.randbytes(rows * chance.choice([1, 7, 32]))
    if sort == 1:
        return [chance.randbytes(chance.choice([0, 1, 40, 5000, chance.randrange(1500)])) for _ in range(rows)]
    lists = [",".join(str(chance.randrange(1000)) for _ in range(chance.choice([0, 1, 3]))) for _ in range(rows)]
    return (f"[[{'],['.join(lists)}]]".encode(),)


def spoilt(chance: random.Random, parts: list[Any]) -> list[Any]:
    """The same with one part changed, for which it may be refused."""
    at = chance.randrange(len(parts))
    one = parts[at]
    cut: Any = one[: len(one) - 1]
    if isinstance(one, tuple):
        text = one[0]
        place = chance.randrange(len(text) + 1)
        cut = (text[:place] + chance.choice([b"", b"]", b"[", b"]]", b","]) + text[place + chance.choice([0, 1, 9]) :],)
    return [*parts[:at], chance.choice([cut, b"", None, (), [None], (b"",), "text"]), *parts[at + 1 :]]


def answer(native: Any, chance: random.Random) -> int:
    """How many texts were put together, as Python does it, and came to whom they are for, whole."""
    rows = chance.choice([1, 2, 7, 40])
    columns = [column(chance, rows) for _ in range(chance.choice([1, 1, 2, 4]))]
    around = [chance.randbytes(chance.choice([0, 1, 60])) for _ in range(len(columns) + 1)]
    wanted = woven(rows, around, columns)
    if native.weave(rows, around, columns) != wanted:
        raise AssertionError(f"woven otherwise: {rows} {around!r} {columns!r}")
    names = chance.randbytes(rows * chance.choice([0, 1, 32]))
    width = len(names) // rows
    pairs = [socket.socketpair() for _ in range(rows)]
    try:
        for mine, other in pairs:
            if chance.random() < 0.2:
                mine.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LEAST_BUFFER)
            if chance.random() < 0.05:
                other.close()
        descriptors = [mine.fileno() for mine, _ in pairs]
        left = dict(native.answer(descriptors, *LINES, names, around, columns))
        for at, ((_, other), text) in enumerate(zip(pairs, wanted, strict=True)):
            whole = b"%b%d%b%b%b%b" % (LINES[0], len(text), LINES[1], names[at * width :][:width], LINES[2], text)
            came = came_to(other) + (left.get(at, b"") or b"")
            gone = other.fileno() < 0
            if left[at] is not None if gone else came != whole:
                raise AssertionError(f"answered otherwise: {came!r} and not {whole!r}")
        for ways in (spoilt(chance, columns), columns), (columns, spoilt(chance, around)):
            refused(native, descriptors, names, ways)
    finally:
        for one in itertools.chain.from_iterable(pairs):
            one.close()
    return rows


def came_to(other: socket.socket) -> bytes:
    """All that came; nothing where it is closed."""
    made = b""
    if other.fileno() < 0:
        return made
    other.settimeout(0)
    while True:
        try:
            made += other.recv(65536)
        except BlockingIOError:
            return made


def refused(native: Any, descriptors: list[int], names: bytes, told: tuple[list[Any], list[Any]]) -> None:
    """What does not fit together is refused, or is something else that does."""
    columns, around = told
    for way, before in (
        (native.weave, (len(descriptors),)),
        (native.answer, (descriptors, *LINES, names)),
        (native.answer, (descriptors, *LINES, names[1:])),
    ):
        with contextlib.suppress(TypeError, ValueError):
            way(*before, around, columns)
