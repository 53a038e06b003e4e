"""Weighted: the nodes of a graph that hold a model's weights, and those between them, which may take fewer bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Iterable

OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN")
"""That multiply by weights."""
_EMBEDDING = "weight"
"""How PyTorch calls the rows that a Gather looks up; other tables, such as those of an encoder, are no weights."""
LARGEST = 65504.0
"""That 16 bits hold."""


def weighted(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Nodes that multiply by weights of the graph's own, in the order of the graph; not those in branches."""
    held = {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT and tensor.dims}
    return [node for node in graph.node if _multiplies(node, held) or _embeds(node, held)]


def named(node: onnx.NodeProto) -> str:
    """What a node can be told by: the first value that it gives. Names of nodes may be empty, values are unique."""
    return str(next(name for name in node.output if name))


def between(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The weighted nodes and all that lies on a way from one to another: no encoding of inputs, no scale of outputs.

    What stands before them sees a caller's numbers, and what stands behind them the target's: either may be beyond
    what few bits hold.
    """
    heavy = {named(node) for node in weighted(graph)}
    after = _reached(graph.node, heavy)
    before = _reached(reversed(graph.node), heavy, backwards=True)
    return [node for node in graph.node if named(node) in heavy | (after & before)]


def fits_half(graph: onnx.GraphProto, node: onnx.NodeProto) -> bool:
    """Whether all that a node holds of its own is within what 16 bits hold."""
    tensors = (tensor for tensor in graph.initializer if tensor.name in node.input)
    floats = (numpy_helper.to_array(one) for one in tensors if one.data_type == TensorProto.FLOAT)
    return all(bool(np.all(np.abs(values) <= LARGEST)) for values in floats)


def _multiplies(node: onnx.NodeProto, held: set[str]) -> bool:
    return node.op_type in OPERATORS and bool(held.intersection(node.input))


def _embeds(node: onnx.NodeProto, held: set[str]) -> bool:
    return node.op_type == "Gather" and node.input[0] in held and node.input[0].split(".")[-1] == _EMBEDDING


def _reached(nodes: Iterable[onnx.NodeProto], heavy: set[str], *, backwards: bool = False) -> set[str]:
    """Nodes behind some heavy one, or before one; in the order that they are walked in."""
    values, found = set[str](), set[str]()
    for node in nodes:
        taken, given = (node.output, node.input) if backwards else (node.input, node.output)
        if values.intersection(taken):
            found.add(named(node))
        if named(node) in heavy or named(node) in found:
            values.update(name for name in given if name)
    return found
