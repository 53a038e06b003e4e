"""Changes to a finished ONNX graph: names of values, encoding of text, and what of the exporter's notes is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto, helper

from staytrue.signature import MISSING_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from staytrue.signature import TensorSpec

_ML_DOMAIN = "ai.onnx.ml"
_ML_OPSET = 3


def rename(model: onnx.ModelProto, names: Mapping[str, str]) -> None:
    """Give inputs and outputs their public names; a value inside that bears one of them already gives way.

    The exporter calls values after operators: a column named ``cat`` or ``linear`` would collide with one.

    Args:
        model: changed in place.
        names: exporter's name → public name, of all inputs and outputs.
    """
    inside = {name for graph in graphs(model.graph) for name in _values(graph)}
    taken = inside | set(names.values())
    new = dict(names)
    for name in sorted(inside & set(names.values()) - set(names)):
        new[name] = unique(name, taken)
        taken.add(new[name])
    for graph in graphs(model.graph):
        for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
            value.name = new.get(value.name, value.name)
        for node in graph.node:
            node.input[:] = [new.get(name, name) for name in node.input]
            node.output[:] = [new.get(name, name) for name in node.output]


def encode_text(model: onnx.ModelProto, spec: TensorSpec) -> None:
    """Put a LabelEncoder behind an input of codes, which becomes an input of text.

    The code of a text is 1 + its place in the categories, 0 for anything else.
    """
    coded = unique(f"{spec.name}_code", {name for graph in graphs(model.graph) for name in _values(graph)})
    for node in (node for graph in graphs(model.graph) for node in graph.node):
        node.input[:] = [coded if name == spec.name else name for name in node.input]
    entry = next(value for value in model.graph.input if value.name == spec.name)
    entry.type.tensor_type.elem_type = TensorProto.STRING
    node = helper.make_node(
        "LabelEncoder",
        [spec.name],
        [coded],
        domain=_ML_DOMAIN,
        keys_strings=spec.categories or ["\0"],
        values_int64s=list(range(1, len(spec.categories) + 1)) or [0],
        default_int64=0,
    )
    model.graph.node.insert(0, node)
    _know_text(model)


def decode_text(model: onnx.ModelProto, spec: TensorSpec) -> None:
    """Put a LabelEncoder behind an output of codes, which becomes an output of text: the way back of `encode_text`."""
    coded = unique(f"{spec.name}_code", {name for graph in graphs(model.graph) for name in _values(graph)})
    for node in (node for graph in graphs(model.graph) for node in graph.node):
        node.input[:] = [coded if name == spec.name else name for name in node.input]
        node.output[:] = [coded if name == spec.name else name for name in node.output]
    for value in (value for graph in graphs(model.graph) for value in graph.value_info):
        value.name = coded if value.name == spec.name else value.name
    entry = next(value for value in model.graph.output if value.name == spec.name)
    entry.type.tensor_type.elem_type = TensorProto.STRING
    node = helper.make_node(
        "LabelEncoder",
        [coded],
        [spec.name],
        domain=_ML_DOMAIN,
        keys_int64s=list(range(1, len(spec.categories) + 1)) or [0],
        values_strings=spec.categories or [MISSING_TEXT],
        default_string=MISSING_TEXT,
    )
    model.graph.node.append(node)
    _know_text(model)


def _know_text(model: onnx.ModelProto) -> None:
    if all(opset.domain != _ML_DOMAIN for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_ML_DOMAIN, _ML_OPSET))


def forget_origin(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes: lines of source and the paths of the machine that exported are nobody's business."""
    del model.metadata_props[:]
    for graph in graphs(model.graph):
        del graph.metadata_props[:]
        for part in (*graph.input, *graph.output, *graph.value_info, *graph.initializer, *graph.node):
            del part.metadata_props[:]
            part.ClearField("doc_string")


def unique(name: str, taken: set[str]) -> str:
    """The name, lengthened until nothing bears it.

    >>> unique("cat", {"cat", "cat_"})
    'cat__'
    """
    while name in taken:
        name += "_"
    return name


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and those inside its nodes, such as the branches of an If."""
    yield graph
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        own = [attribute.g] if attribute.HasField("g") else []  # whatever its type is said to be
        for branch in (*own, *attribute.graphs):
            yield from graphs(branch)


def _values(graph: onnx.GraphProto) -> Iterator[str]:
    """Names of all values that a graph holds."""
    for value in (*graph.input, *graph.output, *graph.initializer):
        yield value.name
    for node in graph.node:
        yield from node.output
