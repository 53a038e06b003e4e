"""The ONNX runtime gives what the graph says, and refuses files that are not the signature's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from serving.judge import Judge
from serving.runtimes.base import RunError
from serving.runtimes.fake import FakeRuntime
from serving.runtimes.onnx import OnnxRuntime
from staytrue.errors import CorruptData, Overloaded, Unavailable
from staytrue.signature import Signature, TensorSpec
from tests.load import loops

if TYPE_CHECKING:
    from pathlib import Path

    from serving.runtimes.base import Runtime
    from staytrue.store import Store


def test_runs_by_the_signatures_names(store: Store, row: dict[str, Any]) -> None:
    bundle = store.load("tiny", "1")
    runtime = OnnxRuntime(store.path("tiny", "1") / "model.onnx", bundle.signature)
    assert runtime.run(row)["total"].tolist() == [[2 * 1.5 + 2 + 10]]
    assert runtime.description.startswith("onnxruntime ")
    assert runtime.description.endswith(" CPU")


def test_unknown_text_is_the_unknown_category(store: Store, row: dict[str, Any]) -> None:
    bundle = store.load("tiny", "1")
    runtime = OnnxRuntime(store.path("tiny", "1") / "model.onnx", bundle.signature)
    strange = {**row, "kind": np.array([["never seen"]], dtype=object)}
    assert runtime.run(strange)["total"].tolist() == [[13.0]]


def test_a_file_that_is_no_model_is_refused_by_name(store: Store, tmp_path: Any) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(CorruptData, match=r"broken\.onnx: ONNX Runtime cannot load it"):
        OnnxRuntime(path, store.load("tiny", "1").signature)


def test_a_graph_of_another_signature_is_refused(store: Store) -> None:
    signature = store.load("tiny", "1").signature
    other = msgspec.structs.replace(signature, inputs=signature.inputs[:1])
    with pytest.raises(CorruptData, match="inputs"):
        OnnxRuntime(store.path("tiny", "1") / "model.onnx", other)


def one_node(path: Path, operator: str, shape: list[int]) -> OnnxRuntime:
    """A graph of one operator over the constant 1, 2, 3 and the input ``i``."""
    value = helper.make_tensor_value_info
    node = helper.make_node(operator, ["w", "i"], ["y"])
    constant = helper.make_tensor("w", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    sizes = [None if size < 0 else size for size in shape]
    inputs, outputs = [value("i", TensorProto.INT64, sizes)], [value("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph([node], "one", inputs, outputs, [constant])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    spec = TensorSpec(name="i", datatype="INT64", shape=shape)
    return OnnxRuntime(path, Signature(inputs=[spec], outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1])]))


@pytest.mark.parametrize(("shape", "planned"), [([1], True), ([-1], False)])
def test_memory_is_planned_ahead_only_for_a_shape_that_never_changes(
    tmp_path: Path, shape: list[int], *, planned: bool
) -> None:
    runtime = one_node(tmp_path / "gather.onnx", "Gather", shape)
    assert runtime._session.get_session_options().enable_mem_pattern is planned


def test_threads_that_wait_do_not_spin_and_memory_is_the_c_librarys(tmp_path: Path) -> None:
    options = one_node(tmp_path / "gather.onnx", "Gather", [1])._session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.enable_cpu_mem_arena is False


def test_a_graph_that_fails_in_a_run_says_so_and_runs_again(tmp_path: Path) -> None:
    runtime = one_node(tmp_path / "gather.onnx", "Gather", [1])
    assert runtime.run({"i": np.array([2])})["y"].tolist() == [3.0]
    with pytest.raises(RunError, match=r"running Gather node.*out of data bounds"):
        runtime.run({"i": np.array([3])})
    assert runtime.run({"i": np.array([0])})["y"].tolist() == [1.0]


def test_memory_that_runs_out_fails_the_run_in_words_that_the_judge_knows(tmp_path: Path) -> None:
    runtime = one_node(tmp_path / "expand.onnx", "Expand", [2])
    with pytest.raises(RunError) as caught:
        runtime.run({"i": np.array([10**15, 3])})
    judge = Judge("one", "1", runtime, Signature(inputs=[], outputs=[]))
    assert isinstance(judge.told(caught.value), Overloaded)


@pytest.fixture(params=["onnx", "fake"])
def runtime(request: pytest.FixtureRequest, store: Store) -> Runtime:
    """Each runtime, with the tiny model's answers."""
    if request.param == "onnx":
        return OnnxRuntime(store.path("tiny", "1") / "model.onnx", store.load("tiny", "1").signature)
    return FakeRuntime(lambda inputs: {"total": 2 * inputs["number"] + 2 + inputs["count"].astype(np.float32)})


