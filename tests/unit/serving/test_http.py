"""HTTP/1.1 as the server reads and writes it: framing, order, limits on size."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from serving.http.connection import LINGER_SECONDS
from serving.http.exchange import Exchange
from serving.http.rules import LONGEST_HEAD, LONGEST_TARGET, MOST_HEADERS
from tests.http_wire import (
    BODY_BYTES,
    GET,
    HOST,
    LOOPS,
    Caller,
    Handler,
    answers,
    ended,
    listening,
    post,
    settled,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

CHUNKED = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def handler_of(caller: Caller) -> Handler:
    assert isinstance(caller.handler, Handler)
    return caller.handler


def statuses(caller: Caller) -> list[int]:
    return [told.status for told in caller.told()]


def assert_nothing_is_held(caller: Caller) -> None:
    caller.hang_up()
    assert (caller.server.held, caller.server.answering) == (0, 0)
    assert not caller.server._connections | caller.server._turned_away


def test_a_request_is_read_and_answered_and_the_connection_goes_on() -> None:
    caller = Caller()
    told = caller.send(post(b"hello", b"X-Thing:  v \t", path=b"/p/q?x=1&y=?"))
    assert told[0].status == 200
    assert told[0].body == b"/p/q hello"
    assert not told[0].closes
    assert told[0].headers["content-type"] == "application/json"
    assert told[0].headers["date"].endswith("GMT")
    method, path, query, headers, body, _ = handler_of(caller).seen[0]
    assert (method, path, query, body) == (b"POST", b"/p/q", b"x=1&y=?", b"hello")
    assert headers == {b"host": b"a", b"content-length": b"5", b"x-thing": b"v"}
    assert len(caller.send(GET)) == 2
    assert not caller.wire.closed
    assert_nothing_is_held(caller)


def test_a_header_given_twice_is_joined_and_an_empty_one_stays_empty() -> None:
    caller = Caller()
    caller.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nEmpty:\r\nx: 2\r\n\r\n")
    assert handler_of(caller).seen[0][3] == {b"host": b"a", b"x": b"1, 2", b"empty": b""}


def test_pipelined_requests_are_answered_in_order_one_at_a_time() -> None:
    caller = Caller(Handler(at_once=False))
    handler = handler_of(caller)
    requests = [post(b"%d" % number) for number in range(200)]
    caller.send(b"".join(requests))
    for number in range(200):
        assert [exchange.body for exchange in handler.waiting] == [b"%d" % number]
        assert caller.server.answering == 1
        handler.answer()
    assert [told.body for told in caller.told()] == [b"/p %d" % number for number in range(200)]
    assert_nothing_is_held(caller)


def test_many_pipelined_requests_that_are_answered_at_once_need_no_deep_stack() -> None:
    caller = Caller()
    assert len(caller.send(GET * 5000)) == 5000


def test_who_sends_far_ahead_of_its_answers_is_read_no_more_until_then() -> None:
    caller = Caller(Handler(at_once=False))
    handler = handler_of(caller)
    count = 0
    while caller.wire.is_reading():
        caller.send(GET * 100)
        count += 100
        assert count < 10_000
    while handler.waiting:
        handler.answer()
    assert caller.wire.is_reading()
    assert statuses(caller) == [200] * count


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_chunked_body_is_put_together_and_its_trailers_are_left_out(size: int) -> None:
    data = CHUNKED + b'5;a=b;c="d"\r\nhello\r\n06\r\n world\r\n0\r\nX-T: v\r\nHost: other\r\n\r\n' + GET
    caller = Caller()
    caller.send(*(data[at : at + size] for at in range(0, len(data), size)))
    seen = handler_of(caller).seen
    assert seen[0][4] == b"hello world"
    assert b"x-t" not in seen[0][3]
    assert seen[0][3][b"host"] == b"a"
    assert seen[1][3] == {b"host": b"a"}
    assert statuses(caller) == [200, 200]
    assert_nothing_is_held(caller)


@pytest.mark.parametrize("status", [200, 413])
def test_the_answer_to_head_has_no_body_but_its_length(status: int) -> None:
    body = b"y" * (5 if status == 200 else BODY_BYTES + 1)
    caller = Caller()
    caller.connection.data_received(post(body).replace(b"POST", b"HEAD"))
    (told,) = answers(bytes(caller.wire.sent), without_body=True)
    assert told.status == status
    assert int(told.headers["content-length"]) > 5


def test_the_answer_to_http_1_0_ends_the_connection_whatever_was_asked() -> None:
    for more in (b"", b"Connection: keep-alive\r\n"):
        caller = Caller()
        (told,) = caller.send(b"GET / HTTP/1.0\r\n" + more + b"\r\n" + b"GET /x HTTP/1.0\r\n\r\n")
        assert told.status == 200
        assert told.closes
        assert caller.wire.eof


def test_a_request_that_asks_for_the_end_gets_it_after_its_answer() -> None:
    caller = Caller(Handler(at_once=False))
    caller.send(post(b"", b"Connection: close"), GET)
    assert caller.told() == []
    handler_of(caller).answer()
    (told,) = caller.told()
    assert told.closes
    assert caller.wire.eof
    assert_nothing_is_held(caller)


def test_leave_to_send_a_body_is_given_once() -> None:
    caller = Caller()
    head = post(b"", b"Expect: 100-Continue", length=5)
    caller.send(head)
    assert caller.wire.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    told = caller.send(b"he", b"llo", GET)
    assert [one.status for one in told] == [100, 200, 200]
    assert told[1].body == b"/p hello"


def test_no_leave_is_given_where_the_body_comes_anyway_or_there_is_none_or_http_is_1_0() -> None:
    caller = Caller()
    expect = b"Expect: 100-continue"
    caller.send(post(b"hello", expect), post(b"", expect), post(b"hello", expect).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert statuses(caller) == [200, 200, 200]


def test_leave_is_given_after_the_answer_to_the_request_before() -> None:
    caller = Caller(Handler(at_once=False))
    caller.send(GET + post(b"", b"Expect: 100-continue", length=5))
    assert caller.wire.sent == b""
    handler_of(caller).answer()
    assert statuses(caller) == [200, 100]
    caller.send(b"hello")
    handler_of(caller).answer()
    assert statuses(caller) == [200, 100, 200]


def test_another_expectation_is_refused_with_417() -> None:
    caller = Caller()
    (told,) = caller.send(post(b"", b"Expect: 200-ok", length=5))
    assert told.status == 417
    assert told.closes


@pytest.mark.parametrize("length", [BODY_BYTES + 1, 10**12])
def test_who_asks_for_leave_to_send_too_much_is_told_413_instead(length: int) -> None:
    caller = Caller()
    (told,) = caller.send(post(b"", b"Expect: 100-continue", length=length))
    assert told.status == 413
    assert told.closes
    assert_nothing_is_held(caller)


@pytest.mark.parametrize("length", [BODY_BYTES + 1, 2 * BODY_BYTES, 2**62])
@pytest.mark.parametrize("cut", [1, 0], ids=["in two pieces", "whole"])
def test_a_body_at_the_limit_is_taken_and_one_beyond_is_refused_as_soon_as_its_head_is_there(
    length: int, cut: int
) -> None:
    caller = Caller()
    head = post(b"", b"X-Request-Id: 7", length=length)
    told = caller.send(post(b"z" * BODY_BYTES), head[: len(head) - cut])
    assert len(told) == 2 - cut
    caller.send(head[len(head) - cut :])
    assert statuses(caller) == [200, 413]
    fault = json.loads(caller.told()[1].body)
    assert (str(BODY_BYTES) in fault["expected"], fault["got"]) == (True, str(length))
    assert caller.told()[1].closes
    assert caller.wire.eof
    _, path, _, headers, body, _ = handler_of(caller).seen[1]
    assert (path, headers[b"x-request-id"], body) == (b"/p", b"7", b"")
    caller.send(b"y" * BODY_BYTES, GET)
    assert len(caller.told()) == 2
    assert_nothing_is_held(caller)


def test_a_length_that_is_too_large_does_not_hide_what_else_is_wrong_with_a_head() -> None:
    caller = Caller()
    caller.send(post(b"", b"Content-Length: 5", length=BODY_BYTES + 1))
    assert statuses(caller) == [400]


@pytest.mark.parametrize("chunk", [10, 400, 5000])
def test_a_chunked_body_beyond_twice_the_limit_ends_the_connection(chunk: int) -> None:
    caller = Caller()
    caller.send(CHUNKED, *[b"%x\r\n%b\r\n" % (chunk, b"y" * chunk)] * (1 + 3000 // chunk))
    assert statuses(caller) == [413]
    assert caller.told()[0].closes
    assert caller.server.held == 0
    assert caller.wire.eof


def test_who_goes_on_sending_after_its_refusal_is_thrown_away_and_at_last_broken_off() -> None:
    caller = Caller()
    caller.send(post(b"", length=10 * BODY_BYTES))
    assert statuses(caller) == [413]
    assert caller.wire.eof
    caller.send(b"y" * BODY_BYTES)
    assert not caller.wire.closed
    caller.send(*[b"y" * BODY_BYTES] * 30)
    assert caller.wire.aborted
    assert_nothing_is_held(caller)


def test_all_bodies_together_have_a_limit_that_is_told_by_429() -> None:
    caller = Caller(Handler(at_once=False), body_bytes=20_000, held_bytes=20_000)
    connections = []
    for _ in range(2):
        caller.send(post(b"y" * 9600))
        connections.append(caller.connection)
        caller.again()
    assert caller.server.held == 19_200
    caller.send(post(b"y" * 9600))
    assert caller.server.held == 19_200
    handler = handler_of(caller)
    handler.answer(handler.waiting.pop())
    assert statuses(caller) == [429]
    handler.answer()
    caller.send(post(b"y" * 9600))
    assert handler.seen[-1][-1] == 200
    for connection in connections:
        connection.connection_lost(None)
    assert_nothing_is_held(caller)


def many(count: int) -> bytes:
    return b"".join(b"X-%d: v\r\n" % number for number in range(count))


TOO_LARGE = {
    "target": (414, b"GET /" + b"x" * LONGEST_TARGET + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    "target without end": (414, b"GET /" + b"x" * 10**6),
    "query": (414, b"GET /?" + b"x" * LONGEST_TARGET + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    "headers": (431, b"GET / HTTP/1.1\r\nHost: a\r\n" + many(MOST_HEADERS) + b"\r\n"),
    "one header again and again": (431, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: v\r\n" * MOST_HEADERS + b"\r\n"),
    "headers without end": (431, b"GET / HTTP/1.1\r\nHost: a\r\n" + many(10_000)),
    "one header": (431, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"v" * LONGEST_HEAD + b"\r\n\r\n"),
    "one header of megabytes": (431, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"v" * 10**6),
    "one name of megabytes": (431, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"v" * 10**6),
    "extensions": (400, CHUNKED + b"5;" + b"x" * 10**6),
    "extensions of many chunks": (400, CHUNKED + (b"1;" + b"x" * 1000 + b"\r\ny\r\n") * 100),
    "trailers": (400, CHUNKED + b"0\r\n" + many(10_000)),
}


@pytest.mark.parametrize("size", [100, 10**7], ids=["drop by drop", "at once"])
@pytest.mark.parametrize("name", TOO_LARGE)
def test_what_is_too_large_is_refused_before_it_has_come(name: str, size: int) -> None:
    status, data = TOO_LARGE[name]
    caller = Caller()
    for at in range(0, len(data), size):
        caller.send(data[at : at + size])
        if caller.wire.sent:
            assert at < 2 * LONGEST_HEAD
            break
    assert statuses(caller) == [status]
    assert caller.told()[0].closes
    assert caller.wire.eof
    assert_nothing_is_held(caller)


def test_a_head_at_its_limits_is_taken() -> None:
    target = b"/" + b"x" * (LONGEST_TARGET - 1)
    head = b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n" + many(MOST_HEADERS - 2)
    head += b"X: " + b"v" * (LONGEST_HEAD - len(head)) + b"\r\n\r\n"
    caller = Caller()
    assert [told.status for told in caller.send(head, *(head[at : at + 99] for at in range(0, len(head), 99)))] == [
        200,
        200,
    ]


UPGRADES: dict[str, Iterable[bytes]] = {
    "alone": [b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"],
    "with a body": [post(b"hello", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", path=b"/a")],
    "with a body in pieces": [
        post(b"", b"Connection: Upgrade", b"Upgrade: h2c", path=b"/a", length=5),
        b"he",
        b"llo",
    ],
    "with a chunked body": [
        CHUNKED[:-2] + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n3\r\n",
        b"hel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n",
    ],
}


BODIES = dict(zip(UPGRADES, (b"/a ", b"/a hello", b"/a hello", b"/c hello"), strict=True))


@pytest.mark.parametrize("name", UPGRADES)
def test_an_upgrade_is_answered_as_if_it_were_none_and_the_connection_ends(name: str) -> None:
    caller = Caller()
    (told,) = caller.send(*UPGRADES[name], GET)
    assert told.status == 200
    assert told.body == BODIES[name]
    assert told.closes
    assert_nothing_is_held(caller)


def test_what_follows_an_upgrade_with_a_body_is_not_read_as_a_request() -> None:
    caller = Caller()
    caller.send(post(b"hello", b"Connection: Upgrade", b"Upgrade: h2c") + GET)
    assert [one[4] for one in handler_of(caller).seen] == [b"hello"]


def test_connect_is_answered_and_ends() -> None:
    caller = Caller()
    (told,) = caller.send(b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz" + GET)
    assert told.closes
    assert handler_of(caller).seen[0][:2] == (b"CONNECT", b"h:443")


def test_a_fault_in_the_handler_is_answered_with_500_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Exchange) -> None:
        raise ValueError("secret")

    caller = Caller(fail)
    (told,) = caller.send(GET)
    assert told.status == 500
    assert told.closes
    assert b"secret" not in told.body
    assert "secret" in caplog.text
    assert_nothing_is_held(caller)


def test_a_caller_that_hangs_up_cancels_its_request_once() -> None:
    caller = Caller(Handler(at_once=False))
    caller.send(post(b"hello") + GET)
    (exchange,) = handler_of(caller).waiting
    assert_nothing_is_held(caller)
    assert exchange.cancelled
    assert handler_of(caller).cancelled == 1
    exchange.answer(200, b"late")
    assert caller.wire.sent == b""


def test_a_failing_cancellation_is_logged_and_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caller = Caller(Handler(at_once=False))
    caller.send(post(b"hello"))
    (exchange,) = handler_of(caller).waiting

    def fail(_: Exchange) -> None:
        raise LookupError

    exchange.on_cancel = fail
    assert_nothing_is_held(caller)
    assert "cancelled" in caplog.text


def test_a_caller_that_goes_at_the_last_moment_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise OSError(107, "Transport endpoint is not connected")

    caller = Caller()
    monkeypatch.setattr(caller.wire, "write_eof", gone)
    (told,) = caller.send(post(b"", b"Connection: close"))
    assert told.closes
    caller.wait(LINGER_SECONDS)
    assert caller.wire.aborted
    assert_nothing_is_held(caller)


def test_no_more_pipelined_requests_are_begun_for_a_caller_that_has_gone() -> None:
    begun = []

    def handle(exchange: Exchange) -> None:
        begun.append(exchange)
        exchange.answer(200, b"")
        caller.wire.abort()

    caller = Caller(handle)
    caller.send(GET * 3)
    assert len(begun) == 1
    assert_nothing_is_held(caller)


def test_a_second_answer_to_a_request_is_left_out() -> None:
    caller = Caller(Handler(at_once=False))
    caller.send(GET + GET)
    first = handler_of(caller).waiting.pop()
    first.answer(200, b"1")
    first.answer(200, b"2")
    assert [told.body for told in caller.told()] == [b"1"]
    assert caller.server.answering == 1


def test_answers_carry_headers_kind_and_a_large_body_whole() -> None:
    body = b"x" * 300_000

    def handle(exchange: Exchange) -> None:
        exchange.answer(404, body, kind=b"text/plain", headers=b"X-Y: z\r\n", close=True)

    (told,) = Caller(handle).send(GET)
    assert told.status == 404
    assert (told.headers["x-y"], told.headers["content-type"], told.headers["connection"]) == (
        "z",
        "text/plain",
        "close",
    )
    assert told.body == body


def test_a_header_is_given_as_text() -> None:
    exchange = Exchange(Caller().connection, headers={b"a": b"\xe4"})
    assert exchange.text(b"a") == "ä"
    assert exchange.text(b"b", "c") == "c"


@pytest.mark.parametrize("loop", LOOPS)
def test_one_connection_too_many_is_told_429_and_does_not_count(loop: str) -> None:
    async def tried() -> None:
        async with listening(Handler(), connections=2) as (server, port):
            kept = [await asyncio.open_connection(HOST, port) for _ in range(2)]
            for reader, writer in kept:
                writer.write(GET)
                await reader.readuntil(b"/a ")
            for _ in range(3):
                reader, writer = await asyncio.open_connection(HOST, port)
                writer.write(post(b"y" * 500))
                (told,) = answers(await reader.read())
                assert told.status == 429
                assert told.headers["retry-after"] == "1"
                assert told.closes
                await ended(writer)
            await ended(kept[0][1])
            await settled(server, 1)
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(GET)
            assert b" 200 " in await reader.readuntil(b"/a ")
            await ended(writer)
            await ended(kept[1][1])
            await settled(server, 0)

    LOOPS[loop](tried())
