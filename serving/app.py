"""Puts the server together and runs it until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import uvicorn

from serving.dataplane import Dataplane
from serving.grpc.server import Grpc
from serving.heartbeat import Pulse
from serving.registry import Registry
from serving.rest.server import Rest
from serving.runtimes.factory import maker
from staytrue.eventlog import Writer
from staytrue.listening import address, ended_by, listen
from staytrue.store import Store

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from staytrue.sections import ServingSection

log = logging.getLogger(__name__)
HEARTBEAT_SECONDS = 1.0


def run(settings: ServingSection, store: Path) -> int:
    """Serve until SIGTERM or SIGINT; the exit code.

    Raises:
        InvalidConfig: the address cannot be listened on, or what is to run the models is not here.
    """
    bound = listen(settings.host, settings.port, insecure=settings.insecure)
    reserved = None
    if settings.grpc_port is not None:
        reserved = listen(settings.host, settings.grpc_port, insecure=settings.insecure, flag="--grpc-port")
    with maker(settings) as make:
        log.info("models run in %s", make.description)
        _run(settings, Registry(Store(store), settings.models, make), (bound, reserved))
    return 0


def _run(settings: ServingSection, registry: Registry, sockets: tuple[socket.socket, socket.socket | None]) -> None:
    writer = Writer(settings.log, durability=settings.durability, max_bytes=settings.log_max_bytes)
    registry.refresh()
    dataplane = Dataplane(registry, writer, settings)
    try:
        asyncio.run(_serve(dataplane, settings, sockets, writer.name))
    finally:
        dataplane.close()
        registry.close()
        writer.close()


async def _serve(
    dataplane: Dataplane, settings: ServingSection, bound: tuple[socket.socket, socket.socket | None], worker: str
) -> None:
    @contextlib.asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(_follow(dataplane.registry, settings.reload_seconds)),
            asyncio.create_task(_beat(dataplane, Pulse(dataplane, worker))),
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    config = uvicorn.Config(
        Rest(dataplane, settings).app(lifespan),
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=int(settings.drain_seconds) or 1,
    )
    for_rest, for_grpc = bound
    rpc = Grpc(dataplane, settings)
    if for_grpc is not None:
        await rpc.start(for_grpc)
    try:
        await Server(config, dataplane, rpc).serve(sockets=[for_rest])
    finally:
        await rpc.stop()


class Server(uvicorn.Server):
    """uvicorn, with the words that callers wait for, readiness that ends first, and exit code 0 after SIGTERM."""

    def __init__(self, config: uvicorn.Config, dataplane: Dataplane, rpc: Grpc) -> None:
        super().__init__(config)
        self._dataplane, self._rpc = dataplane, rpc

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say where."""
        await super().startup(sockets)
        for bound in sockets or []:
            print(f"staytrue serve: listening on {address(bound)}", flush=True)  # noqa: T201 - callers wait for it

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests in flight end, of both protocols at once."""
        await asyncio.gather(super().shutdown(sockets), self._rpc.stop())

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Drain on a signal. uvicorn's own raises it again afterwards, which ends a clean shutdown with an error."""

        def stop(number: int, frame: object) -> None:
            del frame
            self._dataplane.draining = True
            self.handle_exit(number, None)

        with ended_by(stop):
            yield


async def _follow(registry: Registry, seconds: float) -> None:
    """Look at the aliases again and again; loading happens beside the loop."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(registry.refresh)
        except Exception:
            log.exception("looking for new versions failed; what is loaded keeps serving")


async def _beat(dataplane: Dataplane, pulse: Pulse) -> None:
    while True:
        try:
            await asyncio.to_thread(dataplane.beat, pulse.beat())
        except Exception:
            log.exception("no heartbeat; the next comes in its time")
        await asyncio.sleep(HEARTBEAT_SECONDS)
