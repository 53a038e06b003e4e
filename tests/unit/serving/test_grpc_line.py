"""Messages that gRPC receives at once are few: what callers send half takes a bounded memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from serving.grpc import arrivals
from serving.grpc.arrivals import Waiting
from serving.grpc.server import SERVICE
from serving.grpc.shortcut import LEAST_RECEIVED
from tests.unit.serving.grpc_house import House, refused, request, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from staytrue.store import Store


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """The usual settings, small limits."""
    made = House(store, tmp_path)
    yield made
    made.close()


@pytest.fixture
def begin(house: House) -> Iterator[Callable[[], Any]]:
    """Begins a call whose message does not come before the test has ended."""
    ends = threading.Event()
    method: Any = house.channel.stream_unary(f"/{SERVICE}/ModelInfer")

    def never() -> Iterator[bytes]:
        ends.wait(20)
        yield from ()

    yield lambda: method.future(never(), timeout=20)
    ends.set()


def test_calls_in_line_are_answered_once_those_before_them_have_taken_too_long(
    house: House, begin: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "RECEIVE_SECONDS", 0.3)
    assert house.server._threads
    waiting = house.server._threads._waiting = Waiting(1000, 60.0, 2)
    slow = [begin() for _ in range(5)]
    until(lambda: len(waiting) == 5)
    assert len(waiting.line) == 3
    stub: Any = house.stub
    assert stub.ModelInfer(request(), timeout=20).model_version == "1"
    for call in slow[:4]:
        status, said, _ = refused(call.result)
        assert status == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert said.startswith("server: 2 messages are received, the limit, and others wait")
    assert not slow[4].done()  # nobody waits for its place
    assert [event.status for event in house.events()] == ["ok"]


def test_nobody_is_hurried_while_there_is_no_line(
    house: House, begin: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "RECEIVE_SECONDS", 0.0)
    assert house.server._threads
    waiting = house.server._threads._waiting = Waiting(1000, 60.0, 2)
    slow = begin()
    until(lambda: len(waiting) == 1)
    for _ in range(20):
        assert house.stub.ModelInfer(request()).model_version == "1"
    assert not slow.done()
    slow.cancel()
    until(lambda: len(waiting) == 0)


def test_calls_that_end_in_line_are_passed_over(house: House, begin: Callable[[], Any]) -> None:
    assert house.server._threads
    waiting = house.server._threads._waiting = Waiting(1000, 60.0, 1)
    first, second = begin(), begin()
    until(lambda: len(waiting.line) == 1)
    stub: Any = house.stub
    third = stub.ModelInfer.future(request(), timeout=20)
    until(lambda: len(waiting.line) == 2)
    second.cancel()
    first.cancel()
    assert third.result().model_version == "1"
    assert len(waiting.line) == 0


@pytest.mark.parametrize(("inflight", "received"), [(0, LEAST_RECEIVED), (100, 200)])
def test_so_many_are_received_as_hold_twice_what_all_requests_may(
    store: Store, tmp_path: Path, inflight: int, received: int
) -> None:
    house = House(store, tmp_path, max_body_bytes=100_000, max_inflight_bytes=max(100_000, inflight * 200_000))
    assert house.server._threads
    assert house.server._threads._waiting.line._most == received
    assert house.server._threads._strangers._most == min(32, max(LEAST_RECEIVED, inflight))
    house.close()
