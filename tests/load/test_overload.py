"""Ten times what the server can do: each request has its answer or a word on when to come again, memory is bounded."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pytest
import uvloop

from tests.load import pictures
from tests.load.callers import FULL, LATE, OK, PATIENCE_SECONDS, Grpc, Outcome, Rest
from tests.load.resident import watched

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from examples.bikeshare.demo.processes import Service
    from staytrue.store import Store

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(240)]

TIMES = 10
CONCURRENCY, BATCH_ROWS = 64, 8
"""ONNX Runtime keeps what its largest runs needed, in steps; with small batches that is little of what is seen."""
INFLIGHT_BYTES, QUEUE_BYTES = 8_000_000, 6_000_000
HELD_TWICE_BYTES = 2 * INFLIGHT_BYTES
"""All protocols together may hold the limit's worth of bodies, and of each a copy: for a batch, or an event."""
MARGIN_BYTES = 64_000_000
"""For buffers of sockets and of gRPC, and for what the allocator keeps."""
GROWTH = 1.05
"""In the second half of a minute. Seconds are too few to say so: the highest of a few looks differ by what is held."""
USUAL_ANSWERS = 2 * CONCURRENCY
"""Before what is resident counts as usual, however slow the machine is: the first ones still make room for more."""
SHORT_SECONDS = 0.25
"""What one of four callers allows for its answer: less than the queue is long."""
TICK_SECONDS, AT_ONCE_SECONDS = 0.002, 1.0


@dataclass(frozen=True)
class Kind:
    """What is asked."""

    side: int
    rows: int


@dataclass(frozen=True)
class Spell:
    """How long."""

    measured_seconds: float
    seconds: float
    settles: bool = False
    """Whether it lasts until the allocator has what it needs, so that its halves can be compared."""


KINDS = {"small": Kind(side=64, rows=1), "large": Kind(side=128, rows=2)}
"""Bodies of 49 KB, of which the number is bounded first, and of 393 KB, of which the bytes are."""
FORMS = [
    pytest.param("small", Spell(1.0, 5.0), id="small, brief"),
    pytest.param("large", Spell(0.7, 2.0), id="large, brief"),
    pytest.param("small", Spell(5.0, 60.0, settles=True), id="small, a minute", marks=pytest.mark.soak),
    pytest.param("large", Spell(5.0, 60.0, settles=True), id="large, a minute", marks=pytest.mark.soak),
]


class Callers:
    """Ask for pictures over both protocols in turn, and check what they are told."""

    def __init__(self, server: Service, kind: Kind, store: Store) -> None:
        x = pictures.rows(kind.side)
        turns = [np.arange(first, first + kind.rows) % len(x) for first in range(len(x))]
        known = pictures.answers(store, x)["1"]
        self._known = [known[turn] for turn in turns]
        self._messages = [pictures.rpc(x[turn]) for turn in turns]
        self._requests = [pictures.rest(x[turn]) for turn in turns]
        self._brief = [pictures.rest(x[turn], Request_Timeout=str(SHORT_SECONDS)) for turn in turns]
        self._rest, self._rpc = Rest(server), Grpc(server)

    async def ask(self, number: int, *, short: bool = False) -> Outcome:
        """One request; the outcome says so where the answer is another's."""
        protocol, which = number % 2, number // 2 % len(self._known)
        seconds = SHORT_SECONDS if short else PATIENCE_SECONDS
        if protocol == 0:
            requests = self._brief if short else self._requests
            outcome = await self._rest.ask(requests[which], pictures.OUTPUTS, seconds)
        else:
            outcome = await self._rpc.ask(self._messages[which], pictures.OUTPUTS, seconds)
        right = outcome.values is None or pictures.same(outcome.values, self._known[which])
        return outcome if right else Outcome(f"another's answer: {outcome}")

    async def in_turn(self, callers: int, seconds: float) -> float:
        """Each asks again once it has its answer; answers a second: what the server can do."""
        said, end = Counter[str](), time.monotonic() + seconds

        async def call(number: int) -> None:
            while time.monotonic() < end or said[OK] < USUAL_ANSWERS:
                said[(await self.ask(number)).said] += 1

        began = time.monotonic()
        await asyncio.gather(*map(call, range(callers)))
        assert set(said) <= {OK, FULL}, said
        return said[OK] / (time.monotonic() - began)

    async def offered(self, rate: float, seconds: float) -> Counter[str]:
        """So many a second, whether others have had their answers or not; what all were told, late ones too."""
        asked: set[asyncio.Task[Outcome]] = set()
        began = time.monotonic()
        for number in range(int(rate * seconds)):
            while time.monotonic() - began < number / rate:  # noqa: ASYNC110 - a clock is waited for
                await asyncio.sleep(TICK_SECONDS)
            # Of either protocol every fourth: what is asked after it goes by other numbers.
            asked.add(asyncio.create_task(self.ask(number, short=number // 2 % 4 == 0)))
        assert time.monotonic() - began < 1.2 * seconds, "the callers are too slow to offer as much"
        return Counter([outcome.said for outcome in await asyncio.gather(*asked)])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._rest.close()
        await self._rpc.close()


@pytest.mark.parametrize(("kind", "spell"), FORMS)
def test_ten_times_the_load_is_answered_or_told_to_come_again_in_bounded_memory(
    tmp_path: Path,
    serve: Callable[..., Service],
    kind: str,
    spell: Spell,
    record_property: Callable[[str, object], None],
) -> None:
    store = pictures.make_store(tmp_path / "store", 1, KINDS[kind].side)
    settings = {"max_concurrency": CONCURRENCY, "max_inflight_bytes": INFLIGHT_BYTES, "queue_bytes": QUEUE_BYTES}
    server = serve(max_batch_rows=BATCH_ROWS, **settings)

    async def load() -> None:
        async with Callers(server, KINDS[kind], store) as callers:
            async with watched(server) as usual:
                rate = await callers.in_turn(CONCURRENCY, spell.measured_seconds)
            async with watched(server) as seen:
                began = time.monotonic()
                said = await callers.offered(TIMES * rate, spell.seconds)
                took = time.monotonic() - began
            half = len(seen) // 2
            first, second = max(seen[:half]), max(seen[half:])
            figures = {
                "answers a second": round(rate, 1),
                "told at ten times that": dict(said),
                "resident MB, usual": round(max(usual) / 1e6),
                "first half": round(first / 1e6),
                "second half": round(second / 1e6),
            }
            record_property(f"overload, {kind} bodies", figures)
            assert set(said) <= {OK, FULL, LATE}, figures
            assert said[FULL] > 0, figures
            assert said[OK] > 0.25 * rate * took, figures
            assert max(first, second) <= max(usual) + HELD_TWICE_BYTES + MARGIN_BYTES, figures
            assert not spell.settles or second <= GROWTH * max(first, *usual), figures
            for number in (0, 1):
                began = time.monotonic()
                assert (await callers.ask(number)).said == OK
                assert time.monotonic() - began < AT_ONCE_SECONDS

    uvloop.run(load())
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()
