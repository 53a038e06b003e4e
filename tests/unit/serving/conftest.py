"""A store with hand-made bundles of a tiny ONNX model: total = 2 * number + length of the category's place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from staytrue.signature import Signature, TensorSpec
from staytrue.store import Store
from tests import bundles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import onnx

MAX_BATCH = 16
SIGNATURE = Signature(
    inputs=[
        TensorSpec(name="number", datatype="FP32", shape=[-1, 1]),
        TensorSpec(name="kind", datatype="BYTES", shape=[-1, 1], categories=["a", "b"]),
        TensorSpec(name="count", datatype="INT64", shape=[-1, 1]),
    ],
    outputs=[TensorSpec(name="total", datatype="FP32", shape=[-1, 1])],
)


def graph_of(factor: float) -> onnx.ModelProto:
    """Total = factor * number + code(kind) + count, with code a=1, b=2, anything else 0."""
    shape = ["batch", 1]
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["kind"],
            ["code"],
            domain="ai.onnx.ml",
            keys_strings=["a", "b"],
            values_floats=[1.0, 2.0],
            default_float=0.0,
        ),
        helper.make_node("Cast", ["count"], ["counted"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["number", "factor"], ["scaled"]),
        helper.make_node("Add", ["scaled", "code"], ["partly"]),
        helper.make_node("Add", ["partly", "counted"], ["total"]),
    ]
    inputs = [
        helper.make_tensor_value_info("number", TensorProto.FLOAT, shape),
        helper.make_tensor_value_info("kind", TensorProto.STRING, shape),
        helper.make_tensor_value_info("count", TensorProto.INT64, shape),
    ]
    outputs = [helper.make_tensor_value_info("total", TensorProto.FLOAT, shape)]
    constant = helper.make_tensor("factor", TensorProto.FLOAT, [1], [factor])
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, [constant])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def publish(store: Store, factor: float, *, proven: bool = True) -> str:
    """Publish a version; with ``proven`` false, its bundle lacks one proof."""
    return bundles.publish(store, "tiny", graph_of(factor), SIGNATURE, MAX_BATCH, proven=proven)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store whose champion doubles its number."""
    made = Store(tmp_path / "store")
    made.promote("tiny", publish(made, 2.0), reason="test")
    return made


@pytest.fixture
def publishing(store: Store) -> Callable[..., str]:
    """Publish another version into the store."""

    def publisher(factor: float, **how: Any) -> str:
        return publish(store, factor, **how)

    return publisher


@pytest.fixture
def row() -> dict[str, Any]:
    """One accepted row as arrays."""
    return {
        "number": np.array([[1.5]], dtype=np.float32),
        "kind": np.array([["b"]], dtype=object),
        "count": np.array([[10]], dtype=np.int64),
    }
