"""Long bodies behind heads that came before are taken as the parser takes them, or left to it, in whatever pieces."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.http.announced import LEAST_BYTES
from serving.http.connection import Connection
from serving.http.reader import BODY, ENDED, IDLE
from serving.http.server import Limits, Server
from tests.unit.serving.house import House
from tests.unit.serving.test_known_heads import Reader, Transport
from tests.unit.serving.test_rest import INFER, request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.store import Store

LONG = LEAST_BYTES + 100
MOST = 200_000
KEY = "Authorization: Bearer secret-{}\r\n"


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """A whole server."""
    made = House(store, tmp_path)
    yield made
    made.close()


class Reading(Reader):
    """A server of one connection, with small limits, and what its parser was fed."""

    def __init__(self, held: int = 10 * MOST) -> None:
        super().__init__()
        self.server = Server(self._take, Limits(body_bytes=MOST, held_bytes=held))
        self.again()

    def again(self) -> None:
        """Another connection of the same server."""
        self.connection = Connection(self.server)
        self.connection.connection_made(Transport())
        self.fed = 0
        parser = self.connection._reader._parser

        class Counted:
            def feed_data(inner, data: bytes) -> None:  # noqa: N805
                self.fed += len(data)
                parser.feed_data(data)

            def __getattr__(inner, name: str) -> Any:  # noqa: N805
                return getattr(parser, name)

        self.connection._reader._parser = Counted()  # type: ignore[assignment]

    def pieces(self, data: bytes, *sizes: int) -> tuple[Any, ...]:
        """What a request is taken for that comes in pieces of these sizes, and the rest."""
        for size in sizes:
            self.connection.data_received(data[:size])
            data = data[size:]
        if data:
            self.connection.data_received(data)
        return self.asked[-1]


def asked(length: int, more: str = "", *, byte: bytes = b"x", name: str = "Content-Length") -> bytes:
    """A request with a long body."""
    head = f"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\n{more}{name}: {length}\r\nAccept: */*\r\n\r\n"
    return head.encode("latin-1") + byte * length


def test_a_head_is_known_by_all_but_its_length_and_no_parser_sees_the_body() -> None:
    reading = Reading()
    reading.pieces(asked(LONG))
    fed = reading.fed
    for length in (LONG, LONG + 1, MOST):
        method, path, _, headers, body, fault = reading.pieces(asked(length, byte=b"y"))
        assert (method, path, fault) == (b"POST", b"/v2/models/m/infer", None)
        assert headers == {b"host": b"a", b"content-length": b"%d" % length, b"accept": b"*/*"}
        assert body == b"y" * length
    assert reading.fed == fed
    assert reading.recalled == [False, True, True, True]


def keyless(taken: tuple[Any, ...]) -> tuple[Any, ...]:
    """All but the fault, and the key: that is not among the headers of a request whose head was known."""
    return *taken[:3], {name: value for name, value in taken[3].items() if name != b"authorization"}, taken[4]


lines = st.sampled_from(["", "X-Request-Id: 1\r\n", "traceparent: a\r\nX-Request-Id: 2\r\n", KEY.format(1), "B: c\r\n"])
lengths = st.sampled_from([LEAST_BYTES - 1, LEAST_BYTES, LONG, 70_000, MOST, MOST + 1])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(lengths, lines), min_size=2, max_size=6),
    st.lists(st.integers(1, 40_000), max_size=6),
    st.sampled_from(["Content-Length", "content-length"]),
)
def test_in_any_pieces_requests_are_taken_for_what_the_parser_takes_them(
    told: list[tuple[int, str]], sizes: list[int], name: str
) -> None:
    learned = Reading()
    for length, more in told:
        data, afresh = asked(length, more, name=name), Reading()
        assert keyless(learned.pieces(data, *sizes)) == keyless(afresh.pieces(data))
        assert learned.asked[-1][5] == afresh.asked[-1][5]
        assert learned.server.held == 0
        assert learned.connection.lingers == afresh.connection.lingers
        if learned.connection.lingers:
            return


def test_requests_that_come_in_one_go_are_told_apart() -> None:
    reading = Reading()
    reading.pieces(asked(LONG))
    both = asked(LONG, byte=b"1") + asked(LONG + 5, byte=b"2") + asked(3, byte=b"3")
    reading.pieces(both, LONG + 5000)
    assert [len(body) for *_, body, _ in reading.asked] == [LONG, LONG, LONG + 5, 3]
    assert [body[:1] for *_, body, _ in reading.asked] == [b"x", b"1", b"2", b"3"]


@pytest.mark.parametrize(
    "change",
    [
        (b"Content-Length", b"Content-Length : 5\r\nContent-Length"),
        (b"Host: a\r\n", b"Content-Length: 5\r\nHost: a\r\n"),
        (b"Host: a\r\n", b""),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"Host: a", b"Host: a\0"),
        (b"Accept: */*", b"Transfer-Encoding: chunked"),
        (b"Accept: */*", b"Expect: 100-continue"),
        (b"Accept: */*", b"Connection: close"),
        (b"POST ", b"\r\nPOST "),
        (b"POST ", b"\r\n\r\nPOST "),
        (b"Length: ", b"Length: +"),
        (b"Length: ", b"Length: 0"),
        (b"Length: ", b"Length:  "),
        (b"Length: ", b"Length: 1, "),
        (b"Length: ", b"Length: 99999999999999999999"),
    ],
)
def test_other_framing_is_left_to_the_parser(change: tuple[bytes, bytes]) -> None:
    learned, afresh, data = Reading(), Reading(), asked(LONG)
    learned.pieces(data)
    before = len(learned.asked)
    other = data.replace(*change, 1)
    for reading in (learned, afresh):
        reading.connection.data_received(other)
    assert learned.asked[before:] == afresh.asked
    assert learned.connection.lingers == afresh.connection.lingers
    assert learned.connection._reader.stage == afresh.connection._reader.stage


def test_no_key_is_kept_and_another_one_is_another_head() -> None:
    reading = Reading()
    reading.pieces(asked(LONG, KEY.format(1)))
    reading.pieces(asked(LONG + 1, KEY.format(1)))
    reading.pieces(asked(LONG + 1, KEY.format(2)))
    assert reading.recalled == [False, True, False]
    announcing = reading.server.announcing
    kept = repr([*announcing._heads, *announcing._same, *(head.headers for head in announcing._heads.values())])
    assert "secret" not in kept


def test_ids_are_each_requests_own() -> None:
    reading = Reading()
    for number in range(3):
        headers = reading.pieces(asked(LONG + number, f"X-Request-Id: {number}\r\n"))[3]
        assert headers[b"x-request-id"] == b"%d" % number
    assert reading.recalled == [False, True, True]


def test_a_length_beyond_the_limit_is_refused_though_the_head_is_known() -> None:
    reading = Reading()
    reading.pieces(asked(LONG))
    fault = reading.pieces(asked(MOST + 1))[5]
    assert fault.status == 413
    assert not reading.recalled[-1]
    assert reading.server.held == 0


def test_bodies_are_counted_as_they_come_and_one_too_many_is_refused_and_read_to_its_end() -> None:
    reading = Reading(held=3 * LEAST_BYTES)
    reading.pieces(asked(LONG))
    other = asked(100_000)
    reading.connection.data_received(other[:LONG])
    assert 0 < reading.server.held < LONG
    reading.connection.data_received(other[LONG:])
    assert reading.asked[-1][5].status == 429
    assert reading.server.held == 0
    assert reading.connection._reader.stage == IDLE
    assert reading.pieces(asked(LONG))[5] is None


def test_a_caller_that_hangs_up_or_takes_too_long_in_a_known_body_is_told_of() -> None:
    reading = Reading()
    reading.pieces(asked(LONG))
    reading.connection.data_received(asked(LONG)[:5000])
    assert reading.connection._reader.stage == BODY
    reading.connection.expire(reading.connection.since + 61)
    assert reading.asked[-1][5].status == 408
    assert reading.connection._reader.stage == ENDED
    assert reading.server.held == 0
    reading.again()
    reading.connection.data_received(asked(LONG)[:5000])
    assert reading.server.held > 0
    reading.connection.connection_lost(None)
    assert "broke off after" in reading.asked[-1][5].problem
    assert reading.server.held == 0


def test_heads_that_are_never_the_same_are_not_kept_for_ever_nor_looked_up() -> None:
    reading, chance = Reading(), random.Random(0)  # noqa: S311
    for _ in range(300):
        reading.pieces(asked(LEAST_BYTES, f"A: {chance.random()}\r\n"))
    announcing = reading.server.announcing
    assert len(announcing._heads) < 100
    for number in range(300):
        reading.again()
        reading.pieces(asked(LEAST_BYTES, f"B: {number}\r\n"))
        reading.pieces(asked(LEAST_BYTES, f"B: {number}\r\n"))
    assert len(announcing._heads) <= 256
    assert len(announcing._same) <= 256


def test_a_body_that_is_refused_behind_a_head_that_was_answered_before_is_told_why(house: House) -> None:
    """It is the fault that is told, and not what is left of the request."""
    body = json.dumps(request()).encode()
    long = body + b" " * (LONG - len(body))
    assert [house.client.post(INFER, content=long).status_code for _ in range(3)] == [200] * 3
    assert house.server.announcing._heads
    bound, house.server.inflight.most = house.server.inflight.most, LONG // 2
    refused = house.client.post(INFER, content=long)
    house.server.inflight.most = bound
    assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
    assert house.client.post(INFER, content=long).status_code == 200
    assert [event.status for event in house.events()] == ["ok"] * 3 + ["overloaded", "ok"]
