"""Calls that wait for a thread or a load: past their deadline or hung up they end there, and are never read."""

from __future__ import annotations

import re
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import pytest

from serving import dataplane as dataplanes
from serving.calls import Call, Request
from serving.endings import nothing
from serving.grpc.inference import SMALL_BYTES, Inference
from serving.lobby import Lobby
from serving.rest import bodies
from staytrue.errors import Cancelled, DeadlineExceeded, StaytrueError
from tests.unit.serving.house import House
from tests.unit.serving.test_dataplane import House as Bare
from tests.unit.serving.test_dataplane import request
from tests.unit.serving.test_ending import Rig
from tests.unit.serving.test_lane import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from serving.dataplane import Dataplane
    from staytrue.store import Store

INFER = "/v2/models/tiny/infer"
LONG = b"[" + b" " * 70_000


class Busy:
    """Threads that are all busy until they are let."""

    def __init__(self, threads: ThreadPoolExecutor, count: int) -> None:
        self.free, begun = threading.Event(), threading.Semaphore(0)

        def work() -> None:
            begun.release()
            assert self.free.wait(20)

        for _ in range(count):
            threads.submit(work)
        for _ in range(count):
            assert begun.acquire(timeout=10)


class Beside:
    """A request that is to be read by a helper."""

    def __init__(self, dataplane: Dataplane, **how: Any) -> None:
        self.read: list[int] = []
        self.told: list[Any] = []
        good = request(1.0, 1, **how)

        def reading(*given: Any) -> Any:
            self.read.append(1)
            return good.read(*given)

        asked = msgspec.structs.replace(good, read=reading)
        self.call = dataplane.submit(asked, lambda call: self.told.append(call.outcome), LONG, beside=True)


@pytest.fixture
def bare(store: Store, tmp_path: Path) -> Iterator[Bare]:
    """A dataplane."""
    made = Bare(store, tmp_path)
    yield made
    made.close()


def test_past_its_deadline_a_call_that_waits_for_a_helper_is_told_so_in_time_and_never_read(bare: Bare) -> None:
    busy = Busy(bare.dataplane.helpers, dataplanes.HELPERS)
    began = time.monotonic()
    late = Beside(bare.dataplane, deadline=began + 0.2)
    other = Beside(bare.dataplane, deadline=began + 60)
    until(lambda: bool(late.told))
    assert 0.2 <= time.monotonic() - began < 5.0
    assert isinstance(late.told[0], DeadlineExceeded)
    told = re.search(r"an answer within (\S+) s, got none yet: it was dropped", str(late.told[0]))
    assert told  # What was left of its time when it was queued, a little after `began`.
    assert 0.0 <= float(told[1]) <= 0.2
    assert late.call.data == b""
    busy.free.set()
    until(lambda: bool(other.told))
    assert other.told[0].body == [2.0]
    assert (late.read, other.read, len(late.told)) == ([], [1], 1)
    assert [(event.status, event.model) for event in bare.events()] == [("deadline_exceeded", "tiny"), ("ok", "tiny")]
    assert bare.dataplane.in_flight == 0


def test_a_caller_that_hangs_up_while_it_waits_for_a_helper_is_ended_at_once_and_never_read(bare: Bare) -> None:
    busy = Busy(bare.dataplane.helpers, dataplanes.HELPERS)
    gone = [Beside(bare.dataplane) for _ in range(100)]
    for each in gone:
        bare.dataplane.cancel(each.call, Cancelled("request", "the caller hung up"))
        bare.dataplane.cancel(each.call, Cancelled("request", "the caller hung up"))
    assert all(len(each.told) == 1 and isinstance(each.told[0], Cancelled) and each.call.data == b"" for each in gone)
    assert bare.dataplane.in_flight == 0
    busy.free.set()
    last = Beside(bare.dataplane)
    until(lambda: bool(last.told))
    assert not any(each.read for each in gone)


def test_calls_that_are_cancelled_in_the_moment_a_helper_takes_them_end_once(bare: Bare) -> None:
    calls = []
    for turn in range(300):
        each = Beside(bare.dataplane, deadline=time.monotonic() + (0.05 if turn % 3 else 60))
        if turn % 2:
            bare.dataplane.cancel(each.call, Cancelled("request", "the caller hung up"))
        calls.append(each)
    until(lambda: bare.dataplane.in_flight == 0)
    assert [len(each.told) for each in calls] == [1] * len(calls)
    assert len(bare.events()) == len(calls)


