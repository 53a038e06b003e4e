"""fp16: weights, and what is computed between them, in 16 bits; inputs and outputs keep their datatypes.

ONNX Runtime's own converter brings every value to 16 bits on its way, those of nodes that are to stay in 32 too: a
caller's 100000 would be infinite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from export.graph import graphs, unique
from export.weighted import between, fits_half, named, weighted
from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_WHOLE = ("Resize", "Range", "CumSum", "TopK")
"""Take, or are told of, numbers of 32 bits alone."""


def to_half(graph: Path, path: Path) -> str:
    """Write an ONNX file with its weights in 16 bits; what was done, in words.

    Encoding of inputs and scale of outputs stay in 32: what a caller sends may be beyond what 16 bits hold.

    Raises:
        InvalidConfig: it has no weights, or they are beyond what 16 bits hold.
    """
    model = onnx.load(graph)
    inside = [node for node in between(model.graph) if _halves(model.graph, node)]
    own = {named(node) for node in inside}
    heavy = weighted(model.graph)
    halved = sum(named(node) in own for node in heavy)
    if not halved:
        got = f"{len(heavy)} nodes of larger ones" if heavy else "no weights"
        expected, hint = "weights that 16 bits hold", "take fp16 out of export.formats"
        raise InvalidConfig("export.formats: fp16", expected=expected, got=got, hint=hint)
    _halve(model, inside)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    left = len(heavy) - halved
    return f"weights of {halved} nodes in 16 bits" + (f" ({left} left in 32)" if left else "")


def _halves(graph: onnx.GraphProto, node: onnx.NodeProto) -> bool:
    branches = any(a.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for a in node.attribute)
    return not branches and node.op_type not in _WHOLE and fits_half(graph, node)


class _Value(NamedTuple):
    """A float that nodes of 16 bits take or give."""

    name: str
    half: str


def _halve(model: onnx.ModelProto, inside: list[onnx.NodeProto]) -> None:
    """Rewrite the graph: casts where a value comes in and goes out, in the order that its nodes stand in."""
    graph = model.graph
    own = {named(node) for node in inside}
    taken = {name for part in graphs(graph) for node in part.node for name in (*node.input, *node.output)}
    floats = _floats(model)
    names = [name for node in inside for name in (*node.input, *node.output) if name in floats]
    halves = {name: _Value(name, unique(f"{name}_half", taken)) for name in dict.fromkeys(names)}
    held = {tensor.name: tensor for tensor in graph.initializer}
    asked = _asked(graph, own)
    made: list[onnx.NodeProto] = []
    there = set[str]()  # halves that stand by now
    for node in graph.node:
        if named(node) not in own:
            made.append(node)
            continue
        for name in dict.fromkeys(name for name in node.input if name in halves and name not in there):
            there.add(name)
            if name in held:
                graph.initializer.append(_tensor(held[name], halves[name].half))
            else:
                made.append(_cast(name, halves[name].half, TensorProto.FLOAT16))
        given = [name for name in node.output if name in halves]
        there.update(given)
        node.input[:] = [halves[name].half if name in halves else name for name in node.input]
        node.output[:] = [halves[name].half if name in halves else name for name in node.output]
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
        made.append(node)
        made += [_cast(halves[name].half, name, TensorProto.FLOAT) for name in given if name in asked]
    del graph.node[:]
    graph.node.extend(made)
    used = {name for part in graphs(graph) for node in part.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]


def _floats(model: onnx.ModelProto) -> set[str]:
    """Values of 32 bits, by name."""
    told = onnx.shape_inference.infer_shapes(model).graph
    values = (*told.input, *told.output, *told.value_info)
    named = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    return named | {tensor.name for tensor in told.initializer if tensor.data_type == TensorProto.FLOAT}


def _asked(graph: onnx.GraphProto, own: set[str]) -> set[str]:
    """What nodes of 32 bits, branches among them, and callers take."""
    nodes: Iterable[onnx.NodeProto] = (node for part in graphs(graph) for node in part.node if named(node) not in own)
    return {name for node in nodes for name in node.input} | {value.name for value in graph.output}


def _tensor(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), name)


def _cast(source: str, made: str, to: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [made], name=f"cast_{made}", to=to)