def test_every_runtime_answers_from_many_threads_and_leaves_its_input_alone(
    runtime: Runtime, row: dict[str, Any]
) -> None:
    before = {name: array.copy() for name, array in row.items()}
    with ThreadPoolExecutor(8) as pool:
        answers = [answer["total"].tolist() for answer in pool.map(runtime.run, [row] * 200)]
    assert answers == [[[15.0]]] * 200
    assert all((row[name] == array).all() for name, array in before.items())


def test_every_runtime_refuses_once_it_was_closed_also_twice(runtime: Runtime, row: dict[str, Any]) -> None:
    runtime.close()
    runtime.close()
    with pytest.raises(Unavailable, match="was closed"):
        runtime.run(row)


def test_a_run_that_never_ends_is_broken_off_when_its_model_is_closed(tmp_path: Path) -> None:
    onnx.save(loops.graph(0), tmp_path / "loops.onnx")
    runtime = OnnxRuntime(tmp_path / "loops.onnx", loops.SIGNATURE)
    assert runtime.run({"turns": np.array([[7]])})["done"].tolist() == [[7]]
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(runtime.run, {"turns": np.array([[loops.FOREVER]])})
        while not runtime._running:
            assert not run.done()
        runtime.close()
        with pytest.raises(Unavailable, match="was closed"):
            run.result(timeout=10)


def test_the_fake_counts_and_closes() -> None:
    fake = FakeRuntime(lambda _: {"y": np.zeros(1)})
    fake.run({})
    fake.close()
    assert fake.runs == 1
    with pytest.raises(Unavailable):
        fake.run({})


def bfloat_graph(path: Path, *, texts: bool = False) -> Signature:
    """Bfloat16 passes, and perhaps a text beside it."""
    pairs = [("x", "y", TensorProto.BFLOAT16, "BF16")]
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    if texts:
        pairs.append(("s", "t", TensorProto.STRING, "BYTES"))
        nodes.append(helper.make_node("Identity", ["s"], ["t"]))
    sides = [[helper.make_tensor_value_info(pair[at], pair[2], ["rows", 2]) for pair in pairs] for at in (0, 1)]
    graph = helper.make_graph(nodes, "half", *sides)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    specs: list[list[Any]] = [
        [TensorSpec(name=pair[at], datatype=pair[3], shape=[-1, 2]) for pair in pairs]  # type: ignore[arg-type]
        for at in (0, 1)
    ]
    return Signature(inputs=specs[0], outputs=specs[1])


def test_bfloat16_passes_as_floats_to_the_bit_and_texts_beside_it_are_refused_at_loading(tmp_path: Path) -> None:
    runtime = OnnxRuntime(tmp_path / "half.onnx", bfloat_graph(tmp_path / "half.onnx"))
    values = np.array([[1.5, -3.140625], [np.inf, 1.1754943508222875e-38]], np.float32)
    (told,) = runtime.run({"x": values}).values()
    assert told.dtype == np.float32
    assert told.tolist() == values.tolist()
    with pytest.raises(CorruptData, match="has texts and bfloat16"):
        OnnxRuntime(tmp_path / "both.onnx", bfloat_graph(tmp_path / "both.onnx", texts=True))
