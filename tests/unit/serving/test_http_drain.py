"""The end of a server breaks off nobody, and comes in its time."""

from __future__ import annotations

import asyncio
import math
import os
import socket
import sys
import time
from typing import TYPE_CHECKING

import pytest

from serving.http.closing import let_nobody_in
from serving.http.server import LEAVING_SECONDS, SWEEP_SECONDS
from tests.http_wire import GET, HOST, LOOPS, Handler, answers, ended, listening, post, settled

if TYPE_CHECKING:
    from serving.http.exchange import Exchange
    from serving.http.server import Server

pytestmark = pytest.mark.alone
CALLERS = 32


def assert_nothing_is_left(server: Server) -> None:
    assert (server._connections, server._turned_away, server._listening) == (set(), set(), [])
    assert (server.held, server.answering, server._sweeping) == (0, 0, None)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Ask once; whether the connection goes on."""
    writer.write(post(b"hello"))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert await reader.readexactly(8) == b"/p hello"
    return b"Connection: close" not in head


async def ask_again_and_again(port: int, counts: dict[str, int]) -> None:
    """Ask over one connection as long as it is kept, then over another, until none is taken."""
    while True:
        try:
            reader, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            return
        try:
            while await ask(reader, writer):
                counts["answered"] += 1
            counts["told to go"] += 1
        except (OSError, asyncio.IncompleteReadError):
            counts["failed"] += 1
        finally:
            await ended(writer)


@pytest.mark.parametrize("loop", LOOPS)
def test_no_request_of_busy_callers_fails(loop: str) -> None:
    async def tried() -> None:
        loop_now = asyncio.get_running_loop()

        def handle(exchange: Exchange) -> None:
            body = b"%b %b" % (exchange.path, exchange.body)
            loop_now.call_later(0.002, lambda: exchange.answer(200, body))

        counts = {"answered": 0, "told to go": 0, "failed": 0}
        async with listening(handle) as (server, port), asyncio.timeout(20):
            callers = [asyncio.create_task(ask_again_and_again(port, counts)) for _ in range(CALLERS)]
            await asyncio.sleep(0.3)
            before = len(server._connections)
            await server.drain(5.0)
            await asyncio.gather(*callers)
            assert before == CALLERS
            assert counts["failed"] == 0
            assert counts["answered"] > CALLERS
            assert counts["told to go"] >= CALLERS
            assert_nothing_is_left(server)

    LOOPS[loop](tried())


@pytest.mark.parametrize("loop", LOOPS)
def test_requests_in_flight_are_answered_and_the_idle_are_closed(loop: str) -> None:
    async def tried() -> None:
        handler = Handler(at_once=False)
        async with listening(handler) as (server, port), asyncio.timeout(10):
            idle = await asyncio.open_connection(HOST, port)
            busy = await asyncio.open_connection(HOST, port)
            half = await asyncio.open_connection(HOST, port)
            busy[1].write(GET)
            half[1].write(post(b"hello")[:-3])
            await asyncio.sleep(0.1)
            drained = asyncio.create_task(server.drain(5.0))
            assert await idle[0].read() == b""
            half[1].write(b"llo")
            await handler.come(2)
            handler.answer()
            handler.answer()
            for reader, _ in (busy, half):
                (told,) = answers(await reader.read())
                assert (told.status, told.closes) == (200, True)
            for _, writer in (idle, busy, half):
                await ended(writer)
            await drained
            assert_nothing_is_left(server)
            with pytest.raises(OSError, match=r"111|refused"):
                await asyncio.open_connection(HOST, port)

    LOOPS[loop](tried())


@pytest.mark.parametrize("loop", LOOPS)
def test_who_comes_in_the_first_moments_is_answered(loop: str) -> None:
    async def tried() -> None:
        async with listening(Handler()) as (server, port), asyncio.timeout(10):
            drained = asyncio.create_task(server.drain(5.0))
            await asyncio.sleep(LEAVING_SECONDS / 2)
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(GET)
            (told,) = answers(await reader.read())
            assert (told.status, told.closes) == (200, True)
            await ended(writer)
            await drained

    LOOPS[loop](tried())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("sent", [GET, GET[:-2], post(b"", length=9)], ids=["answer", "head", "body"])
def test_it_ends_in_its_time_even_if_a_caller_hangs(loop: str, sent: bytes) -> None:
    async def tried() -> None:
        handler = Handler(at_once=False)
        async with listening(handler) as (server, port), asyncio.timeout(10):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.write(sent)
            await settled(server, 1)
            await asyncio.sleep(0.05)
            tasks = len(asyncio.all_tasks())
            began = time.monotonic()
            await server.drain(0.6)
            assert 0.5 < time.monotonic() - began < 5.0
            assert_nothing_is_left(server)
            assert len(asyncio.all_tasks()) == tasks - 1
            assert handler.cancelled == (1 if sent == GET else 0)
            await ended(writer)

    LOOPS[loop](tried())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_server_without_callers_ends_at_once(loop: str) -> None:
    async def tried() -> None:
        async with listening(Handler()) as (server, _):
            began = time.monotonic()
            await server.drain(30.0)
            assert time.monotonic() - began < 10.0
            await server.drain(30.0)
            assert_nothing_is_left(server)

    LOOPS[loop](tried())


@pytest.mark.parametrize("loop", LOOPS)
def test_an_idle_connection_whose_request_has_just_come_is_not_closed(loop: str) -> None:
    async def tried() -> None:
        async with listening(Handler()) as (server, port), asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(HOST, port)
            await settled(server, 1)
            (connection,) = server._connections
            os.write(writer.get_extra_info("socket").fileno(), GET)
            connection.end_if_idle(math.inf)  # the loop has had no turn to read it
            assert b" 200 " in await reader.readuntil(b"/a ")
            connection.end_if_idle(math.inf)
            assert await reader.read() == b""
            await ended(writer)

    LOOPS[loop](tried())


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux alone")
def test_nobody_comes_in_while_those_who_wait_are_let_in() -> None:
    with socket.socket() as bound, socket.socket() as late, socket.socket() as early:
        bound.bind((HOST, 0))
        bound.listen()
        early.connect(bound.getsockname())
        assert let_nobody_in(bound)
        late.settimeout(0.2)
        with pytest.raises(TimeoutError):
            late.connect(bound.getsockname())
        taken, _ = bound.accept()
        bound.settimeout(0)
        with pytest.raises(BlockingIOError):
            bound.accept()
        bound.close()
        with taken:
            early.sendall(b"question")
            assert taken.recv(100) == b"question"
            taken.sendall(b"answer")
            assert early.recv(100) == b"answer"


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_that_stood_still_is_not_blamed_on_callers(loop: str) -> None:
    async def tried() -> None:
        async with listening(Handler(), head_seconds=0.8) as (server, port), asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(GET[:10])
            await settled(server, 1)
            await asyncio.sleep(2 * SWEEP_SECONDS)
            time.sleep(1.0)  # noqa: ASYNC251 - stands still
            await asyncio.sleep(SWEEP_SECONDS / 4)
            writer.write(GET[10:])
            assert b" 200 " in await reader.readuntil(b"/a ")
            await ended(writer)

    LOOPS[loop](tried())
