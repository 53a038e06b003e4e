"""A model that gives what it takes, of any datatypes, and rows at the limits of what each of them holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from onnx import helper

from staytrue.signature import NUMPY, Signature, TensorSpec
from staytrue.store import Store
from tests.bundles import publish

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import onnx
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


def graph_of(signature: Signature) -> onnx.ModelProto:
    """Each input, unchanged."""

    def values(specs: list[TensorSpec]) -> list[Any]:
        return [helper.make_tensor_value_info(spec.name, onnx_type(spec.datatype), ["rows", 2]) for spec in specs]

    nodes = [
        helper.make_node("Identity", [taken.name], [given.name])
        for taken, given in zip(signature.inputs, signature.outputs, strict=True)
    ]
    graph = helper.make_graph(nodes, "echo", values(signature.inputs), values(signature.outputs))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def make_store(root: Path, datatypes: Iterable[str] = NUMPY) -> None:
    """A store with the model as champion."""
    store, signature = Store(root), signature_of(datatypes)
    store.promote("echo", publish(store, "echo", graph_of(signature), signature, max_batch=16), reason="test")
