"""Puts one process of the server together and runs it until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, NoReturn

import uvloop

from serving import allocator
from serving.access import Access
from serving.dataplane import Dataplane
from serving.follower import Follower
from serving.heartbeat import Pulse
from serving.http.server import Limits, Server
from serving.inflight import Inflight
from serving.registry import Registry
from serving.rest.server import Rest
from serving.runtimes.factory import maker
from serving.tls import Certificate
from staytrue import errors
from staytrue.compiled import native
from staytrue.eventlog import Writer
from staytrue.listening import address, ended_by

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from serving.denials import Denials
    from serving.grpc.server import Grpc
    from serving.loading import Lane
    from serving.ports import Ports
    from serving.runtimes.base import Runtime
    from serving.tls import Papers
    from staytrue.bundle import Bundle
    from staytrue.server import ServingSection
    from staytrue.store import Store

log = logging.getLogger(__name__)
HEARTBEAT_SECONDS = PULSE_SECONDS = 1.0
RENEW_SECONDS = 0.5
TRIM_BEATS = 10
"""Between two times that freed memory is given back: what large bodies and batches took would stay for good."""


def run(settings: ServingSection, store: Store, ports: Ports, open_writer: Callable[..., Writer] = Writer) -> int:
    """Serve until SIGTERM or SIGINT; the exit code.

    Raises:
        InvalidConfig: what is to run the models is not here, or a file of keys or certificates is wrong.
    """
    allocator.restrain()
    access, certificate = Access(settings.keys), Certificate(settings)
    ended: list[int] = []
    with maker(settings) as make, ended_by(lambda number, _: ended.append(number)):
        log.info("models run in %s", make.description)
        log.info("compiled parts: %s", native.__file__ if native is not None else f"none with {errors.__file__}")
        writer = open_writer(settings.log, durability=settings.durability, max_bytes=settings.log_max_bytes)

        def attach(bundle: Bundle, runtime: Runtime, row_seconds: float) -> Lane:
            return dataplane.attach(bundle, runtime, row_seconds)

        registry = Registry(store, settings.models, make, attach=attach)
        dataplane = Dataplane(registry, writer, settings)
        follower = Follower(registry, settings.reload_seconds)
        try:
            if follower.first(lambda: bool(ended)):
                uvloop.run(_serve(dataplane, settings, access, ports, certificate, writer.name, ended))
        finally:
            follower.end()
            dataplane.close()
            registry.close()
            writer.close()
    if registry.loading():
        _leave()
    return 0


def _leave() -> NoReturn:
    """End well, at once: a thread that still loads a version would hold up the interpreter, or crash in its end."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


async def _serve(
    dataplane: Dataplane,
    settings: ServingSection,
    access: Access,
    ports: Ports,
    certificate: Certificate,
    worker: str,
    ended_before: list[int],
) -> None:
    ended, drained = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(*_: object) -> None:
        dataplane.draining = True
        loop.call_soon_threadsafe(ended.set)

    inflight, limits = Inflight(settings.max_inflight_bytes), limits_of(settings)
    rpc, shown = _over_grpc(ports, dataplane, settings, access, inflight, certificate), certificate.current()
    context = None if shown is None else shown.context
    servers = [_server(Rest(dataplane, settings, access), limits, inflight)]
    await servers[0].start(ports.rest, context)
    if ports.admin is not None:
        servers.append(_server(Rest(dataplane, settings, access, admin=True), limits, inflight))
        await servers[1].start(ports.admin, context)
    if rpc is not None and ports.grpc is not None:
        rpc.start(ports.grpc, reuse_port=settings.workers > 1, tells=ports.tells)
    beside = (_tell_alive(ports.pulse), _renew(certificate, shown, servers))
    tasks = [asyncio.create_task(each) for each in beside]
    beating = asyncio.create_task(_beat(dataplane, Pulse(dataplane, worker, access.denials), access.denials, drained))
    with ended_by(stop):
        if ended_before:  # since the last look at it
            stop()
        _tell(ports, secure=context is not None)
        await ended.wait()
        log.info("draining")
        ending = [] if rpc is None else [asyncio.to_thread(rpc.stop, settings.drain_seconds)]
        await asyncio.gather(*(server.drain(settings.drain_seconds) for server in servers), *ending)
    drained.set()
    await beating
    await _cancel(tasks)


def _over_grpc(
    ports: Ports,
    dataplane: Dataplane,
    settings: ServingSection,
    access: Access,
    inflight: Inflight,
    certificate: Certificate,
) -> Grpc | None:
    """What speaks gRPC, where there is a port for it: it is a third of what a server takes beside ONNX Runtime."""
    if ports.grpc is None:
        return None
    from serving.grpc.server import Grpc  # noqa: PLC0415 - as above

    return Grpc(dataplane, settings, access, inflight, certificate)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _server(rest: Rest, limits: Limits, inflight: Inflight) -> Server:
    return Server(rest.handle, limits, inflight, rest.brief)


def limits_of(settings: ServingSection) -> Limits:
    """What callers over HTTP may take, by the settings."""
    return Limits(
        body_bytes=settings.max_body_bytes,
        held_bytes=settings.max_inflight_bytes,
        connections=settings.max_connections,
        idle_seconds=settings.idle_seconds,
        body_seconds=settings.read_seconds,
        write_seconds=settings.write_seconds,
    )


def _tell(ports: Ports, *, secure: bool) -> None:
    """Say where: callers wait for these words."""
    if not ports.tells:
        return
    names: list[tuple[str, socket.socket | None]] = [("admin ", ports.admin), ("", ports.rest)]
    for name, bound in names:
        if bound is not None:
            said = address(bound).replace("http:", "https:") if secure else address(bound)
            print(f"staytrue serve: {name}listening on {said}", flush=True)  # noqa: T201 - callers wait for it


async def _beat(dataplane: Dataplane, pulse: Pulse, denials: Denials, drained: asyncio.Event) -> None:
    """A heartbeat each second, and one with the final counts once callers have gone."""
    last, beats = False, 0
    while not last:
        last, beats = drained.is_set(), beats + 1
        denials.tell()
        try:
            await asyncio.to_thread(dataplane.beat, pulse.beat())
        except Exception:
            log.exception("no heartbeat; the next comes in its time")
        if beats % TRIM_BEATS == 0:
            await asyncio.to_thread(allocator.trim)
        if not last:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(drained.wait(), HEARTBEAT_SECONDS)


async def _tell_alive(pipe: int | None) -> None:
    """Tell who watches this process that its loop turns."""
    if pipe is None:
        return
    os.set_blocking(pipe, False)
    while True:
        with contextlib.suppress(OSError):  # full, or nobody watches any more
            os.write(pipe, b".")
        await asyncio.sleep(PULSE_SECONDS)


async def _renew(certificate: Certificate, shown: Papers | None, servers: list[Server]) -> None:
    """Have servers show what the files hold now."""
    while shown is not None:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            papers = await asyncio.to_thread(certificate.current)
            if papers is not None and papers is not shown:
                for server in servers:
                    await server.renew(papers.context)
                shown = papers
        except Exception:
            log.exception("looking for a renewed certificate failed; the one in use stays")
