"""A model that gives what it takes, of any datatypes, and rows at the limits of what each of them holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

from staytrue.bundle import CARD, MANIFEST, PROFILE, REQUIRED_BATCHES, Bundle, Lineage, Parity, digest, seal
from staytrue.records import to_json
from staytrue.signature import NUMPY, Signature, TensorSpec
from staytrue.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

TEXTS = ["", "a", "ü🏔", "zwei\nZeilen", "\0", '"'] + ["länger " * 40] * 2


def extremes(datatype: str, *, finite: bool) -> NDArray[Any]:
    """Four rows of what a datatype can hold: its limits, zeros of both signs, and what has no short decimal form."""
    kind = NUMPY[datatype]
    values: list[Any]
    if datatype == "BYTES":
        values = TEXTS
    elif datatype == "BOOL":
        values = [True, False] * 4
    elif kind.kind in "iu":
        limits = np.iinfo(kind)
        values = [limits.min, limits.max, 0, 1, limits.max - 1, limits.min + 1, 7, 42]
    else:
        bounds = np.finfo(kind)
        others = [np.pi, bounds.eps, bounds.tiny] if finite else [np.nan, np.inf, -np.inf]
        values = [bounds.min, bounds.max, bounds.smallest_subnormal, -0.0, 1 / 3, *others]
    array = np.array(values, dtype=kind).reshape(4, 2)
    return (array.view(np.uint32) & 0xFFFF0000).view(np.float32) if datatype == "BF16" else array  # what it can hold


def onnx_type(datatype: str) -> int:
    """ONNX's number of a datatype. Beside texts ONNX Runtime's Python takes no bfloat16: they pass as floats here."""
    return int(helper.np_dtype_to_tensor_dtype(NUMPY[datatype]))


def signature_of(datatypes: Iterable[str]) -> Signature:
    """An input of each datatype and an output beside it, all named after it."""
    taken = [TensorSpec(name=name, datatype=name, shape=[-1, 2]) for name in datatypes]  # type: ignore[arg-type]
    return Signature(inputs=taken, outputs=[msgspec.structs.replace(spec, name=f"{spec.name}_back") for spec in taken])


def write_model(path: Path, signature: Signature) -> None:
    """Each input, unchanged."""

    def values(specs: list[TensorSpec]) -> list[Any]:
        return [helper.make_tensor_value_info(spec.name, onnx_type(spec.datatype), ["rows", 2]) for spec in specs]

    nodes = [
        helper.make_node("Identity", [taken.name], [given.name])
        for taken, given in zip(signature.inputs, signature.outputs, strict=True)
    ]
    graph = helper.make_graph(nodes, "echo", values(signature.inputs), values(signature.outputs))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def make_store(root: Path, datatypes: Iterable[str] = NUMPY) -> None:
    """A store with the model as champion; its proof is written by hand."""
    store, signature = Store(root), signature_of(datatypes)
    with store.new_version("echo") as (version, folder):
        write_model(folder / "model.onnx", signature)
        (folder / PROFILE).write_text("{}")
        (folder / CARD).write_text("# echo\n")
        files = {path.name: digest(path) for path in folder.iterdir()}
        proof = {"max_abs_error": 0.0, "max_rel_error": 0.0, "absolute_tolerance": 1e-4, "relative_tolerance": 1e-4}
        proofs = [
            Parity(
                format="onnx",
                runtime=f"onnxruntime {ort.__version__} CPU",
                artefact_sha256=files["model.onnx"].sha256,
                batch=batch,
                rows=batch,
                passed=True,
                **proof,
            )
            for batch in sorted({*REQUIRED_BATCHES, 16})
        ]
        bundle = Bundle(
            name="echo",
            version=version,
            created="2026-01-01T00:00:00.000Z",
            task="regression",
            target="y",
            signature=signature,
            max_batch=16,
            artefacts={"onnx": "model.onnx"},
            files=files,
            parity=proofs,
            evaluation={},
            lineage=Lineage(run="none", data_fingerprint="none", project_fingerprint="none"),
        )
        (folder / MANIFEST).write_bytes(to_json(bundle))
        seal(folder)
    store.promote("echo", version, reason="test")
