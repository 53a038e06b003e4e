"""Buffers that stay give what the plain way gives, are bounded, and stand back where they cannot serve."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from serving.runtimes import bindings as module
from serving.runtimes.base import RunError
from serving.runtimes.bindings import PROCESSOR, Bindings, Place, bindings, gpu, sides
from serving.runtimes.onnx import OnnxRuntime
from staytrue.signature import Signature, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Shape = list[int | str | None]


def graph(
    path: Path, nodes: list[Any], inputs: dict[str, tuple[int, Shape]], outputs: dict[str, tuple[int, Any]]
) -> Path:
    """A model of these nodes."""
    values = [[helper.make_tensor_value_info(name, *of) for name, of in side.items()] for side in (inputs, outputs)]
    made = helper.make_graph(nodes, "some", *values)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def session_of(path: Path) -> Any:
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.fixture
def added(tmp_path: Path) -> Path:
    """``sum = a + b`` and ``twice = a + a``, both ``[rows, 3]``, declared in this order."""
    of: tuple[int, Shape] = (TensorProto.FLOAT, ["rows", 3])
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Add", ["a", "a"], ["twice"])]
    return graph(tmp_path / "added.onnx", nodes, {"a": of, "b": of}, {"sum": of, "twice": of})


def made(path: Path, place: Place = PROCESSOR) -> Bindings:
    session = session_of(path)
    declared = sides(session)
    assert declared is not None
    return Bindings(session, *declared, place)


def test_an_output_that_is_an_input_itself_is_answered_the_plain_way(tmp_path: Path) -> None:
    """Nothing would write it to its buffer."""
    of: tuple[int, Shape] = (TensorProto.FLOAT, ["rows", 3])
    nodes = [helper.make_node("Neg", ["a"], ["y"])]
    path = graph(tmp_path / "through.onnx", nodes, {"a": of}, {"y": of, "a": of})
    assert sides(session_of(path)) is None
    a, y = (TensorSpec(name=name, datatype="FP32", shape=[-1, 3]) for name in ("a", "y"))
    runtime = OnnxRuntime(path, Signature(inputs=[a], outputs=[y, a]))
    got = runtime.run({"a": np.ones((2, 3), np.float32)})
    assert (got["a"].tolist(), got["y"].tolist()) == ([[1.0] * 3] * 2, [[-1.0] * 3] * 2)
    runtime.close()


def rows(count: int, start: float = 0) -> dict[str, Any]:
    a = np.arange(3 * count, dtype=np.float32).reshape(count, 3) + np.float32(start)
    return {"a": a, "b": a * a}


def is_right(answer: dict[str, Any] | None, given: dict[str, Any]) -> bool:
    assert answer is not None
    return bool((answer["sum"] == given["a"] + given["b"]).all() and (answer["twice"] == 2 * given["a"]).all())


def test_answers_are_right_and_the_callers_own(added: Path) -> None:
    kept = made(added)
    first, second = rows(2), rows(2, 7)
    one = kept.run(first)
    two = kept.run(second)
    assert is_right(one, first)  # the second run did not write into the first one's answer
    assert is_right(two, second)
    assert kept.sets == 1
    assert kept.bytes == 4 * 2 * 3 * 4


def test_arrays_that_do_not_lie_row_by_row_are_taken_too(added: Path) -> None:
    given = {name: np.asfortranarray(array) for name, array in rows(4).items()}
    assert is_right(made(added).run(given), given)


def test_the_runtime_answers_in_the_signatures_order(added: Path) -> None:
    spec = {name: TensorSpec(name=name, datatype="FP32", shape=[-1, 3]) for name in ("a", "b", "twice", "sum")}
    runtime = OnnxRuntime(added, Signature(inputs=[spec["a"], spec["b"]], outputs=[spec["twice"], spec["sum"]]))
    assert runtime._bindings is not None
    assert list(runtime.run(rows(1))) == ["twice", "sum"]
    assert runtime._bindings.sets == 1
    runtime.close()
    assert runtime._bindings is None


def test_many_threads_never_share_a_set(added: Path) -> None:
    kept = made(added)
    given = [rows(1 + at % 3, at) for at in range(400)]
    with ThreadPoolExecutor(8) as pool:
        assert all(is_right(answer, one) for answer, one in zip(pool.map(kept.run, given), given, strict=True))
    assert kept.sets <= 8 * 3


def test_two_runs_at_once_have_a_set_each_and_both_are_used_again(added: Path) -> None:
    kept = made(added)
    inside, go_on = threading.Barrier(3, timeout=30), threading.Barrier(3, timeout=30)
    session = kept._session

    class Slow:
        io_binding = session.io_binding

        def run_with_iobinding(self, binding: Any, how: Any) -> None:
            inside.wait()
            session.run_with_iobinding(binding, how)
            go_on.wait()

    kept._session = Slow()
    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            answers = [pool.submit(kept.run, rows(1, at)) for at in range(2)]
            inside.wait()
            go_on.wait()
            assert all(is_right(answer.result(30), rows(1, at)) for at, answer in enumerate(answers))
    assert kept.sets == 2


@pytest.mark.parametrize("place", [replace(PROCESSOR, most_sets=3), replace(PROCESSOR, most_bytes=4 * 4 * 3 * 4)])
def test_sets_are_bounded_in_number_and_bytes(added: Path, place: Place) -> None:
    kept = made(added, place)
    for _ in range(2):
        for count in range(1, 5):
            assert is_right(kept.run(rows(count)), rows(count))
            assert kept.sets == sum(len(idle) for idle in kept._idle.values())
            assert kept.bytes == sum(buffers.size for idle in kept._idle.values() for buffers in idle)
            assert kept.sets <= place.most_sets
            assert kept.bytes <= place.most_bytes


@pytest.mark.parametrize(
    "given",
    [
        rows(0),
        rows(1000),  # larger than a set may be
        {"a": np.zeros((2, 3), np.float32), "b": np.zeros((1, 3), np.float32)},  # one name, two sizes
        {"a": np.zeros((2, 4), np.float32), "b": np.zeros((2, 4), np.float32)},
        {"a": np.zeros(3, np.float32), "b": np.zeros(3, np.float32)},
    ],
    ids=["empty", "large", "sizes", "width", "axes"],
)
def test_shapes_without_buffers_go_the_plain_way(added: Path, given: dict[str, Any]) -> None:
    kept = made(added)
    assert kept.run(given) is None
    assert kept.sets == 0


@pytest.mark.parametrize(
    ("operator", "kind", "shape"),
    [
        ("Identity", TensorProto.STRING, ["rows"]),
        ("Identity", TensorProto.BFLOAT16, ["rows"]),
        ("NonZero", TensorProto.INT64, [1, None]),
        ("NonZero", TensorProto.INT64, [1, "others"]),
    ],
    ids=["texts", "bfloat16", "no size", "a size of its own"],
)
def test_outputs_of_unknown_size_and_types_that_numpy_lacks_are_not_bound(
    tmp_path: Path, operator: str, kind: int, shape: Any
) -> None:
    node = helper.make_node(operator, ["x"], ["y"])
    given = TensorProto.FLOAT if operator == "NonZero" else kind
    path = graph(tmp_path / "one.onnx", [node], {"x": (given, ["rows"])}, {"y": (kind, shape)})
    session = session_of(path)
    assert sides(session) is None
    assert bindings(session, ["y"], "cpu", 0) is None


def test_openvino_keeps_its_own_memory(added: Path) -> None:
    assert bindings(session_of(added), ["sum", "twice"], "openvino", 0) is None


@pytest.fixture
def lying(tmp_path: Path) -> OnnxRuntime:
    """Where ``x`` is not zero; the file says that it is so for each element."""
    nodes = [helper.make_node("NonZero", ["x"], ["y"])]
    path = graph(
        tmp_path / "lying.onnx", nodes, {"x": (TensorProto.FLOAT, ["n"])}, {"y": (TensorProto.INT64, [1, "n"])}
    )
    specs = [
        [TensorSpec(name="x", datatype="FP32", shape=[-1])],
        [TensorSpec(name="y", datatype="INT64", shape=[1, -1])],
    ]
    return OnnxRuntime(path, Signature(inputs=specs[0], outputs=specs[1]))


def test_a_graph_that_lies_about_its_output_is_still_answered_and_said(
    lying: OnnxRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    assert lying.run({"x": np.ones(3, np.float32)})["y"].tolist() == [[0, 1, 2]]
    assert lying.run({"x": np.array([1, 0, 1], np.float32)})["y"].tolist() == [[0, 2]]
    assert "a model runs without buffers that stay from now on: Error in execution" in caplog.text
    assert lying._bindings is None
    assert lying.run({"x": np.ones(2, np.float32)})["y"].tolist() == [[0, 1]]


def test_a_bad_value_of_a_callers_does_not_cost_the_buffers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nodes = [helper.make_node("Gather", ["x", "i"], ["y"])]
    sides_of: dict[str, tuple[int, Shape]] = {"x": (TensorProto.FLOAT, [3]), "i": (TensorProto.INT64, ["n"])}
    path = graph(tmp_path / "gather.onnx", nodes, sides_of, {"y": (TensorProto.FLOAT, ["n"])})
    specs = [TensorSpec(name="x", datatype="FP32", shape=[3]), TensorSpec(name="i", datatype="INT64", shape=[-1])]
    runtime = OnnxRuntime(path, Signature(inputs=specs, outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1])]))
    x = np.array([1, 2, 3], np.float32)
    with pytest.raises(RunError, match="out of data bounds"):
        runtime.run({"x": x, "i": np.array([3])})
    assert runtime._bindings is not None
    assert runtime.run({"x": x, "i": np.array([2])})["y"].tolist() == [3.0]
    assert "without buffers" not in caplog.text


def test_runs_name_the_graph_that_onnx_runtime_would_miss_at_each_run(added: Path) -> None:
    """What it looks for and does not find it tells by an exception in C++, which costs as much as a small model."""
    spec = {name: TensorSpec(name=name, datatype="FP32", shape=[-1, 3]) for name in ("a", "b", "sum", "twice")}
    runtime = OnnxRuntime(added, Signature(inputs=[spec["a"], spec["b"]], outputs=[spec["sum"], spec["twice"]]))
    first = runtime._how
    runtime.break_off()
    for options in (first, runtime._how):
        assert options.get_run_config_entry("gpu_graph_id") == "-1"


class Cuda:
    """The calls that need CUDA, written down and done in ordinary memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.registered: list[Any] = []
        self.allocated: list[Any] = []
        self.there = ort.OrtValue.ortvalue_from_shape_and_type
        monkeypatch.setattr(ort, "create_and_register_allocator_v2", self.register)
        monkeypatch.setattr(ort.OrtValue, "ortvalue_from_shape_and_type", self.allocate)

    def register(self, provider: str, memory: Any, options: Any, _arena: Any) -> None:
        """Remember an allocator."""
        self.registered.append((provider, memory, options))

    def allocate(self, shape: Any, kind: Any, *, memory_info: Any) -> Any:
        """Remember whose memory was asked for."""
        self.allocated.append(memory_info)
        return self.there(shape, kind)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cuda]:
    """A GPU, as far as buffers can tell."""
    gpu.cache_clear()
    yield Cuda(monkeypatch)
    gpu.cache_clear()


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_gpus_buffers_are_page_locked_and_of_its_number(added: Path, cuda: Cuda, provider: str) -> None:
    for _ in range(2):  # two versions
        kept = bindings(session_of(added), ["sum", "twice"], provider, 3)
        assert kept is not None
        assert is_right(kept.run(rows(2)), rows(2))
    ((name, memory, options),) = cuda.registered  # once for all of them
    assert (name, memory.name, memory.device_id, options) == ("CUDAExecutionProvider", "CudaPinned", 3, {})
    assert memory.device_mem_type == ort.OrtDeviceMemoryType.HOST_ACCESSIBLE
    assert memory.device_vendor_id == 0x10DE
    assert cuda.allocated == [memory] * 8


