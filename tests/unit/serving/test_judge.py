"""Whose fault a failed run is: what is asked, how often, and what is told."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from serving.batching import Lane
from serving.judge import LASTS_RUNS, Judge, reason_of
from serving.runtimes.base import RunError
from serving.runtimes.fake import FakeRuntime
from serving.runtimes.onnx import OnnxRuntime
from serving.runtimes.torchserve.runtime import TorchServeRuntime
from serving.tickets import Limits, Ticket
from staytrue.errors import DeadlineExceeded, InvalidInput, Overloaded, Unavailable
from staytrue.events import Tensor
from staytrue.signature import Signature, TensorSpec
from tests.contract import picky
from tests.unit.serving.test_lane import until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

X = TensorSpec(name="x", datatype="FP32", shape=[-1, 1])
SIGNATURE = Signature(inputs=[X], outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1, 1])])
REFUSED = RunError(
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : while running Cast node. Name:'c' Status Message: stod"
)
TORCHSCRIPT = """RuntimeError: The following operation failed in the TorchScript interpreter.
Traceback of TorchScript, serialized code (most recent call last):
  File "code/__torch__/model.py", line 7, in forward
        return x.reshape(-1, 4)
               ~~~~~~~~~ <--- HERE
RuntimeError: shape '[-1, 4]' is invalid for input of size 3"""
SAID = {
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running MatMul node. Name:'/net/fc/MatMul' "
    "Status Message: matmul_helper.h:59 Compute MatMul dimension mismatch": "MatMul 'MatMul': MatMul dimension "
    "mismatch",
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Add node. Name:'' Status Message: "
    "/onnxruntime_src/core/element_wise_ops.h:563 void onnxruntime::Init(ptrdiff_t) axis == 1 was false. Attempting to "
    "broadcast an axis by a dimension other than 1. 3 by 5\n": "Add: Attempting to broadcast an axis by a dimension "
    "other than 1. 3 by 5",
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Fill node. Name:'' Status Message: "
    "/src/op_kernel.cc:87 virtual OrtValue* Output(int) [ONNXRuntimeError] : 1 : FAIL : tensor.cc:57 SizeOf Tensor "
    "shape.Size() must be >= 0": "Fill: Tensor shape.Size() must be >= 0",
    "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Invalid rank for input: i Got: 2": "Invalid rank for input: i Got: 2",
    TORCHSCRIPT: "shape '[-1, 4]' is invalid for input of size 3",
    "no 'geheim' in /home/me/words.txt; it doesn't fit": "no … in …; it doesn't fit",
    "a\0b\x1b[31m": "ab[31m",
    "": "no reason is given",
}


@pytest.mark.parametrize(("text", "reason"), SAID.items())
def test_a_reason_is_short_and_says_nothing_of_files_or_callers(text: str, reason: str) -> None:
    assert reason_of(text) == reason
    assert len(reason_of(text + " x" * 1000)) <= 200


class Rig:
    """A judge of a runtime that answers or fails as ``answer`` says, at a time that is set."""

    def __init__(self) -> None:
        self.now, self.takes = 100.0, 0.0
        self.error: Exception | None = None
        self.runtime = FakeRuntime(self._answer)
        self.judge = Judge("tiny", "7", self.runtime, SIGNATURE, lambda: self.now)

    def _answer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        assert inputs["x"].tolist() == [[0.0]]
        self.now += self.takes
        if self.error:
            raise self.error
        return {"y": inputs["x"]}


def test_inputs_are_at_fault_where_the_example_is_answered_and_the_message_says_what_to_do() -> None:
    told = Rig().judge.told(REFUSED)
    assert isinstance(told, InvalidInput)
    assert str(told) == (
        "model \"tiny\" version 7: refused these inputs: Cast 'c': a text is not the number that it has to be; "
        "compare them with the inputs in /v2/models/tiny and with the example in /docs"
    )


@pytest.mark.parametrize("error", [REFUSED, Unavailable("model", "was closed"), ValueError("x")])
def test_the_fault_is_ours_where_the_example_fails_too(error: Exception) -> None:
    rig = Rig()
    rig.error = error
    assert rig.judge.told(REFUSED) is REFUSED
    rig.error = None
    rig.now += 2.0
    assert isinstance(rig.judge.told(REFUSED), InvalidInput)


def test_the_example_is_run_and_told_of_once_a_second_and_a_slow_one_more_seldom(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    for _ in range(50):
        rig.judge.told(REFUSED)
        rig.now += 0.1
    assert rig.runtime.runs == 5
    assert [record.getMessage() for record in caplog.records] == [
        "tiny version 7 refuses callers' inputs; events say why"
    ] * 5
    rig.takes, rig.now = 2.0, 200.0
    rig.judge.told(REFUSED)
    rig.now += LASTS_RUNS * rig.takes - 0.1
    rig.judge.told(REFUSED)
    assert rig.runtime.runs == 6
    rig.now += 0.2
    rig.judge.told(REFUSED)
    assert rig.runtime.runs == 7


@pytest.mark.parametrize(
    "text",
    ["std::bad_alloc", "Failed to allocate memory for requested buffer of size 12", "CUDA failure 2: out of memory"],
)
def test_memory_that_ran_out_is_nobodys_inputs_fault_and_may_be_there_again(text: str) -> None:
    rig = Rig()
    told = rig.judge.told(RunError(text))
    assert isinstance(told, Overloaded)
    assert str(told).startswith('model "tiny" version 7: memory ran out in its run; send fewer rows')
    assert rig.runtime.runs == 0


@pytest.mark.parametrize(
    "error",
    [RunError("CUDA failure 700: an illegal memory access"), RunError("TensorRT EP failed"), ValueError("y")],
)
def test_what_the_device_or_our_own_code_says_is_ours_without_a_look(error: Exception) -> None:
    rig = Rig()
    assert rig.judge.told(error) is error
    assert rig.runtime.runs == 0


class Queue:
    """A lane over a runtime, with its judge."""

    def __init__(self, runtime: Any, signature: Signature, **how: Any) -> None:
        self.ended: list[Ticket] = []
        judge = Judge("tiny", "1", runtime, signature)
        self.lane = Lane("tiny", runtime, signature, 16, Limits(**how), self._settle, judge.told)

    def _settle(self, tickets: Sequence[Ticket]) -> None:
        self.ended += tickets

    def put(self, deadline: float = float("inf"), **arrays: NDArray[Any]) -> Ticket:
        """Queue a row, woken with all others."""
        ticket = Ticket(arrays, 1, deadline)
        self.lane.put(ticket, wake=False)
        return ticket


def test_the_poisoned_request_of_a_batch_is_refused_alone_by_a_real_model(tmp_path: Path) -> None:
    store = picky.make_store(tmp_path)
    queue = Queue(OnnxRuntime(store.path("picky", "1") / "model.onnx", picky.SIGNATURE), picky.SIGNATURE)
    rows = [
        queue.put(
            text=np.array([[text]], object), wide=np.array([[1.0]], np.float32), place=np.array([[place]], np.int64)
        )
        for text, place in [("1", 0), ("wort", 0), ("2", 1), ("3", 7), ("4", 2)]
    ]
    queue.lane.wake()
    until(lambda: len(queue.ended) == 5)
    assert [None if row.outputs is None else row.outputs["total"].tolist() for row in rows] == [
        [[12.0]],
        None,
        [[23.0]],
        None,
        [[35.0]],
    ]
    assert [type(row.error) for row in (rows[1], rows[3])] == [InvalidInput, InvalidInput]
    assert queue.lane.counts.runs == 1


def stuck(free: threading.Event) -> Callable[[Mapping[str, NDArray[Any]]], dict[str, NDArray[Any]]]:
    """A model that refuses -1 and does not come back from its example."""

    def answer(inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        if inputs["x"][0, 0] < 0:
            raise REFUSED
        assert free.wait(20)
        return {"y": inputs["x"]}

    return answer


@pytest.mark.parametrize(("deadline", "stall", "told"), [(0.0, 100.0, DeadlineExceeded), (1e9, 0.1, Unavailable)])
def test_an_example_that_does_not_come_back_holds_up_no_deadline_and_is_a_stall(
    monkeypatch: pytest.MonkeyPatch, deadline: float, stall: float, told: type[Exception]
) -> None:
    free = threading.Event()
    runtime = FakeRuntime(stuck(free))
    queue = Queue(runtime, SIGNATURE, stall_seconds=stall)
    queue.lane.expect(1e-5)
    ticket = queue.put(x=np.array([[-1.0]], np.float32))
    queue.lane.wake()
    until(lambda: runtime.runs == 2)
    monkeypatch.setattr(ticket, "deadline", deadline)
    until(lambda: (queue.lane.watch(), bool(queue.ended))[1])  # type: ignore[func-returns-value]
    assert isinstance(ticket.error, told)
    free.set()
    until(lambda: (queue.lane.watch(), queue.lane.ready() and not queue.lane._runs)[1])  # type: ignore[func-returns-value]
    assert queue.ended == [ticket]


class Supervisor:
    """A TorchServe whose model refuses all but zeros, as our handler in it says so."""

    def add(self, _: Path) -> str:
        """A name."""
        return "tiny"

    def predict(self, _name: str, body: bytes, *_: object) -> tuple[int, bytes]:
        """Refuse."""
        (tensor,) = msgspec.msgpack.decode(body, type=list[Tensor])
        if tensor.array().any():
            return 500, msgspec.json.encode({"error": TORCHSCRIPT, "code": "internal"})
        return 200, msgspec.msgpack.encode([Tensor.of("y", "FP32", tensor.array())])


def test_what_torchscript_refuses_in_torchserve_is_judged_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.runtimes.torchserve.runtime._held", lambda _: "TorchScript torch 2")
    monkeypatch.setattr("serving.runtimes.torchserve.runtime.version", lambda: "TorchServe 0")
    runtime = TorchServeRuntime(None, SIGNATURE, Supervisor(), 5.0)  # type: ignore[arg-type]
    queue = Queue(runtime, SIGNATURE)
    bad, good = queue.put(x=np.array([[1.0]], np.float32)), queue.put(x=np.array([[0.0]], np.float32))
    queue.lane.wake()
    until(lambda: len(queue.ended) == 2)
    assert isinstance(bad.error, InvalidInput)
    assert "refused these inputs: shape '[-1, 4]' is invalid for input of size 3; compare" in str(bad.error)
    assert good.outputs is not None


def test_a_judge_that_fails_leaves_the_error_of_the_run_and_the_lane_as_it_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(_: Any) -> dict[str, NDArray[Any]]:
        raise REFUSED

    queue = Queue(FakeRuntime(refuse), SIGNATURE)
    queue.lane._judge = lambda _: 1 / 0  # type: ignore[assignment,return-value]
    for _ in range(2):
        ended = len(queue.ended)
        row = queue.put(x=np.array([[1.0]], np.float32))
        queue.lane.wake()
        until(lambda ended=ended: len(queue.ended) > ended)  # type: ignore[misc]
        assert row.error is REFUSED
    assert queue.lane.ready()
    assert "whose fault it is could not be told" in caplog.text
