"""ONNX files take any batch and any column name, and tell nothing of where they were made."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

import export
from export import graph
from export.onnx import to_onnx
from serving.runtimes.onnx import OnnxRuntime
from staytrue.errors import Unsupported
from staytrue.signature import Signature, TensorSpec
from tests.unit.export.conftest import NAMED, SIGNATURE, Named, Small

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.store import Store

    Rows = dict[str, NDArray[Any]]


class Sum(nn.Module):
    """Takes any inputs: their sum."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 1, bias=False)
        with torch.no_grad():
            self.linear.weight.fill_(1.0)

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Shapes: each [N,1] → [N,1]."""
        return self.linear(torch.cat([tensor.float() for tensor in tensors], dim=1))  # type: ignore[no-any-return]


@pytest.mark.parametrize("max_batch", [1, 2])
def test_a_small_largest_batch_exports_too(tmp_path: Path, rows: Rows, max_batch: int) -> None:
    to_onnx(Small().eval(), SIGNATURE, tmp_path / "m.onnx", max_batch)
    runtime = OnnxRuntime(tmp_path / "m.onnx", SIGNATURE)
    got = runtime.run({name: array[:max_batch] for name, array in rows.items()})
    assert got["price"].shape == (max_batch, 1)


def test_columns_may_be_called_as_operators_and_weights_are(tmp_path: Path) -> None:
    names = {"cat": "FP32", "linear": "FP32", "val_0": "FP32", "linear.weight": "BYTES", "linear.weight_code": "INT64"}
    signature = Signature(
        inputs=[
            TensorSpec(name=name, datatype=kind, shape=[-1, 1], categories=["a", "b"] if kind == "BYTES" else [])  # type: ignore[arg-type]
            for name, kind in names.items()
        ],
        outputs=[TensorSpec(name="_to_copy", datatype="FP32", shape=[-1, 1])],
    )
    to_onnx(Sum(5).eval(), signature, tmp_path / "m.onnx", 8)
    inside = {value for node in onnx.load(tmp_path / "m.onnx").graph.node for value in node.output}
    assert {"cat_", "linear_"} & inside, "the exporter names values otherwise now: choose other columns for this test"
    row: Rows = {name: np.array([[place]], dtype=np.float32) for place, name in enumerate(["cat", "linear", "val_0"])}
    row["linear.weight"] = np.array([["b"]], dtype=object)
    row["linear.weight_code"] = np.array([[40]])
    assert OnnxRuntime(tmp_path / "m.onnx", signature).run(row)["_to_copy"].tolist() == [[0 + 1 + 2 + 2 + 40]]


def test_the_file_tells_no_path_and_no_source(published: Store) -> None:
    data = (published.path("houses", "1") / "model.onnx").read_bytes()
    assert b".py" not in data
    assert str(Path(export.__file__).parent.parent).encode() not in data


def test_renaming_reaches_the_branches_of_an_if() -> None:
    branches = {
        f"{side}_branch": helper.make_graph(
            [helper.make_node(kind, ["x"], [f"{side}_y"])],
            side,
            [],
            [helper.make_tensor_value_info(f"{side}_y", TensorProto.FLOAT, [1])],
        )
        for side, kind in (("then", "Neg"), ("else", "Abs"))
    }
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("If", ["c"], ["y"], **branches)],
            "g",
            [
                helper.make_tensor_value_info("c", TensorProto.BOOL, [1]),
                helper.make_tensor_value_info("x", TensorProto.FLOAT, [1]),
            ],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    graph.rename(model, {"c": "choice", "x": "then_y", "y": "else_y"})
    onnx.checker.check_model(model, full_check=True)
    inner = {attribute.name: attribute.g.node[0] for attribute in model.graph.node[0].attribute}["then_branch"]
    assert (list(inner.input), list(inner.output)) == (["then_y"], ["then_y_"])


def test_garbage_is_collected_again_afterwards_even_if_the_export_fails(tmp_path: Path) -> None:
    wrong = Signature(inputs=SIGNATURE.inputs[:1], outputs=SIGNATURE.outputs)
    with pytest.raises(Unsupported):
        to_onnx(Small().eval(), wrong, tmp_path / "m.onnx", 8)
    assert gc.isenabled()


def test_names_of_classes_come_out_as_text(tmp_path: Path) -> None:
    """Also where the column is called as a value inside the graph."""
    outputs = [msgspec.structs.replace(NAMED.outputs[0], name="linear"), NAMED.outputs[1]]
    signature = Signature(inputs=NAMED.inputs, outputs=outputs)
    to_onnx(Named(5.0).eval(), signature, tmp_path / "m.onnx", 8)
    answer = OnnxRuntime(tmp_path / "m.onnx", signature).run({"size": np.array([[6.0], [1.0]], dtype=np.float32)})
    assert answer["linear"].tolist() == [["large"], ["small"]]
    assert answer["probabilities"].shape == (2, 2)
    entry = onnx.load(tmp_path / "m.onnx").graph.output[0]
    assert entry.type.tensor_type.elem_type == TensorProto.STRING


def test_a_batch_norm_is_exported_as_it_predicts(tmp_path: Path) -> None:
    """By the averages of training, whatever the other rows of a request are."""
    module = nn.Sequential(nn.BatchNorm1d(1), nn.Flatten())
    with torch.no_grad():
        module(torch.randn(64, 1) * 3 + 2)
    signature = Signature(
        inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, 1])],
        outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1, 1])],
    )
    to_onnx(module.eval(), signature, tmp_path / "m.onnx", 8)
    runtime = OnnxRuntime(tmp_path / "m.onnx", signature)
    x = np.array([[1.0], [50.0]], dtype=np.float32)
    together, alone = runtime.run({"x": x})["y"][:1], runtime.run({"x": x[:1]})["y"]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(alone, module(torch.from_numpy(x[:1])).detach().numpy(), atol=1e-6)
