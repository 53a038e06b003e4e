"""A lane by itself: stalls again and again, calls that come and go at the wrong moment, threads that cannot be had."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.batching import Lane
from serving.pace import BRIEF_SECONDS, SETTLING_SECONDS, Pace
from serving.runtimes.fake import FakeRuntime
from serving.tickets import Limits, Ticket, merged, split
from staytrue.errors import Cancelled, Unavailable
from staytrue.signature import Signature, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

STALL_SECONDS = 0.2
SPEC = TensorSpec(name="x", datatype="FP32", shape=[-1, 1])
SIGNATURE = Signature(inputs=[SPEC], outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1, 1])])


class Rig:
    """A lane whose runs wait while ``free`` is cleared."""

    def __init__(self, *, here: bool = False) -> None:
        self.free = threading.Event()
        self.free.set()
        self.ended: list[Ticket] = []
        limits = Limits(stall_seconds=STALL_SECONDS, here=here)
        self.lane = Lane("tiny", FakeRuntime(self._answer), SIGNATURE, 64, limits, self._settle)
        self.lane.expect(1e-5)

    def _answer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        assert self.free.wait(20)
        if (inputs["x"] < 0).any():
            raise RuntimeError("poison")
        return {"y": 2 * inputs["x"]}

    def _settle(self, tickets: Sequence[Ticket]) -> None:
        self.ended += tickets

    def put(self, value: float = 1.0) -> Ticket:
        """Queue a row."""
        made = ticket(1, value)
        self.lane.put(made)
        return made


def ticket(rows: int, value: float = 1.0) -> Ticket:
    """So many rows of one value."""
    return Ticket({"x": np.full((rows, 1), value, np.float32)}, rows)


def until(true: Callable[[], bool]) -> None:
    """Wait for something that is bound to happen."""
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_each_of_several_stalls_is_told_of_as_soon_as_the_first() -> None:
    rig = Rig()
    for _ in range(3):
        rig.free.clear()
        began = time.monotonic()
        stuck = rig.put()
        while rig.lane.ready():
            rig.lane.watch()
            assert time.monotonic() - began < 50 * STALL_SECONDS
            time.sleep(0.01)
        assert isinstance(stuck.error, Unavailable)
        rig.free.set()
        until(lambda: (rig.lane.watch(), rig.lane.ready())[1])  # type: ignore[func-returns-value]


def test_a_ticket_cancelled_before_it_came_ends_once_whatever_the_lane_would_say() -> None:
    rig = Rig()
    rig.free.clear()
    rig.put()
    time.sleep(STALL_SECONDS + 0.1)
    rig.lane.watch()
    assert not rig.lane.ready()
    late = ticket(1)
    rig.lane.cancel(late, Cancelled("request", "the caller hung up"))
    rig.lane.put(late)  # a stalled lane refuses others
    assert rig.ended.count(late) == 1
    with pytest.raises(Unavailable):
        rig.put()
    rig.free.set()


def test_a_thread_that_cannot_be_had_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        waiting = rig.put()
    assert not rig.ended
    rig.lane.watch()
    until(lambda: rig.ended == [waiting])
    assert waiting.outputs is not None


def test_the_lane_outlives_whatever_is_raised_where_its_tickets_end(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    with monkeypatch.context() as patched:
        patched.setattr(rig.lane, "_settle", lambda _: 1 / 0)
        broken = rig.put()
        until(lambda: broken.ended > 0)
    after = rig.put()
    until(lambda: rig.ended == [after])


def test_whoever_hung_up_is_not_run_again_after_a_poisoned_batch() -> None:
    rig = Rig()
    rig.free.clear()
    rig.put()
    until(lambda: bool(rig.lane._runs))
    batch = [rig.put(-1.0), rig.put(1.0), rig.put(2.0)]
    runs = rig.lane._runtime.runs  # type: ignore[attr-defined]
    real = rig.lane._runtime.run

    def gone(inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        if len(inputs["x"]) > 1:
            rig.lane.cancel(batch[2], Cancelled("request", "the caller hung up"))
        return real(inputs)

    rig.lane._runtime.run = gone  # type: ignore[method-assign]
    rig.free.set()
    until(lambda: len(rig.ended) == 4)
    assert runs == 1
    assert rig.lane._runtime.runs == 1 + 1 + 2  # type: ignore[attr-defined]
    assert isinstance(batch[0].error, RuntimeError)
    assert batch[1].outputs is not None
    assert isinstance(batch[2].error, Cancelled)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_what_is_merged_is_split_back_exactly(rows: list[int]) -> None:
    group = [ticket(size, float(place)) for place, size in enumerate(rows)]
    assert split(group, {"y": 2 * merged(group)["x"]})
    for place, (one, size) in enumerate(zip(group, rows, strict=True)):
        assert one.outputs is not None
        assert one.outputs["y"].tolist() == [[2.0 * place]] * size


def test_texts_weigh_what_they_hold() -> None:
    texts = np.array([["x" * 100_000], ["y"]], dtype=object)
    assert Ticket({"text": texts}, 2).size > 100_000


def test_a_model_is_brief_only_if_what_follows_its_runs_is_too() -> None:
    pace = Pace()
    told = [pace.brief]
    pace.ran(BRIEF_SECONDS / 2, 1)
    told.append(pace.brief)
    for _ in range(50):
        pace.settled(2 * SETTLING_SECONDS)
    assert [*told, pace.brief] == [False, True, False]


def test_a_slow_run_is_forgotten_in_time() -> None:
    pace = Pace()
    pace.ran(10.0, 1)
    for _ in range(1000):
        pace.ran(0.001, 1)
    assert pace.patience(1, 1.5) == 1.5
