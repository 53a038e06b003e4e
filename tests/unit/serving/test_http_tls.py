"""HTTP over TLS: the same answers, and an end although TLS cannot be closed by half."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.http_wire import BODY_BYTES, GET, HOST, LOOPS, Handler, answers, ended, listening, post, settled
from tests.needs import needs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's, and that of a caller who trusts it."""
    folder: Path = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    named = ["-subj", "/CN=test", "-addext", f"subjectAltName=IP:{HOST}"]
    where = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([needs("openssl"), *made, *named, *where], check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return server, ssl.create_default_context(cafile=str(certificate))


@pytest.mark.parametrize("loop", LOOPS)
def test_requests_are_answered_refused_and_drained(loop: str, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def tried() -> None:
        async with listening(Handler(), context=contexts[0]) as (server, port), asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(HOST, port, ssl=contexts[1])
            for _ in range(3):
                writer.write(post(b"hello"))
                assert b" 200 " in await reader.readuntil(b"/p hello")
            writer.write(post(b"", length=10 * BODY_BYTES))
            assert b" 413 " in await reader.readuntil(b"}")
            await ended(writer)
            last = await asyncio.open_connection(HOST, port, ssl=contexts[1])
            last[1].write(post(b"", b"Connection: close"))
            (told,) = answers(await last[0].read())
            assert (told.status, told.closes) == (200, True)
            await ended(last[1])
            await settled(server, 0)
            idle = await asyncio.open_connection(HOST, port, ssl=contexts[1])
            drained = asyncio.create_task(server.drain(5.0))
            late = await asyncio.open_connection(HOST, port, ssl=contexts[1])
            late[1].write(GET)
            (told,) = answers(await late[0].read())
            assert told.closes
            assert await idle[0].read() == b""
            await ended(late[1])
            await ended(idle[1])
            await drained
            assert (server._connections, server.held, server.answering) == (set(), 0, 0)

    LOOPS[loop](tried())


@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_no_tls_takes_nothing(loop: str, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def tried() -> None:
        async with listening(Handler(), context=contexts[0]) as (server, port), asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(GET)
            assert b"HTTP" not in await reader.read()
            await ended(writer)
            await settled(server, 0)

    LOOPS[loop](tried())


@pytest.mark.parametrize("loop", LOOPS)
def test_no_caller_is_lost_while_contexts_are_changed(
    loop: str, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    async def tried() -> None:
        async with listening(Handler(), context=contexts[0]) as (server, port), asyncio.timeout(30):
            changed = asyncio.Event()

            async def ask_on() -> int:
                answered = 0
                while not changed.is_set():
                    reader, writer = await asyncio.open_connection(HOST, port, ssl=contexts[1])
                    writer.write(post(b"hello"))
                    assert b" 200 " in await reader.readuntil(b"/p hello")
                    await ended(writer)
                    answered += 1
                return answered

            kept = await asyncio.open_connection(HOST, port, ssl=contexts[1])
            callers = [asyncio.create_task(ask_on()) for _ in range(4)]
            for _ in range(20):
                await server.renew(contexts[0])
                await asyncio.sleep(0.01)
            changed.set()
            assert min(await asyncio.gather(*callers)) > 0
            kept[1].write(post(b"hello"))
            assert b" 200 " in await kept[0].readuntil(b"/p hello")
            await ended(kept[1])
            assert len(server._listening) == 1

    LOOPS[loop](tried())