def test_inputs_are_sent_to_the_device_for_each_run_and_both_ends_waited_for(added: Path, cuda: Cuda) -> None:
    kept = bindings(session_of(added), ["sum", "twice"], "cuda", 0)
    assert kept is not None
    calls: list[str] = []
    session = kept._session

    class Told:
        def __init__(self, binding: Any) -> None:
            self.binding = binding

        def __getattr__(self, name: str) -> Any:
            def call(*given: Any) -> Any:
                calls.append(" ".join([name, *given[:1]]))
                return getattr(self.binding, name)(*given)

            return call

    class Session:
        def io_binding(self) -> Any:
            return Told(session.io_binding())

        def run_with_iobinding(self, told: Any, how: Any) -> None:
            calls.append("run")
            session.run_with_iobinding(told.binding, how)

    kept._session = Session()
    sent = ["bind_ortvalue_input a", "bind_ortvalue_input b"]
    bound = ["bind_ortvalue_output sum", "bind_ortvalue_output twice"]
    a_run = [*sent, "synchronize_inputs", "run", "synchronize_outputs"]
    for at in range(2):
        assert is_right(kept.run(rows(2, at)), rows(2, at))
    assert calls == [*sent, *bound, *a_run, *a_run]
    assert cuda.allocated  # outputs were bound once, to memory that each run writes anew


