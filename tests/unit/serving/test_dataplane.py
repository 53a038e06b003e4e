"""The dataplane without a protocol: what it takes for time in the queue, and what it does while it is full."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from serving.dataplane import Dataplane, Request
from serving.registry import Registry
from staytrue.errors import DeadlineExceeded, InvalidInput, Overloaded
from staytrue.eventlog import Reader, Writer
from staytrue.events import Event, decode
from staytrue.sections import ServingSection
from staytrue.tensors import Given, Parsed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.store import Store


class Clock:
    """Stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The dataplane's clock."""
    return Clock()


@pytest.fixture
def dataplane(store: Store, tmp_path: Path, clock: Clock) -> Iterator[Dataplane]:
    """Two requests at most in the house, one thread to run them."""
    registry, writer = Registry(store, []), Writer(tmp_path / "events")
    registry.refresh()
    made = Dataplane(registry, writer, ServingSection(max_concurrency=2), clock=clock)
    made._pool.shutdown()
    made._pool = ThreadPoolExecutor(1)
    yield made
    made.close()
    registry.close()
    writer.close()


def request(row: dict[str, Any]) -> Request:
    """A good request."""
    types = {"number": "FP32", "kind": "BYTES", "count": "INT64"}
    parsed = Parsed([Given(name, types[name], array) for name, array in row.items()])
    return Request("tiny", None, "test", read=lambda _: parsed, write=lambda answer: answer.event_id.encode())


def events(folder: Path) -> list[Event]:
    """What was logged."""
    found = [decode(payload) for batch in Reader(folder / "events", "test").batches() for payload in batch.payloads]
    return [entry for entry in found if isinstance(entry, Event)]


def test_a_wait_for_a_free_thread_is_time_in_the_queue_and_the_event_is_dated_by_its_arrival(
    dataplane: Dataplane, clock: Clock, tmp_path: Path, row: dict[str, Any]
) -> None:
    free = threading.Event()
    dataplane._pool.submit(free.wait, 10)

    async def wait_five_seconds() -> None:
        call = asyncio.create_task(dataplane.submit(request(row)))
        await asyncio.sleep(0)  # it is in the queue then
        clock.now += 5.0
        free.set()
        await call

    asyncio.run(wait_five_seconds())
    (event,) = events(tmp_path)
    assert (event.time, event.recorded) == (1000.0, 1005.0)
    assert event.queue_seconds == pytest.approx(5.0, abs=0.5)  # less the run, by a clock that moves


def test_beyond_its_limit_the_house_refuses_at_once_and_holds_its_limit_again_when_calls_have_ended(
    dataplane: Dataplane, tmp_path: Path, row: dict[str, Any]
) -> None:
    free = threading.Event()
    dataplane._pool.submit(free.wait, 10)

    async def five() -> None:
        calls = [asyncio.create_task(dataplane.submit(request(row))) for _ in range(2)]
        await asyncio.sleep(0)
        for _ in range(3):
            with pytest.raises(Overloaded, match="has 2 requests in the house"):
                await dataplane.submit(request(row))
        free.set()
        await asyncio.gather(*calls)
        await dataplane.submit(request(row))

    asyncio.run(five())
    assert dataplane.in_flight == 0
    assert [event.status for event in events(tmp_path)] == ["overloaded"] * 3 + ["ok"] * 3


def test_beside_torchserve_a_stuck_model_leaves_threads_to_others_and_a_wait_counts_towards_the_deadline(
    store: Store, tmp_path: Path, clock: Clock, row: dict[str, Any]
) -> None:
    registry, writer = Registry(store, []), Writer(tmp_path / "events")
    registry.refresh()
    settings = ServingSection(runtime="torchserve", max_concurrency=50)
    made = Dataplane(registry, writer, settings, clock=clock)
    assert made._pool._max_workers == 50
    with pytest.raises(DeadlineExceeded, match=r"expected an answer within 30 s, got 31\.0 s"):
        made.infer(request(row), arrived=clock() - 31)
    made.infer(request(row), arrived=clock() - 29)
    assert [event.status for event in events(tmp_path)] == ["deadline_exceeded", "ok"]
    made.close()
    registry.close()
    writer.close()


def test_what_is_no_request_is_unpacked_beside_the_loop_and_leaves_an_event(
    dataplane: Dataplane, tmp_path: Path
) -> None:
    threads: list[str] = []

    def broken() -> Request:
        threads.append(threading.current_thread().name)
        raise InvalidInput("message", "is none")

    with pytest.raises(InvalidInput, match="is none"):
        asyncio.run(dataplane.take("test", "", broken))
    assert threads != [threading.current_thread().name]
    assert [event.status for event in events(tmp_path)] == ["invalid_input"]
    assert dataplane.in_flight == 0
