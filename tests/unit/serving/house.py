"""A server over HTTP in the test's own process: its loop in a thread, its log beside it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import httpx
import uvloop

from serving.access import Access
from serving.app import limits_of
from serving.dataplane import Dataplane
from serving.http.server import Server
from serving.registry import Registry
from serving.rest.server import Rest
from staytrue.eventlog import Writer
from staytrue.events import Event, decode
from staytrue.listening import address, listen
from staytrue.readers import Reader
from staytrue.server import ServingSection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from serving.loading import Lane
    from serving.runtimes.base import Runtime
    from staytrue.bundle import Bundle
    from staytrue.store import Store


class House:
    """A server on loopback, and what its log holds."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        *,
        admin: bool = False,
        clock: Callable[[], float] = lambda: 1000.0,
        **how: Any,
    ) -> None:
        self.log = folder / "events"
        self.settings = ServingSection(**how)
        self.writer = Writer(self.log)
        self.registry = Registry(store, [], how.pop("make", None), attach=self._attach)
        self.dataplane = Dataplane(self.registry, self.writer, self.settings, clock=clock)
        self.registry.refresh()
        self.access = Access(self.settings.keys)
        self._bound = listen("127.0.0.1", 0, insecure=False)
        self.address = address(self._bound)
        self._up, self._admin = threading.Event(), admin
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()))
        self._thread.start()
        assert self._up.wait(10)
        self.client = httpx.Client(base_url=self.address, timeout=20)

    async def _serve(self) -> None:
        self.loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self.rest = Rest(self.dataplane, self.settings, self.access, admin=self._admin)
        self.server = Server(self.rest.handle, limits_of(self.settings), brief=self.rest.brief)
        await self.server.start(self._bound)
        self._up.set()
        await self._end.wait()
        await self.server.drain(5.0)

    def _attach(self, bundle: Bundle, runtime: Runtime, row_seconds: float) -> Lane:
        return self.dataplane.attach(bundle, runtime, row_seconds)

    def events(self) -> list[Event]:
        """Everything logged so far."""
        reader, found = Reader(self.log, "test"), list[Event]()
        for batch in reader.batches():
            found += [entry for entry in map(decode, batch.payloads) if isinstance(entry, Event)]
        return found

    def close(self) -> None:
        """End it."""
        self.client.close()
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(20)
        self.dataplane.close()
        self.registry.close()
        self.writer.close()