def test_a_deadline_holds_while_the_version_that_was_named_loads(
    store: Store, tmp_path: Path, publishing: Callable[..., str]
) -> None:
    rig = Rig(store, tmp_path)
    rig.free.clear()
    late = Beside(rig.dataplane, version=publishing(3.0), deadline=time.monotonic() + 0.3)
    assert rig.begun.wait(10)
    until(lambda: bool(late.told))
    assert isinstance(late.told[0], DeadlineExceeded)
    rig.free.set()
    until(lambda: not rig.registry.loading())
    assert rig.close() < 5.0
    assert (late.read, len(late.told)) == ([], 1)


def test_whoever_takes_a_call_out_is_alone_with_it() -> None:
    lobby, taken = Lobby(), list[int]()
    asked = Request(model="m", version=None, protocol="test", read=nothing, write=nothing)
    calls = [Call(str(number), 0.0, asked, nothing) for number in range(200)]
    for call in calls:
        call.deadline = 0.0
        lobby.enter(call)

    def take(place: int) -> None:
        if place % 2:
            taken.append(len(lobby.late(time.monotonic())))
        for call in calls:
            taken.append(lobby.leave(call))

    threads = [threading.Thread(target=take, args=(place,)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == len(calls)
    assert lobby.clear() == []


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """A server over HTTP."""
    made = House(store, tmp_path)
    yield made
    made.close()


def test_over_http_a_long_body_that_waits_has_its_504_in_time(house: House) -> None:
    busy = Busy(house.dataplane.helpers, dataplanes.HELPERS)
    began = time.monotonic()
    told = house.client.post(INFER, content=LONG, headers={"Request-Timeout": "0.3"})
    assert (told.status_code, told.json()["code"]) == (504, "deadline_exceeded")
    assert time.monotonic() - began < 5.0
    busy.free.set()
    assert [event.status for event in house.events()] == ["deadline_exceeded"]


def test_over_http_a_caller_of_a_long_body_that_hangs_up_is_forgotten_at_once(house: House) -> None:
    busy = Busy(house.dataplane.helpers, dataplanes.HELPERS)
    host, port = house.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as caller:
        caller.sendall(
            b"POST %b HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (INFER.encode(), len(LONG)) + LONG
        )
        until(lambda: house.dataplane.in_flight == 1)
    until(lambda: house.dataplane.in_flight == 0)
    assert [event.status for event in house.events()] == ["cancelled"]
    busy.free.set()


def test_the_answer_of_a_caller_that_hung_up_is_not_packed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[int] = []

    def packing(sent: Any, _: bytes) -> Any:
        packed.append(1)
        return sent

    monkeypatch.setattr(bodies, "PACKED_FROM", 1)
    monkeypatch.setattr(bodies, "packed", packing)
    tensors = [
        {"name": "number", "datatype": "FP32", "shape": [1, 1], "data": [1.5]},
        {"name": "kind", "datatype": "BYTES", "shape": [1, 1], "data": ["b"]},
        {"name": "count", "datatype": "INT64", "shape": [1, 1], "data": [10]},
    ]
    body = orjson.dumps({"inputs": tensors})
    busy = Busy(house.dataplane.helpers, dataplanes.HELPERS)
    host, port = house.address.removeprefix("http://").split(":")
    head = b"POST %b HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection((host, int(port))) as caller:
        caller.sendall(head % (INFER.encode(), len(body)) + body)
        until(lambda: house.dataplane.answered == 1)
        assert house.server.answering == 1
    until(lambda: house.server.answering == 0)
    busy.free.set()
    told = house.client.get("/v2/models/tiny")  # by a helper, after it
    assert told.status_code == 200
    assert packed == []


class Context:
    """A gRPC call of so many seconds, or one whose caller has gone."""

    def __init__(self, left: float, *, active: bool) -> None:
        self.time_remaining, self.is_active = (lambda: left), (lambda: active)


@pytest.mark.parametrize(("left", "active", "kind"), [(-1.0, True, DeadlineExceeded), (9.0, False, Cancelled)])
def test_a_large_message_that_nobody_waits_for_any_more_is_not_read_over_grpc(
    house: House, left: float, active: bool, kind: type[StaytrueError]
) -> None:
    inference = Inference(house.dataplane, house.settings, None, _Inflight())  # type: ignore[arg-type]
    opened: list[bytes] = []
    context: Any = Context(left, active=active)
    with pytest.raises(kind):
        inference.ask(bytes(SMALL_BYTES + 1), {}, context, opened.append)  # type: ignore[arg-type]
    assert (opened, inference.held) == ([], 0)
    assert [event.status for event in house.events()] == [kind.code.value]


class _Inflight:
    """Has room for all."""

    def join(self, _: object) -> None:
        """Nobody is counted."""

    def full(self, _: int) -> bool:
        """There is room."""
        return False
