"""Callers who keep their connections, and ask until they are answered among many."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from serving.http.stays import LONGEST
from tests.needs import needs_express
from tests.unit.serving.test_rest import INFER
from tests.unit.serving.test_turns import bodies_of, hold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from serving.http.express import Express
    from tests.unit.serving.house import House


@pytest.fixture(autouse=True)
def built() -> None:
    """Without it there is nothing to be tested."""
    needs_express()


class Caller:
    """A connection that is kept."""

    def __init__(self, house: House) -> None:
        host, port = house.address.removeprefix("http://").split(":")
        self.wire = socket.create_connection((host, int(port)), timeout=20)
        self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.wire.makefile("rb")

    def send(self, body: bytes, head: str = "", path: str = INFER) -> None:
        """Send a request."""
        lines = f"POST {path} HTTP/1.1\r\nHost: here\r\n{head}Content-Length: {len(body)}\r\n\r\n"
        self.wire.sendall(lines.encode() + body)

    def told(self) -> dict[str, Any]:
        """The next answer."""
        status = int(self._file.readline().split()[1])
        headers = dict(line.lower().rstrip().split(b": ", 1) for line in iter(self._file.readline, b"\r\n"))
        body = self._file.read(int(headers[b"content-length"]))
        return {"status": status, "headers": headers, **json.loads(body)}

    def ask(self, number: float, head: str = "") -> float:
        """Send a request for a number; what is made of it."""
        self.send(bodies_of([[number]])[0], head)
        answer = self.told()
        assert answer["status"] == 200
        made: float = answer["outputs"][0]["data"][0]
        assert answer["headers"][b"x-event-id"].decode() == answer["parameters"]["event_id"]
        return made

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self.wire.close()


@pytest.fixture
def call(house: House) -> Iterator[Callable[[], Caller]]:
    """Opens connections, which are closed at the end."""
    opened: list[Caller] = []

    def one() -> Caller:
        opened.append(Caller(house))
        return opened[-1]

    yield one
    for caller in opened:
        caller.close()


def express(house: House) -> Express:
    """The server's."""
    assert house.server.express is not None
    return house.server.express


def all_ask(house: House, callers: list[Caller], bodies: list[bytes]) -> None:
    """Have each send its body, so that they meet in one turn."""

    def send() -> None:
        for caller, body in zip(callers, bodies, strict=True):
            caller.send(body)

    hold(house, send)


def joined(house: House) -> int:
    """How many connections are there."""
    return len(express(house)._connections)


def join(house: House, *callers: Caller) -> None:
    """Have them ask until they are there."""
    for _ in range(4 * LONGEST):
        if joined(house) == len(callers):
            break
        for caller in callers:
            assert caller.ask(1.0) == 13.0
    assert joined(house) == len(callers)
