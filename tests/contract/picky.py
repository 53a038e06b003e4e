"""A model that many inputs make fail: texts that are no number, sizes that do not fit, places that are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto, helper

from staytrue.signature import Signature, TensorSpec
from staytrue.store import Store
from tests.bundles import publish

if TYPE_CHECKING:
    from pathlib import Path

NAME = "picky"
SIGNATURE = Signature(
    inputs=[
        TensorSpec(name="text", datatype="BYTES", shape=[-1, 1], categories=["0"]),
        TensorSpec(name="wide", datatype="FP32", shape=[-1, -1]),
        TensorSpec(name="place", datatype="INT64", shape=[-1, 1]),
    ],
    outputs=[TensorSpec(name="total", datatype="FP32", shape=[-1, 1])],
)


def graph() -> onnx.ModelProto:
    """Total = the text's number + the sum of ``wide`` + 10, 20 or 30 by the place.

    ``wide`` gets three zeros and is cut into rows of four: with one row, 1 or 5 values fit and 2 do not.
    """
    value, node, floats = helper.make_tensor_value_info, helper.make_node, TensorProto.FLOAT
    nodes = [
        node("Cast", ["text"], ["number"], to=floats, name="reads"),
        node("Pad", ["wide", "zeros"], ["padded"], name="pads"),
        node("Reshape", ["padded", "fours"], ["rows"], name="cuts"),
        node("ReduceSum", ["rows", "last"], ["sums"], keepdims=1, name="sums"),
        node("Gather", ["table", "place"], ["looked_up"], name="looks_up"),
        node("Add", ["number", "sums"], ["partly"]),
        node("Add", ["partly", "looked_up"], ["total"]),
    ]
    constants = [
        helper.make_tensor("zeros", TensorProto.INT64, [4], [0, 0, 0, 3]),
        helper.make_tensor("fours", TensorProto.INT64, [2], [-1, 4]),
        helper.make_tensor("last", TensorProto.INT64, [1], [1]),
        helper.make_tensor("table", floats, [3], [10.0, 20.0, 30.0]),
    ]
    inputs = [
        value("text", TensorProto.STRING, ["batch", 1]),
        value("wide", floats, ["batch", "width"]),
        value("place", TensorProto.INT64, ["batch", 1]),
    ]
    made = helper.make_graph(nodes, NAME, inputs, [value("total", floats, ["batch", 1])], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def make_store(folder: Path) -> Store:
    """A store with the model as champion."""
    store = Store(folder)
    store.promote(NAME, publish(store, NAME, graph(), SIGNATURE, 16), reason="test")
    return store
