"""What an ONNX file holds decides which optimisations it is loaded without, not what it is called."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from serving.runtimes.halves import UNSAFE, unsafe

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
NEG = helper.make_node("Neg", ["x"], ["y"])


def model(nodes: list[Any], kind: int = FLOAT, weights: list[Any] | None = None) -> onnx.ModelProto:
    """From x to y."""
    sides = [[helper.make_tensor_value_info(name, kind, ["n"])] for name in ("x", "y")]
    graph = helper.make_graph(nodes, "made", *sides, weights or [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def branches(kind: int) -> Any:
    """A branch whose constant is of a datatype."""
    made = numpy_helper.from_array(np.zeros(3, np.float16 if kind == HALF else np.float32))
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["a"], value=made), helper.make_node("Cast", ["a"], ["z"], to=FLOAT)],
        "branch",
        [],
        [helper.make_tensor_value_info("z", FLOAT, [3])],
    )
    return [
        helper.make_node("IsNaN", ["x"], ["odd"]),
        helper.make_node("If", ["odd"], ["y"], then_branch=inner, else_branch=inner),
    ]


CAST = [helper.make_node("Cast", ["x"], ["h"], to=HALF), helper.make_node("Cast", ["h"], ["y"], to=FLOAT)]
NOT_CAST = [helper.make_node("Concat", ["x"], ["y"], axis=10)]
MODELS = {
    "plain": (model([NEG], weights=[numpy_helper.from_array(np.ones(3, np.float32), "w")]), False),
    "an input": (model([NEG], HALF), True),
    "a weight": (model([NEG], weights=[numpy_helper.from_array(np.ones(3, np.float16), "w")]), True),
    "a cast": (model(CAST), True),
    "another ten": (model(NOT_CAST), False),
    "a branch": (model(branches(HALF)), True),
    "another branch": (model(branches(FLOAT)), False),
}


@pytest.mark.parametrize("name", MODELS)
def test_float16_is_found_wherever_it_is(name: str, tmp_path: Path) -> None:
    made, half = MODELS[name]
    onnx.save(made, tmp_path / "model.onnx")
    assert unsafe(tmp_path / "model.onnx") == (list(UNSAFE) if half else [])


def test_the_name_is_that_of_an_optimisation() -> None:
    """It is not refused if it is none: it is looked for in what the runtime is made of."""
    (library,) = Path(ort.__file__).parent.glob("capi/onnxruntime_pybind11_state*.so")
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        assert all(data.find(name.encode()) > 0 for name in UNSAFE)


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 40, b"no model at all", b"\x3a\xff\xff\xff\xff\x0f"])
def test_what_cannot_be_read_counts_as_if_it_held_some(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(data)
    assert unsafe(tmp_path / "model.onnx") == list(UNSAFE)
    assert unsafe(tmp_path / "nowhere.onnx") == list(UNSAFE)


def test_a_file_that_is_optimised_already_is_loaded_as_it_is(tmp_path: Path) -> None:
    onnx.save(model([NEG]), tmp_path / "model.onnx")
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    ort.InferenceSession(str(tmp_path / "model.onnx"), options, providers=["CPUExecutionProvider"])
    assert unsafe(tmp_path / "model.ort") == []
