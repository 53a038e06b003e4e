"""A head that came before, or its like with other ids, is taken as the parser takes it, or left to that."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.app import limits_of
from serving.http.connection import Connection
from serving.http.server import Server
from staytrue.server import ServingSection
from tests.unit.serving.house import House
from tests.unit.serving.test_rest import INFER, request
from tests.unit.serving.test_turns import brief

if TYPE_CHECKING:
    from pathlib import Path

    from serving.http.exchange import Exchange
    from staytrue.store import Store

TRACE = "00-{:032x}-00f067aa0ba902b7-01"


class Transport(asyncio.Transport):
    """Holds what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    def write(self, data: Any) -> None:
        """Send."""
        self.sent += data

    def get_write_buffer_size(self) -> int:
        """All was sent."""
        return 0

    def is_closing(self) -> bool:
        """Never."""
        return False

    def can_write_eof(self) -> bool:
        """No."""
        return False

    def close(self) -> None:
        """Nothing is open."""


class Reader:
    """A server of one connection, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.recalled: list[bool] = []
        self.server = Server(self._take, limits_of(ServingSection()))
        self.connection = Connection(self.server)
        self.connection.connection_made(Transport())

    def _take(self, exchange: Exchange) -> None:
        known = exchange.head is not None and exchange.head.prepared is not None
        self.recalled.append(known)
        headers = dict(exchange.headers)
        if known:  # a key is not among those
            headers.pop(b"authorization", None)
        self.asked.append((exchange.method, exchange.path, exchange.query, headers, exchange.body, exchange.fault))
        if exchange.head is not None:
            exchange.head.prepared = True
        exchange.answer(200, b"")

    def read(self, data: bytes) -> tuple[Any, ...]:
        """What a request is taken for."""
        self.connection.data_received(data)
        return self.asked[-1]


names = st.sampled_from(["X-Request-Id", "x-request-id", "traceparent", "Traceparent", "tracestate", "Other"])
values = st.one_of(
    st.from_regex(r"[!-~]{1,20}", fullmatch=True), st.sampled_from(["", " ", "a b", "a ", "ü", "x" * 129])
)
lines_of = st.lists(st.tuples(names, st.sampled_from([": ", ":", ":  ", ":\t"]), values), max_size=4)


def head(lines: list[tuple[str, str, str]]) -> bytes:
    """Of a request with these lines."""
    told = "".join(f"{name}{colon}{value}\r\n" for name, colon, value in lines)
    return f"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\n{told}Content-Length: 2\r\n\r\n{{}}".encode("latin-1")


@settings(max_examples=300, deadline=None)
@given(lines=lines_of, others=st.lists(values, min_size=4, max_size=4))
def test_the_second_is_taken_for_what_the_parser_takes_it(lines: list[tuple[str, str, str]], others: list[str]) -> None:
    again = [(name, colon, other) for (name, colon, _), other in zip(lines, others, strict=False)]
    learned = Reader()
    for asked in (lines, lines, again, lines):
        afresh = Reader()
        assert afresh.read(head(asked))[:5] == learned.read(head(asked))[:5]
        if learned.connection.lingers:  # it was refused, and the connection ended
            assert afresh.connection.lingers
            return


@pytest.mark.parametrize("more", [(), (("Authorization", ": ", "Bearer st_a"),)], ids=["without a key", "with a key"])
def test_ids_of_their_own_need_no_second_reading(more: tuple[tuple[str, str, str], ...]) -> None:
    reader = Reader()
    for number in range(4):
        lines = [("X-Request-Id", ": ", f"r{number}"), ("traceparent", ": ", TRACE.format(number + 1)), *more]
        headers = reader.read(head(lines))[3]
        assert (headers[b"x-request-id"], headers[b"traceparent"]) == (
            f"r{number}".encode(),
            TRACE.format(number + 1).encode(),
        )
    assert reader.recalled == [False, True, True, True]
    reader.read(head([("X-Request-Id", ": ", ""), ("traceparent", ": ", ""), *more]))
    assert not reader.recalled[-1]  # not taken for the one without ids


class Told(NamedTuple):
    """An answer."""

    status: int
    head: str
    body: dict[str, Any]


def whole(house: House, lines: str) -> Told:
    """A request with these lines in its head, sent in one piece, as heads are known that came whole."""
    host, port = house.address.removeprefix("http://").split(":")
    body = json.dumps(request())
    asked = f"POST {INFER} HTTP/1.1\r\nHost: here\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as connection, connection.makefile("rb") as file:
        connection.sendall((asked + body).encode())
        told = list(iter(file.readline, b"\r\n"))
        text = b"".join(told).decode().lower()
        length = int(text.partition("content-length: ")[2].split()[0])
        return Told(int(told[0].split()[1]), text, json.loads(file.read(length)))


@pytest.mark.parametrize("quick", [True, False])
def test_each_answer_and_event_has_its_own_ids(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    house = House(store, tmp_path)
    try:
        brief(house)
        if not quick:
            monkeypatch.setattr(house.dataplane.turns, "answer", lambda *_: None)
        for number in range(1, 5):
            told = whole(house, f"X-Request-Id: r{number}\r\ntraceparent: {TRACE.format(number)}\r\n")
            assert told.status == 200
            assert f"\r\nx-request-id: r{number}\r\n" in told.head
            assert f"\r\ntraceparent: {TRACE.format(number)}\r\n" in told.head
        wanted = [(f"r{number}", TRACE.format(number)) for number in range(1, 5)]
        assert [(event.request_id, event.trace_id) for event in house.events()] == wanted
        assert [head.own for head in house.server.known.others.values()] == [True]
    finally:
        house.close()
