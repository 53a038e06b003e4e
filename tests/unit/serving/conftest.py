"""A store with hand-made bundles of a tiny ONNX model: total = 2 * number + length of the category's place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from staytrue.bundle import CARD, MANIFEST, PROFILE, REQUIRED_BATCHES, Bundle, Lineage, Parity, digest, seal
from staytrue.records import to_json
from staytrue.signature import Signature, TensorSpec
from staytrue.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_BATCH = 16
SIGNATURE = Signature(
    inputs=[
        TensorSpec(name="number", datatype="FP32", shape=[-1, 1]),
        TensorSpec(name="kind", datatype="BYTES", shape=[-1, 1], categories=["a", "b"]),
        TensorSpec(name="count", datatype="INT64", shape=[-1, 1]),
    ],
    outputs=[TensorSpec(name="total", datatype="FP32", shape=[-1, 1])],
)


def write_model(path: Path, factor: float) -> None:
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
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)


def publish(store: Store, factor: float, *, proven: bool = True) -> str:
    """Publish a version; with ``proven`` false, its bundle lacks one proof."""
    with store.new_version("tiny") as (version, folder):
        write_model(folder / "model.onnx", factor)
        (folder / PROFILE).write_text("{}")
        (folder / CARD).write_text("# tiny\n")
        files = {path.name: digest(path) for path in folder.iterdir()}
        batches = sorted({*REQUIRED_BATCHES, MAX_BATCH})[: None if proven else -1]
        proofs = [
            Parity(
                format="onnx",
                runtime=f"onnxruntime {ort.__version__} CPU",
                artefact_sha256=files["model.onnx"].sha256,
                batch=batch,
                rows=batch,
                max_abs_error=0.0,
                max_rel_error=0.0,
                absolute_tolerance=1e-4,
                relative_tolerance=1e-4,
                passed=True,
            )
            for batch in batches
        ]
        bundle = Bundle(
            name="tiny",
            version=version,
            created="2026-01-01T00:00:00.000Z",
            task="regression",
            target="total",
            signature=SIGNATURE,
            max_batch=MAX_BATCH,
            artefacts={"onnx": "model.onnx"},
            files=files,
            parity=proofs,
            evaluation={},
            lineage=Lineage(run="none", data_fingerprint="none", project_fingerprint="none"),
        )
        (folder / MANIFEST).write_bytes(to_json(bundle))
        seal(folder)
    return version


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
