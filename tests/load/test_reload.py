"""Many reloads under load over both protocols: no request fails, each answer is one version's own, memory stays."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import cycle
from typing import TYPE_CHECKING

import pytest
import uvloop

from tests.load import pictures
from tests.load.callers import OK, Grpc, Rest
from tests.load.resident import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from examples.bikeshare.demo.processes import Service
    from staytrue.store import Store

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SIDE, VERSIONS, CALLERS = 32, 3, 4
LOOKS = 5
"""One after each reload; the least of so many counts, as one may fall into a moment in which two versions are there."""
GROWTH = 1.05
RELOAD_SECONDS = 20.0


class Callers:
    """Ask again at once, over kept connections of both protocols, and check each answer by its version."""

    def __init__(self, server: Service, store: Store) -> None:
        x = pictures.rows(SIDE)
        self._known = pictures.answers(store, x)
        self._asked = [(pictures.rest(row[None]), pictures.rpc(row[None])) for row in x]
        self._rest, self._rpc = Rest(server), Grpc(server)
        self.answered, self.failed = Counter[str](), list[str]()
        """By version; and what was told instead, or was another's answer."""
        self.ending = False

    async def call(self, number: int) -> None:
        """One of them, until the end."""
        for which in cycle(range(len(self._asked))):
            if self.ending:
                return
            request, message = self._asked[which]
            asking = (
                self._rest.ask(request, pictures.OUTPUTS) if number % 2 else self._rpc.ask(message, pictures.OUTPUTS)
            )
            said, _, version, values = await asking
            if said == OK and values is not None and pictures.same(values, self._known[version][which : which + 1]):
                self.answered[version] += 1
            else:
                self.failed.append(f"{said} {version} {values}")

    async def close(self) -> None:
        """Hang up."""
        await self._rest.close()
        await self._rpc.close()


@pytest.mark.parametrize(("reloads", "before"), [(20, 10), pytest.param(200, 20, marks=pytest.mark.soak)])
def test_reloads_under_load_fail_no_request_and_keep_memory(
    tmp_path: Path,
    serve: Callable[..., Service],
    reloads: int,
    before: int,
    record_property: Callable[[str, object], None],
) -> None:
    store = pictures.make_store(tmp_path / "store", VERSIONS, SIDE)
    server = serve(reload_seconds=0.02)
    resident: list[int] = []

    async def load() -> Callers:
        callers = Callers(server, store)
        asking = [asyncio.create_task(callers.call(number)) for number in range(CALLERS)]
        try:
            for reload in range(reloads):
                version = str(1 + (reload + 1) % VERSIONS)
                answered = callers.answered[version]
                await asyncio.to_thread(store.promote, pictures.NAME, version, reason="test")
                async with asyncio.timeout(RELOAD_SECONDS):
                    while callers.answered[version] < answered + CALLERS and not callers.failed:  # noqa: ASYNC110 - of the server
                        await asyncio.sleep(0.005)
                resident.append(resident_bytes(server))
        finally:
            callers.ending = True
            await asyncio.gather(*asking)
            await callers.close()
        return callers

    callers = uvloop.run(load())
    warm, end = min(resident[before - LOOKS : before]), min(resident[-LOOKS:])
    figures = {"answers": callers.answered.total(), "warm MB": round(warm / 1e6), "end MB": round(end / 1e6)}
    record_property(f"{reloads} reloads", figures | {"growth %": round(100 * (end / warm - 1), 2)})
    assert not callers.failed
    assert set(callers.answered) == set(store.versions(pictures.NAME))
    assert end <= GROWTH * warm, [round(seen / 1e6) for seen in resident]
    assert server.stop() == 0
    assert server.log.read_text().count(" answers (") == 1 + reloads
    assert "Traceback" not in server.log.read_text()
