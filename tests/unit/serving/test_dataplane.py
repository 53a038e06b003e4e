"""The dataplane without a protocol: time in the queue, deadlines, cancelling, and what it does while it is full."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from serving import endings
from serving.calls import Call, Request, Written
from serving.contract import Contract
from serving.dataplane import Dataplane
from serving.denials import Denials
from serving.endings import nothing
from serving.heartbeat import Pulse
from serving.registry import Registry
from serving.runtimes.fake import FakeMaker, FakeRuntime
from staytrue import segments
from staytrue.errors import (
    Cancelled,
    DeadlineExceeded,
    InvalidInput,
    Overloaded,
    StaytrueError,
    TooLarge,
    Unavailable,
)
from staytrue.eventlog import Writer
from staytrue.events import Event, decode, encode
from staytrue.readers import Reader
from staytrue.server import ServingSection
from staytrue.signature import Signature, TensorSpec
from staytrue.tensors import Given, Parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from serving.loading import Lane
    from serving.runtimes.base import Runtime
    from staytrue.bundle import Bundle
    from staytrue.store import Store

TYPES = {"number": "FP32", "kind": "BYTES", "count": "INT64"}


class House:
    """A dataplane whose model answers ``2 * number``, once it is let; and what its log holds."""

    def __init__(self, store: Store, folder: Path, **settings: Any) -> None:
        self.log, self.now = folder / "events", 1000.0
        self.free = threading.Event()
        self.free.set()
        self.running = threading.Event()
        self.runs: list[int] = []
        self.writer = Writer(self.log)
        make = FakeMaker(lambda *_: FakeRuntime(self._answer))
        self.registry = Registry(store, [], make, attach=self._attach)
        self.dataplane = Dataplane(self.registry, self.writer, ServingSection(**settings), clock=lambda: self.now)
        self.registry.refresh()
        self.runs.clear()
        self.running.clear()

    def _attach(self, bundle: Bundle, runtime: Runtime, row_seconds: float) -> Lane:
        return self.dataplane.attach(bundle, runtime, row_seconds)

    def _answer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        numbers = inputs["number"]
        self.runs.append(len(numbers))
        self.running.set()
        assert self.free.wait(60)
        if (numbers < 0).any():
            raise RuntimeError("poison")
        return {"total": numbers * np.float32(2)}

    def ask(self, number: float = 1.0, rows: int = 1, **how: Any) -> Asked:
        """Submit a request."""
        return Asked(self.dataplane, request(number, rows, **how))

    def events(self) -> list[Event]:
        """Everything logged so far."""
        found = [decode(payload) for batch in Reader(self.log, "test").batches() for payload in batch.payloads]
        return [entry for entry in found if isinstance(entry, Event)]

    def close(self) -> None:
        """End it."""
        self.free.set()
        self.dataplane.close()
        self.registry.close()
        self.writer.close()


class Asked:
    """A request on its way."""

    def __init__(self, dataplane: Dataplane, request: Request) -> None:
        self._told: list[Written | StaytrueError | None] = []
        self._ended = threading.Event()
        self.call = dataplane.submit(request, self._done)

    def _done(self, call: Call) -> None:
        self._told.append(call.outcome)
        self._ended.set()

    def told(self) -> Any:
        """The answer's totals, or the error; there is exactly one."""
        assert self._ended.wait(20)
        (told,) = self._told
        return told.body if isinstance(told, Written) else told


def request(number: float, rows: int, version: str | None = None, **how: Any) -> Request:
    """A good request."""
    arrays: dict[str, NDArray[Any]] = {
        "number": np.full((rows, 1), number, np.float32),
        "kind": np.full((rows, 1), "a", object),
        "count": np.zeros((rows, 1), np.int64),
    }
    parsed = Parsed([Given(name, TYPES[name], array) for name, array in arrays.items()])
    return Request(
        "tiny",
        version,
        "test",
        read=lambda *_: parsed,
        write=lambda answer: answer.outputs[0][1].ravel().tolist(),
        **how,
    )


