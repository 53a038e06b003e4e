"""A real network for pictures, 4.6 MB of weights: versions in a store, requests, and what ONNX Runtime answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from serving.proto import open_inference_grpc_pb2 as proto
from staytrue.signature import Signature, TensorSpec
from staytrue.store import Store
from tests.bundles import publish

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

NAME = "pictures"
INFER = f"/v2/models/{NAME}/infer"
CHANNELS, OUTPUTS = 3, 10
ROWS = 16
"""That are asked for, each with a known answer."""
MAX_BATCH = 64
RELATIVE, ABSOLUTE = 1e-3, 1e-3
"""A row in a batch may differ from the row alone in its last digits; answers of two versions differ by far more."""
LAYERS = ((64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1))
"""Convolutions of 3 x 3 after the first: channels before and after, and stride."""


def make_store(folder: Path, versions: int, side: int) -> Store:
    """Publish versions for square pictures, each with weights of its own; the first is champion."""
    store = Store(folder)
    signature = Signature(
        inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, CHANNELS, side, side])],
        outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1, OUTPUTS])],
    )
    for seed in range(versions):
        publish(store, NAME, network(seed, max(1, side // 64)), signature, MAX_BATCH)
    store.promote(NAME, "1", reason="test")
    return store


def network(seed: int, stride: int) -> onnx.ModelProto:
    """Six convolutions with random weights: a row of 32 x 32 takes some milliseconds, one of 64 x 64 four times that.

    Args:
        seed: of the weights.
        stride: of the first convolution: with 2 a row of 128 x 128 takes as long as one of 64 x 64 without.

    Shapes: x [batch, 3, height, width] → y [batch, 10].
    """
    draw = np.random.default_rng(seed)
    nodes, weights, at = [], [], "x"

    def drawn(name: str, *shape: int) -> str:
        values = draw.normal(scale=np.sqrt(2 / np.prod(shape[1:])), size=shape).astype(np.float32)
        weights.append(numpy_helper.from_array(values, name))
        return name

    for number, (before, after, step) in enumerate(((CHANNELS, 64, stride), *LAYERS)):
        inputs = [at, drawn(f"w{number}", after, before, 3, 3)]
        nodes.append(helper.make_node("Conv", inputs, [f"c{number}"], strides=[step, step], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{number}"], [f"r{number}"]))
        at = f"r{number}"
    nodes.append(helper.make_node("GlobalAveragePool", [at], ["pooled"]))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"]))
    nodes.append(helper.make_node("Gemm", ["flat", drawn("w", OUTPUTS, LAYERS[-1][1])], ["y"], transB=1))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", CHANNELS, "height", "width"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", OUTPUTS])
    graph = helper.make_graph(nodes, NAME, [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def rows(side: int) -> Array:
    """Rows to ask for."""
    return np.random.default_rng(0).normal(size=(ROWS, CHANNELS, side, side)).astype(np.float32)


def answers(store: Store, x: Array) -> dict[str, Array]:
    """What ONNX Runtime itself makes of each row alone, by version."""
    found = {}
    for version in store.versions(NAME):
        path = store.path(NAME, version) / "model.onnx"
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        found[version] = np.concatenate([session.run(None, {"x": row[None]})[0] for row in x])
    return found


def rest(x: Array, **headers: str) -> bytes:
    """A request over HTTP/1.1, tensors of it and of its answer as bytes."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [*x.shape], "parameters": {"binary_data_size": x.nbytes}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    said: dict[str, Any] = {
        "Host": "127.0.0.1",
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": len(head),
        "Content-Length": len(head) + x.nbytes,
    }
    said |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    return f"POST {INFER} HTTP/1.1\r\n{lines}\r\n".encode() + head + x.tobytes()


def rpc(x: Array) -> proto.ModelInferRequest:
    """A request over gRPC with raw contents."""
    request = proto.ModelInferRequest(model_name=NAME, raw_input_contents=[x.tobytes()])
    request.inputs.add(name="x", datatype="FP32", shape=[*x.shape])
    return request


def same(found: Array, known: Array) -> bool:
    """Whether an answer is the one that is known."""
    return found.shape == known.shape and bool(np.allclose(found, known, rtol=RELATIVE, atol=ABSOLUTE))
