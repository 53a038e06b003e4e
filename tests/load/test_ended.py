"""SIGTERM to several workers under load over both protocols: each request is answered, each answer is in the log."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING

import pytest
import uvloop

from staytrue.events import Event, decode
from staytrue.readers import Reader
from tests.load import pictures
from tests.load.callers import OK, Grpc, Rest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from examples.bikeshare.demo.processes import Service
    from staytrue.store import Store

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(120)]

SIDE, CALLERS, WORKERS = 32, 8, 2
DRAIN_SECONDS = 10
ANSWERS = 100
"""Before the signal."""


class Callers:
    """Ask again at once over connections of their own, which are kept, until the server takes no more of them."""

    def __init__(self, server: Service, store: Store) -> None:
        self._server, self._x = server, pictures.rows(SIDE)
        self._known = pictures.answers(store, self._x)["1"]
        self.events = Counter[str]()
        """Of requests that were answered."""
        self.failed: list[str] = []
        self.readiness: list[int] = []
        """What was told of it, in turn."""

    async def over_rest(self, number: int) -> None:
        """One of them; a connection that its answer has closed is made anew, until nobody listens."""
        rest = Rest(self._server)
        try:
            for turn in count(number):
                which = turn % len(self._x)
                said = await rest.ask(pictures.rest(self._x[which : which + 1]), pictures.OUTPUTS)
                if said.said.startswith("rest: ConnectionRefusedError"):
                    return
                self._note(said, which)
        finally:
            await rest.close()

    async def ask_for_readiness(self) -> None:
        """Again and again over new connections, until nobody listens."""
        rest = Rest(self._server)
        while True:
            try:
                self.readiness.append(await rest.status("/v2/health/ready"))
            except ConnectionRefusedError:
                return
            except OSError as error:
                self.failed.append(f"readiness: {error!r}")
            await asyncio.sleep(0.01)

    async def over_grpc(self, number: int) -> None:
        """One of them; its channel connects anew by itself, and says in its words that it cannot."""
        rpc = Grpc(self._server)
        try:
            for turn in count(number):
                which = turn % len(self._x)
                said = await rpc.ask(pictures.rpc(self._x[which : which + 1]), pictures.OUTPUTS)
                if "StatusCode.UNAVAILABLE" in said.said and "failed to connect to all addresses" in said.said:
                    return
                self._note(said, which)
        finally:
            await rpc.close()

    def _note(self, outcome: tuple[object, ...], which: int) -> None:
        said, event, _, values = outcome
        known = self._known[which : which + 1]
        if said == OK and values is not None and pictures.same(values, known):  # type: ignore[arg-type]
            self.events[str(event)] += 1
        else:
            self.failed.append(f"{said} {values}")


def logged(folder: Path) -> tuple[Counter[str], Counter[str]]:
    """How often each event is in the log; and how many each worker has written."""
    events, writers = Counter[str](), Counter[str]()
    for batch in Reader(folder / "events", "test").batches(limit_bytes=2**30):
        for entry in map(decode, batch.payloads):
            if isinstance(entry, Event):
                events[entry.id] += 1
                writers[entry.id[:20]] += 1  # the mark of the process that gave the id
    return events, writers


def test_several_workers_ended_under_load_answer_every_request_and_log_it_once(
    tmp_path: Path, serve: Callable[..., Service], record_property: Callable[[str, object], None]
) -> None:
    store = pictures.make_store(tmp_path / "store", 1, SIDE)
    server = serve("--workers", str(WORKERS), drain_seconds=DRAIN_SECONDS)

    async def load() -> float:
        callers = Callers(server, store)
        asking = [asyncio.create_task(callers.over_rest(number)) for number in range(CALLERS)]
        asking += [asyncio.create_task(callers.over_grpc(number)) for number in range(CALLERS)]
        asking.append(asyncio.create_task(callers.ask_for_readiness()))
        async with asyncio.timeout(60):
            while callers.events.total() < ANSWERS:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.01)
        before, began = callers.events.total(), time.monotonic()
        assert await asyncio.to_thread(server.stop) == 0
        took = time.monotonic() - began
        await asyncio.gather(*asking)
        assert not callers.failed
        assert (callers.readiness[0], callers.readiness[-1], set(callers.readiness)) == (200, 503, {200, 503})
        assert callers.events.total() > before, "the signal came when nobody asked"
        events, writers = logged(tmp_path)
        assert events == callers.events
        assert len(writers) == WORKERS, "one worker had all of the load"
        record_property("ended", {"answers": before, "after the signal": callers.events.total() - before, "s": took})
        return took

    assert uvloop.run(load()) < DRAIN_SECONDS
    assert "Traceback" not in server.log.read_text()