@pytest.fixture
def make(store: Store, tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Make dataplanes; they are ended with the test."""
    made: list[House] = []

    def maker(**settings: Any) -> House:
        made.append(House(store, tmp_path / str(len(made)), **settings))
        return made[-1]

    yield maker
    for house in made:
        house.close()


def test_a_wait_for_the_model_is_time_in_the_queue_and_the_event_is_dated_by_its_arrival(
    make: Callable[..., House],
) -> None:
    house = make()
    house.free.clear()
    first, second = house.ask(), house.ask()
    assert house.running.wait(10)
    house.now += 5.0
    house.free.set()
    assert (first.told(), second.told()) == ([2.0], [2.0])
    events = house.events()
    assert [(event.time, event.recorded) for event in events] == [(1000.0, 1005.0)] * 2
    assert all(event.queue_seconds == pytest.approx(5.0, abs=0.5) for event in events)  # less the run, which was short


def test_beyond_its_limit_the_house_refuses_at_once_and_holds_its_limit_again_when_calls_have_ended(
    make: Callable[..., House],
) -> None:
    house = make(max_concurrency=2)
    house.free.clear()
    asked = [house.ask() for _ in range(2)]
    for _ in range(3):
        refused = house.ask().told()
        assert isinstance(refused, Overloaded)
        assert "has 2 requests in the house" in str(refused)
    house.free.set()
    assert [one.told() for one in asked] == [[2.0], [2.0]]
    assert house.ask().told() == [2.0]
    assert house.dataplane.in_flight == 0
    assert [event.status for event in house.events()] == ["overloaded"] * 3 + ["ok"] * 3


def test_requests_that_wait_are_merged_up_to_the_limit_and_each_gets_its_own_rows(make: Callable[..., House]) -> None:
    house = make(max_batch_rows=8)
    house.free.clear()
    first = house.ask(0.0)
    assert house.running.wait(10)
    asked = [house.ask(float(place), rows=1 + place % 3) for place in range(9)]
    house.free.set()
    assert first.told() == [0.0]
    assert [one.told() for one in asked] == [[2.0 * place] * (1 + place % 3) for place in range(9)]
    assert house.runs == [1, 7, 8, 3]  # in order of arrival, none split
    assert {event.rows for event in house.events()} == {1, 2, 3}


def test_of_requests_that_ended_together_it_is_said_once_that_callers_were_told(make: Callable[..., House]) -> None:
    house = make()
    told: list[tuple[int, int]] = []
    asked: list[Asked] = []

    def after() -> None:
        told.append((house.dataplane.answered, sum(one.call.outcome is not None for one in asked)))

    house.dataplane.after_telling.append(after)
    house.free.clear()
    asked.append(house.ask())
    assert house.running.wait(10)
    asked += [house.ask() for _ in range(3)]
    house.free.set()
    for one in asked:
        one.told()
    house.dataplane.close()
    assert told == [(1, 1), (4, 4)]


def test_a_poisoned_request_fails_alone_and_the_others_of_its_batch_are_answered(make: Callable[..., House]) -> None:
    house = make()
    house.free.clear()
    house.ask()
    assert house.running.wait(10)
    asked = [house.ask(number) for number in (1.0, -1.0, 2.0)]
    house.free.set()
    assert asked[0].told() == [2.0]
    assert "failed; request" in str(asked[1].told())
    assert "poison" not in str(asked[1].told())
    assert asked[2].told() == [4.0]
    assert house.ask(3.0).told() == [6.0]


def test_a_full_queue_refuses_and_what_is_in_it_is_answered(make: Callable[..., House]) -> None:
    house = make(queue_rows=4)
    house.free.clear()
    house.ask()
    assert house.running.wait(10)
    asked = [house.ask() for _ in range(4)]
    refused = house.ask().told()
    assert isinstance(refused, Overloaded)
    assert "its queue is full, got 4 rows" in str(refused)
    house.free.set()
    assert [one.told() for one in asked] == [[2.0]] * 4


def test_past_its_deadline_a_request_is_told_so_in_time_and_never_runs(make: Callable[..., House]) -> None:
    house = make()
    house.free.clear()
    house.ask()
    assert house.running.wait(10)
    late = house.ask(7.0, deadline=time.monotonic() + 0.2)
    assert isinstance(late.told(), DeadlineExceeded)  # while that before it still runs
    house.free.set()
    assert house.ask().told() == [2.0]
    assert house.runs == [1, 1]
    assert isinstance(house.ask(deadline=time.monotonic() - 1).told(), DeadlineExceeded)


def test_ten_thousand_cancelled_requests_leave_the_queue_and_nothing_behind(make: Callable[..., House]) -> None:
    house = make(max_concurrency=50_000, queue_rows=100, stall_seconds=100)
    house.free.clear()
    first = house.ask()
    assert house.running.wait(10)
    for _ in range(10_000):
        asked = house.ask()
        house.dataplane.cancel(asked.call, Cancelled("request", "the caller hung up"))
        assert isinstance(asked.told(), Cancelled)
    assert (house.dataplane.queued_rows(), house.dataplane.in_flight) == (0, 1)
    house.free.set()
    assert first.told() == [2.0]
    assert house.ask().told() == [2.0]
    assert house.runs == [1, 1]


def test_a_run_that_does_not_come_back_makes_it_not_ready_and_all_are_told_until_it_does(
    make: Callable[..., House],
) -> None:
    house = make(stall_seconds=0.3)
    assert house.dataplane.ready()
    house.free.clear()
    asked = [house.ask() for _ in range(3)]
    for one in asked:
        assert isinstance(one.told(), Unavailable)
    assert not house.dataplane.ready()
    assert "does not come back from a run" in str(house.ask().told())
    house.free.set()
    end = time.monotonic() + 10
    while not house.dataplane.ready():
        assert time.monotonic() < end
        time.sleep(0.01)
    assert house.ask().told() == [2.0]
    assert house.dataplane.in_flight == 0


def test_a_shadow_is_asked_the_same_and_nobody_is_told(
    make: Callable[..., House], store: Store, publishing: Callable[..., str]
) -> None:
    store.set_shadow("tiny", publishing(3.0), reason="test")
    house = make()
    assert house.ask(2.0).told() == [4.0]
    end = time.monotonic() + 10
    while len(house.events()) < 2:
        assert time.monotonic() < end
        time.sleep(0.01)
    champion, shadow = house.events()
    assert [(event.role, event.version, event.status) for event in (champion, shadow)] == [
        ("champion", "1", "ok"),
        ("shadow", "2", "ok"),
    ]
    assert champion.inputs == shadow.inputs
    assert (house.dataplane.answered, house.dataplane.in_flight) == (1, 0)


def test_what_a_shadow_that_falls_behind_does_not_see_is_counted(
    make: Callable[..., House], store: Store, publishing: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "SHADOW_ROWS", 0)
    store.set_shadow("tiny", publishing(3.0), reason="test")
    house = make()
    assert [house.ask(2.0).told() for _ in range(3)] == [[4.0]] * 3
    assert [event.role for event in house.events()] == ["champion"] * 3
    assert house.dataplane.shadows_dropped == 3
    assert Pulse(house.dataplane, "w", Denials()).beat().shadows_dropped == 3


def test_what_cannot_be_read_leaves_an_event_and_the_next_is_answered(make: Callable[..., House]) -> None:
    house = make()

    def broken(*_: Any) -> Any:
        raise InvalidInput("message", "is none")

    refused = Asked(house.dataplane, Request("tiny", None, "test", read=broken, write=lambda _: b"")).told()
    assert isinstance(refused, InvalidInput)
    assert "is none" in str(refused)
    assert house.ask().told() == [2.0]
    assert [event.status for event in house.events()] == ["invalid_input", "ok"]
    assert house.dataplane.in_flight == 0


def test_a_prediction_that_cannot_be_logged_is_not_given(make: Callable[..., House]) -> None:
    house = make()
    house.writer.close()
    assert isinstance(house.ask().told(), Unavailable)
    assert house.dataplane.in_flight == 0


def test_a_shadow_that_takes_other_inputs_costs_no_caller_its_answer(
    make: Callable[..., House], store: Store, publishing: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.set_shadow("tiny", publishing(3.0), reason="test")
    house = make()
    shadow = house.registry.model("tiny").shadow
    assert shadow is not None
    wider = TensorSpec(name="more", datatype="FP32", shape=[-1, -1])
    other = Signature(inputs=[*shadow.bundle.signature.inputs, wider], outputs=shadow.bundle.signature.outputs)
    monkeypatch.setattr(shadow, "contract", Contract(other, 16))
    assert [house.ask().told() for _ in range(4)] == [[2.0]] * 4
    assert house.dataplane.shadows_dropped == 4
    assert (house.registry.model("tiny").champion.calls, shadow.calls) == (0, 0)  # type: ignore[union-attr]


def test_a_request_that_was_refused_is_let_go_of_at_once(make: Callable[..., House]) -> None:
    house = make()

    def broken(*_: Any) -> Any:
        try:
            return dict[str, int]()["within"]
        except KeyError as error:
            raise InvalidInput("message", "is none") from error

    gc.collect()
    gc.disable()
    try:
        call = house.dataplane.submit(Request("tiny", None, "test", read=broken, write=nothing), nothing, b"x" * 1000)
        gone = weakref.ref(call)
        assert isinstance(call.outcome, InvalidInput)
        del call
        assert gone() is None
    finally:
        gc.enable()


def test_an_event_too_large_for_the_log_fails_alone(
    make: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("staytrue.quick.native", None)  # no record that is too long is so short that it would go there
    house = make()
    assert house.ask().told() == [2.0]
    assert len(house.ask(rows=8).told()) == 8
    small, large = (len(encode(event)) for event in house.events())
    monkeypatch.setattr(segments, "MAX_RECORD_BYTES", (small + large) // 2)
    house.free.clear()
    house.running.clear()
    first = house.ask()
    assert house.running.wait(10)
    asked = [house.ask(), house.ask(rows=8), house.ask()]
    house.free.set()
    assert first.told() == [2.0]
    told = [one.told() for one in asked]
    assert (told[0], told[2]) == ([2.0], [2.0])
    assert isinstance(told[1], TooLarge)
    assert house.runs == [1, 8, 1, 10]


def test_statistics_count_what_callers_were_told(make: Callable[..., House]) -> None:
    house = make()
    assert house.ask().told() == [2.0]
    house.writer.close()
    assert isinstance(house.ask().told(), Unavailable)
    (told,) = house.dataplane.statistics.told("tiny")
    assert (told["inference_stats"]["success"]["count"], told["inference_stats"]["fail"]["count"]) == (1, 1)
