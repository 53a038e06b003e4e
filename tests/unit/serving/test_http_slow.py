"""Callers that send slowly, read slowly, say no more or go: each gets a time, and takes nothing with it."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest

from serving.http.connection import LINGER_SECONDS
from tests.http_wire import BODY_BYTES, GET, HOST, LOOPS, Caller, Handler, answers, ended, listening, post, settled

if TYPE_CHECKING:
    from serving.http.exchange import Exchange

LARGE = b"x" * 20_000_000
"""More than a connection takes by itself where nobody reads."""


def large(exchange: Exchange) -> None:
    exchange.answer(200, LARGE)


def test_a_head_that_does_not_come_in_its_time_is_told_408() -> None:
    caller = Caller(head_seconds=2.0)
    caller.send(GET, GET[:10])
    caller.wait(1.0)
    caller.send(GET[10:12])
    assert len(caller.told()) == 1
    caller.wait(1.0)
    told = caller.told()[1]
    assert (told.status, told.closes) == (408, True)
    assert caller.wire.eof


def test_a_body_has_a_time_from_the_end_of_its_head_however_it_drips() -> None:
    caller = Caller(head_seconds=2.0, body_seconds=3.0)
    caller.send(post(b"", length=100)[:10])
    caller.wait(1.5)
    caller.send(post(b"", length=100)[10:])
    for _ in range(2):
        caller.wait(1.0)
        caller.send(b"y")
    assert caller.told() == []
    caller.wait(1.0)
    assert [told.status for told in caller.told()] == [408]
    assert caller.server.held == 0


def test_who_stalls_in_a_body_that_was_refused_is_told_why_it_was() -> None:
    caller = Caller(body_seconds=3.0)
    head = b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    caller.send(head, b"%x\r\n" % (2 * BODY_BYTES), b"y" * (BODY_BYTES + 1))
    assert caller.told() == []
    caller.wait(3.0)
    assert [told.status for told in caller.told()] == [413]
    assert caller.told()[0].closes


def test_who_was_refused_its_body_has_its_time_to_send_it_all_the_same() -> None:
    caller = Caller(body_seconds=6.0)
    caller.send(post(b"", length=BODY_BYTES + 1))
    assert [told.status for told in caller.told()] == [413]
    for _ in range(5):
        caller.wait(1.0)
        caller.send(b"y")
    assert not caller.wire.is_closing()
    caller.wait(1.0)
    assert caller.wire.aborted
    stopped = Caller(body_seconds=6.0)
    stopped.send(post(b"", length=BODY_BYTES + 1))
    stopped.wait(1.0)
    stopped.send(b"y")
    stopped.wait(LINGER_SECONDS - 0.1)
    assert not stopped.wire.is_closing()
    stopped.wait(0.1)
    assert stopped.wire.aborted


def test_an_idle_connection_is_closed_without_a_word() -> None:
    caller = Caller(idle_seconds=2.0)
    caller.wait(1.0)
    caller.send(GET)
    caller.wait(1.0)
    assert not caller.wire.is_closing()
    caller.wait(1.0)
    assert caller.wire.is_closing()
    assert len(caller.told()) == 1


def test_empty_lines_do_not_keep_a_connection() -> None:
    caller = Caller(idle_seconds=2.0)
    for _ in range(4):
        caller.send(b"\r\n")
        caller.wait(0.5)
    assert caller.wire.is_closing()


def test_who_waits_for_its_answer_has_all_time() -> None:
    handler = Handler(at_once=False)
    caller = Caller(handler)
    caller.send(GET + GET[:10])
    caller.wait(10_000.0)
    assert not caller.wire.is_closing()
    handler.answer()
    caller.wait(1.0)
    caller.send(GET[10:])
    handler.answer()
    assert [told.status for told in caller.told()] == [200, 200]


def test_who_does_not_go_after_its_last_answer_is_broken_off() -> None:
    caller = Caller()
    caller.send(post(b"", b"Connection: close"))
    caller.wait(LINGER_SECONDS - 0.1)
    assert not caller.wire.is_closing()
    caller.wait(0.1)
    assert caller.wire.aborted


def test_who_does_not_read_gets_no_further_answer_and_is_broken_off() -> None:
    caller = Caller(write_seconds=2.0)
    caller.connection.pause_writing()
    caller.send(GET, GET)
    assert caller.told() == []
    caller.wait(1.0)
    caller.connection.resume_writing()
    assert len(caller.told()) == 2
    caller.send(GET)
    assert len(caller.told()) == 3
    caller.connection.pause_writing()
    caller.wait(1.9)
    assert not caller.wire.is_closing()
    caller.wait(0.1)
    assert caller.wire.aborted


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("sent", "told"), [(GET[:-2], [408]), (post(b"", length=9), [408]), (b"", []), (GET, [200])], ids=str
)
def test_times_pass_by_themselves(loop: str, sent: bytes, told: list[int]) -> None:
    async def tried() -> None:
        times: dict[str, Any] = {"head_seconds": 0.1, "body_seconds": 0.1, "idle_seconds": 0.1}
        async with listening(Handler(), **times) as (server, port), asyncio.timeout(3):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(sent)
            assert [one.status for one in answers(await reader.read())] == told
            await ended(writer)
            await settled(server, 0)
            assert (server.held, server.answering) == (0, 0)

    LOOPS[loop](tried())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("last", [b"", b"Connection: close"], ids=["kept", "last"])
def test_a_caller_that_does_not_read_its_answer_is_broken_off(loop: str, last: bytes) -> None:
    async def tried() -> None:
        async with listening(large, write_seconds=0.3) as (server, port), asyncio.timeout(5):
            with socket.create_connection((HOST, port)) as caller:
                caller.sendall(post(b"", *([last] if last else [])))
                await settled(server, 1)
                await settled(server, 0)
                with pytest.raises(OSError, match=r"reset|incomplete"):
                    await asyncio.to_thread(read_all, caller)

    LOOPS[loop](tried())


def read_all(caller: socket.socket) -> bytes:
    """All up to the end, which must be a whole answer."""
    told = b""
    while piece := caller.recv(1 << 20):
        told += piece
    if len(told) < len(LARGE):
        raise OSError("incomplete")
    return told


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("last", [b"", b"Connection: close"], ids=["kept", "last"])
def test_a_caller_that_reads_late_gets_all_of_its_answer(loop: str, last: bytes) -> None:
    async def tried() -> None:
        async with listening(large, idle_seconds=0.5) as (_, port), asyncio.timeout(20):
            with socket.create_connection((HOST, port)) as caller:
                caller.sendall(post(b"", *([last] if last else [])))
                await asyncio.sleep(0.7)
                (told,) = answers(await asyncio.to_thread(read_all, caller))
                assert told.body == LARGE

    LOOPS[loop](tried())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_caller_that_hangs_up_cancels_what_it_waits_for(loop: str, reset: bool) -> None:
    async def tried() -> None:
        handler = Handler(at_once=False)
        async with listening(handler) as (server, port), asyncio.timeout(5):
            caller = socket.create_connection((HOST, port))
            caller.sendall(post(b"hello") + (GET if reset else b""))
            await handler.come()
            if reset:
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            caller.close()
            await settled(server, 0)
            assert handler.cancelled == 1
            assert handler.waiting[0].cancelled
            assert (server.held, server.answering) == (0, 0)

    LOOPS[loop](tried())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("wait", [0.1, 1.0], ids=["soon", "late"])
def test_half_a_close_still_gets_all_answers(loop: str, wait: float) -> None:
    async def tried() -> None:
        handler = Handler(at_once=False)
        async with listening(handler) as (server, port), asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(post(b"1") + post(b"2"))
            writer.write_eof()
            await asyncio.sleep(wait)
            for _ in range(2):
                await handler.come()
                handler.answer()
            told = [one for one in answers(await reader.read()) if one.status != 100]
            assert [one.body for one in told] == [b"/p 1", b"/p 2"]
            await ended(writer)
            await settled(server, 0)

    LOOPS[loop](tried())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("times", [1.5, 5], ids=["a little too much", "far too much"])
def test_who_writes_all_before_it_reads_meets_the_answer_and_no_reset(loop: str, times: float) -> None:
    async def tried() -> None:
        limit = 4_000_000
        async with listening(Handler(), body_bytes=limit, held_bytes=2 * limit) as (server, port), asyncio.timeout(10):
            with socket.create_connection((HOST, port)) as caller:

                def talk() -> bytes:
                    caller.sendall(post(b"", length=int(times * limit)) + b"y" * int(min(times, 1.9) * limit))
                    return caller.recv(10_000)

                told = await asyncio.to_thread(talk)
                assert told.startswith(b"HTTP/1.1 413 ")
            await settled(server, 0)
            assert server.held == 0

    LOOPS[loop](tried())
