"""How calls over gRPC end: with the server, with their callers' patience, and by their hanging up."""

from __future__ import annotations

import threading
import time as real
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from serving.grpc import server as servers
from serving.proto import open_inference_grpc_pb2 as proto
from serving.proto.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub
from tests.unit.serving.grpc_house import House, fails, refused, request, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.store import Store


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """The usual settings, small limits."""
    made = House(store, tmp_path)
    yield made
    made.close()


def test_a_call_in_flight_ends_before_the_server_does(house: House) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slowly(run: Any, inputs: Any) -> Any:
        began.set()
        go_on.wait(20)
        return run(inputs)

    house.runs_by(slowly)
    answers: list[Any] = []
    caller = threading.Thread(target=lambda: answers.append(house.stub.ModelInfer(request())))
    caller.start()
    assert began.wait(20)
    ending = threading.Thread(target=house.server.stop, args=(20.0,))
    ending.start()
    with grpc.insecure_channel(house.address, options=[("grpc.use_local_subchannel_pool", 1)]) as late:
        stub = GRPCInferenceServiceStub(late)
        until(lambda: fails(lambda: stub.ServerLive(proto.ServerLiveRequest(), timeout=20)))
    assert ending.is_alive()
    go_on.set()
    ending.join(20)
    caller.join(20)
    assert not ending.is_alive()
    assert answers[0].model_version == "1"


def test_no_call_of_callers_that_wait_for_answers_fails_when_the_server_ends(house: House) -> None:
    failed: list[str] = []
    answered = [0] * 8

    def call_on(number: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(house.address, options=options) as channel:
            stub = GRPCInferenceServiceStub(channel)
            while not failed:
                try:
                    stub.ModelInfer(request())
                except grpc.RpcError as error:
                    told: Any = error
                    if "onnect" not in told.details():  # once it has gone, nobody is there to connect to
                        failed.append(told.details())
                    return
                answered[number] += 1

    callers = [threading.Thread(target=call_on, args=(number,)) for number in range(len(answered))]
    for caller in callers:
        caller.start()
    until(lambda: min(answered) > 5)
    house.server.stop(20.0)
    for caller in callers:
        caller.join(20)
    assert failed == []
    assert [event.status for event in house.events()] == ["ok"] * sum(answered)


def test_who_hangs_up_or_has_no_time_left_leaves_the_queue(store: Store, tmp_path: Path) -> None:
    house, go_on = House(store, tmp_path, stall_seconds=60), threading.Event()

    def slowly(run: Any, inputs: Any) -> Any:
        go_on.wait(20)
        return run(inputs)

    fake = house.runs_by(slowly)
    first = threading.Thread(target=house.stub.ModelInfer, args=(request(),))
    first.start()
    until(lambda: fake.runs == 1)
    gone: Any = house.stub.ModelInfer.future(request())  # type: ignore[attr-defined]
    until(lambda: house.dataplane.queued_rows() == 1)
    gone.cancel()
    until(lambda: house.dataplane.queued_rows() == 0)
    assert refused(lambda: house.stub.ModelInfer(request(), timeout=0.2))[0] == grpc.StatusCode.DEADLINE_EXCEEDED
    until(lambda: house.dataplane.queued_rows() == 0)
    go_on.set()
    first.join(20)
    assert fake.runs == 1
    assert [event.status for event in house.events()] == ["cancelled", "deadline_exceeded", "ok"]
    house.close()


@pytest.mark.parametrize(("busy", "looks"), [(3, 3 + servers.QUIET_LOOKS), (10**6, 100)])
def test_answers_are_held_back_until_no_more_calls_come_but_not_for_ever(
    house: House, monkeypatch: pytest.MonkeyPatch, busy: int, looks: int
) -> None:
    """A caller that was slow to ask again would be broken off, were the server to go meanwhile."""
    threads = house.server._threads
    assert threads is not None
    now = [0.0]

    def sleep(seconds: float) -> None:
        assert not house.server._guard.answers()
        now[0] += seconds
        threads.calls += len(slept) < busy
        slept.append(seconds)

    slept: list[float] = []
    monkeypatch.setattr(servers, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    house.server.stop(20.0)
    assert len(slept) == pytest.approx(looks, abs=1)
    assert house.server._guard.answers()


def test_no_answer_is_held_back_until_its_caller_has_no_time_left(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of callers that do not wait for answers before they ask again more calls come all the time."""
    threads = house.server._threads
    assert threads is not None

    def sleep(seconds: float) -> None:
        threads.calls += 1
        real.sleep(seconds)

    monkeypatch.setattr(servers, "HELD_SECONDS", 15.0)
    monkeypatch.setattr(servers, "time", SimpleNamespace(monotonic=real.monotonic, sleep=sleep))
    house.stub.ModelInfer(request())
    ending = threading.Thread(target=house.server.stop, args=(20.0,))
    ending.start()
    until(lambda: not house.server._guard.answers())
    asked = [
        house.stub.ModelInfer.future(request(), timeout=6),  # type: ignore[attr-defined]
        house.stub.ServerLive.future(proto.ServerLiveRequest(), timeout=6),  # type: ignore[attr-defined]
    ]
    assert asked[0].result().model_version == "1"
    assert asked[1].result().live
    ending.join(20)
    assert not ending.is_alive()
