"""A real graph that runs for as long as its caller says: one row may ask for a run that never comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper

from serving.proto import open_inference_grpc_pb2 as proto
from staytrue.signature import Signature, TensorSpec
from staytrue.store import Store
from tests.bundles import publish

if TYPE_CHECKING:
    from pathlib import Path

NAME = "loops"
INFER = f"/v2/models/{NAME}/infer"
FOREVER = 10**15
"""Turns that take years."""
SIGNATURE = Signature(
    inputs=[TensorSpec(name="turns", datatype="INT64", shape=[-1, 1])],
    outputs=[TensorSpec(name="done", datatype="INT64", shape=[-1, 1])],
)


def make_store(folder: Path, always: int) -> Store:
    """A store whose champion makes so many turns in any case, and then as many as are asked for."""
    store = Store(folder)
    store.promote(NAME, publish_next(store, always), reason="test")
    return store


def publish_next(store: Store, always: int) -> str:
    """Publish a version; its number."""
    return publish(store, NAME, graph(always), SIGNATURE, 16)


def graph(always: int) -> onnx.ModelProto:
    """Turns of a loop in which a count goes up; each row is told the count.

    Shapes: turns [batch, 1] → done [batch, 1].
    """
    value, node, integer = helper.make_tensor_value_info, helper.make_node, TensorProto.INT64
    body = helper.make_graph(
        [node("Identity", ["go"], ["go_on"]), node("Add", ["count", "one"], ["counted"])],
        "turn",
        [value("turn", integer, []), value("go", TensorProto.BOOL, []), value("count", integer, [])],
        [value("go_on", TensorProto.BOOL, []), value("counted", integer, [])],
    )
    numbers = {"zero": 0, "one": 1, "always": always}
    nodes = [
        node("ReduceMax", ["turns"], ["most"], keepdims=0),
        node("Add", ["most", "always"], ["all"]),
        node("Loop", ["all", "true", "zero"], ["count_of_all"], body=body),
        node("Mul", ["turns", "zero"], ["nothing"]),
        node("Add", ["nothing", "count_of_all"], ["done"]),
    ]
    constants = [helper.make_tensor(name, integer, [], [number]) for name, number in numbers.items()]
    constants.append(helper.make_tensor("true", TensorProto.BOOL, [], [True]))
    turns, done = value("turns", integer, ["batch", 1]), value("done", integer, ["batch", 1])
    made = helper.make_graph(nodes, NAME, [turns], [done], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def rest(turns: int) -> dict[str, object]:
    """A request over REST."""
    return {"inputs": [{"name": "turns", "datatype": "INT64", "shape": [1, 1], "data": [turns]}]}


def rpc(turns: int) -> proto.ModelInferRequest:
    """A request over gRPC."""
    request = proto.ModelInferRequest(model_name=NAME, raw_input_contents=[np.int64(turns).tobytes()])
    request.inputs.add(name="turns", datatype="INT64", shape=[1, 1])
    return request
