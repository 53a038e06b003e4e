"""Nodes: an ONNX graph run value by value beside the program that it was written of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import torch

from export.example import is_coded
from export.layers import apart, called
from serving.runtimes.halves import session
from staytrue.tensors import coded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from export.recorder import Recorder
    from staytrue.signature import Signature

AT_ONCE = 64
"""Values that are kept at a time."""
MOST_NODES = 20_000
"""Of a graph that is searched."""
_LEVELS = {
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


def first_difference(
    graph: Path | None,
    served: Path,
    written: torch.onnx.ONNXProgram,
    told: Recorder,
    signature: Signature,
    rows: Mapping[str, NDArray[Any]],
    near: tuple[float, float],
) -> str:
    """The first node of a graph whose value is not the program's, in words; or from which optimisation on they differ.

    Args:
        graph: the file; nothing where it is in a form that cannot be searched, and what is written anew stands for it.
        written: the graph as the exporter writes it now, by which it is told which node of several for one operator.
        told: the program's values.
        rows: as callers send them, texts with a tokenizer as token ids.
    """
    fresh = written.model_proto
    model = onnx.load(graph) if graph else fresh
    if len(model.graph.node) > MOST_NODES:
        return f"its {len(model.graph.node):,} nodes are too many to search for where it begins to differ"
    places = {name: f"staytrue.input.{place}" for place, name in enumerate(spec.name for spec in signature.inputs)}
    public = _fed(signature, rows, coded_texts=graph is None)
    given = public if graph else {places[name]: value for name, value in public.items()}
    layers, values = told.layers(), Values(model, given)
    matched = _matched(model, told, signature, placed=graph is None)
    for name, made in values.each(list(matched)):
        want = told.values[matched[name]]
        if said := apart(want, made, *near):
            inside = {places[key]: array for key, array in _fed(signature, rows, coded_texts=True).items()}
            node = _refined(values, Values(fresh, inside), name, matched, near)
            return f"{node}, from {called(layers[matched[name]])}) differs first: {said}"
    return optimised(served, given if graph else public, model, near) if graph else later(served)


class Values:
    """The values inside a graph as it is written, without optimisation."""

    def __init__(self, model: onnx.ModelProto, given: dict[str, NDArray[Any]]) -> None:
        self.model, self._given = model, given
        self.makers = {name: node for node in model.graph.node for name in node.output if name}
        opened = onnx.ModelProto()
        opened.CopyFrom(model)
        known = {value.name for value in model.graph.output}
        opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in self.makers if name not in known)
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        self._session = ort.InferenceSession(opened.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def of(self, names: Sequence[str]) -> dict[str, Any]:
        """Some values, by name."""
        if not names:  # which would be all outputs
            return {}
        made = self._session.run(list(names), self._given)
        return {
            name: torch.from_numpy(np.array(value)) if np.asarray(value).dtype != object else value
            for name, value in zip(names, made, strict=True)
        }

    def each(self, names: list[str]) -> Iterator[tuple[str, Any]]:
        """Values in the order of the names, some at a time."""
        for begin in range(0, len(names), AT_ONCE):
            yield from self.of(names[begin : begin + AT_ONCE]).items()


def _fed(signature: Signature, rows: Mapping[str, NDArray[Any]], *, coded_texts: bool) -> dict[str, NDArray[Any]]:
    return {
        spec.name: coded(spec, rows[spec.name]) if coded_texts and is_coded(spec) else rows[spec.name]
        for spec in signature.inputs
    }


def _matched(model: onnx.ModelProto, told: Recorder, signature: Signature, *, placed: bool) -> dict[str, str]:
    """Values of the graph that bear the name of one of the program's, in the order of the graph."""
    public = {spec.name for spec in (*signature.inputs, *signature.outputs)}
    made = [name for node in model.graph.node for name in node.output if name]
    found, outputs = {}, {}
    for place, plain in enumerate(told.output_names(len(signature.outputs))):
        spec = signature.outputs[place]
        coded_as = f"{spec.name}_code" if spec.datatype == "BYTES" else spec.name
        outputs[f"staytrue.output.{place}" if placed else coded_as] = plain
    for name in made:
        if name in outputs:
            found[name] = outputs[name]
            continue
        plain = name.rstrip("_") if name.rstrip("_") in public else name  # what gave way to a public name
        if name not in public:
            found[name] = plain
    return {name: plain for name, plain in found.items() if isinstance(told.values.get(plain), torch.Tensor)}


def _refined(mine: Values, fresh: Values, name: str, matched: dict[str, str], near: tuple[float, float]) -> str:
    """Of the nodes that make one value of the program's, the first that differs from the graph written anew."""
    group, left = [], [name]
    while left:
        node = mine.makers.get(left.pop())
        if node is None or node in group:
            continue
        group.append(node)
        left += [value for value in node.input if value in mine.makers and value not in matched]
    given = [node.output[0] for node in mine.model.graph.node if node in group]
    ends = zip(mine.model.graph.output, fresh.model.graph.output, strict=True)
    known = matched | {value.name: other.name for value, other in ends}
    names = {value: told for value in given if (told := known.get(value, value)) in fresh.makers}
    pairs = zip(mine.of(list(names)).items(), fresh.of(list(names.values())).values(), strict=True)
    differing = next((value for (value, have), want in pairs if apart(want, have, *near)), name)
    node = mine.makers[differing]
    return f'node "{node.name or differing}" ({node.op_type}'


def optimised(served: Path, given: dict[str, NDArray[Any]], model: onnx.ModelProto, near: tuple[float, float]) -> str:
    """From which of ONNX Runtime's optimisations on its answers are others than those of the graph as it stands."""
    names = [value.name for value in model.graph.output if value.type.tensor_type.elem_type != onnx.TensorProto.STRING]
    plain = _run(served, given, names, ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
    for level, how in _LEVELS.items():
        made = _run(served, given, names, how)
        if any(apart(plain[name], made[name], *near) for name in names):
            return f"its nodes are right one by one: ONNX Runtime's optimisation of level {level} changes its answers"
    return ""


def _run(path: Path, given: dict[str, NDArray[Any]], names: list[str], level: Any) -> dict[str, torch.Tensor]:
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 4
    return dict(zip(names, map(torch.from_numpy, session(path, options).run(names, given)), strict=True))


def later(served: Path) -> str:
    """What is told of an artefact that was made of a graph."""
    return f"the graph that {served.name} is made of is right node by node: what was made of it is not"