def on_a_gpu(path: Path) -> OnnxRuntime:
    """A runtime whose buffers are a GPU's."""
    specs = {name: TensorSpec(name=name, datatype="FP32", shape=[-1, 3]) for name in ("a", "b", "sum", "twice")}
    signature = Signature(inputs=[specs["a"], specs["b"]], outputs=[specs["sum"], specs["twice"]])
    runtime = OnnxRuntime(path, signature)
    runtime._bindings = runtime._bound("cuda", 0)
    return runtime


def test_a_gpus_first_answer_is_compared_with_the_plain_ways(added: Path, cuda: Cuda) -> None:
    runtime = on_a_gpu(added)
    kept = runtime._bindings
    assert kept is not None
    before = kept.proven
    assert is_right(runtime.run(rows(2)), rows(2))
    assert (before, kept.proven) == (False, True)
    assert runtime._bindings is kept
    assert cuda.registered


def test_a_gpu_whose_buffers_give_something_else_goes_the_plain_way(
    added: Path, cuda: Cuda, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = on_a_gpu(added)
    assert cuda.registered
    wrong = {"sum": np.zeros((2, 3), np.float32), "twice": np.zeros((2, 3), np.float32)}
    monkeypatch.setattr(module.Bindings, "run", lambda *_: wrong)
    for _ in range(2):
        assert is_right(runtime.run(rows(2)), rows(2))
    assert runtime._bindings is None
    assert "from now on: output sum is another than without them" in caplog.text


def test_memory_that_numpy_only_gets_a_copy_of_is_not_used(added: Path, cuda: Cuda) -> None:
    there = cuda.there

    class Copied:
        def __init__(self, value: Any) -> None:
            self.value, self.data_ptr = value, value.data_ptr

        def numpy(self) -> Any:
            return self.value.numpy().copy()

    cuda.there = lambda *given: Copied(there(*given))
    kept = bindings(session_of(added), ["sum", "twice"], "cuda", 0)
    assert kept is not None
    with pytest.raises(RuntimeError, match="a copy of the memory"):
        kept.run(rows(1))


@pytest.mark.skipif("CUDAExecutionProvider" in ort.get_available_providers(), reason="this ONNX Runtime has CUDA")
def test_without_page_locked_memory_a_gpu_goes_the_plain_way_and_that_is_said(
    added: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gpu.cache_clear()
    runtime = on_a_gpu(added)
    assert runtime._bindings is None
    assert "a model runs without buffers that stay: Error when creating and registering allocator" in caplog.text
    assert is_right(runtime.run(rows(2)), rows(2))


def test_that_a_shape_has_no_buffers_is_found_out_once(added: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = made(added, replace(PROCESSOR, largest_bytes=200, most_sets=4))
    looked: list[Any] = []
    found = bound._made

    def counted(shapes: Any) -> Any:
        looked.append(shapes)
        return found(shapes)

    monkeypatch.setattr(bound, "_made", counted)
    few, many = ({name: np.ones((rows, 3), np.float32) for name in "ab"} for rows in (2, 100))
    for _ in range(3):
        assert bound.run(many) is None
        assert bound.run(few) is not None
    assert len(looked) == 2
    for rows in range(100, 200):
        assert bound.run({name: np.ones((rows, 3), np.float32) for name in "ab"}) is None
    assert len(bound._without) <= 4
