"""Where a foreign model's artefact that failed its proof first differs from the file as given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from export import nodes
from export.layers import apart
from export.nodes import AT_ONCE, MOST_NODES, Values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from export.importing.rows import Arrays
    from staytrue.bundle import Format
    from staytrue.sections import ExportSection


def first_difference(
    kind: Format, given: onnx.ModelProto, served: Path, old: Mapping[str, str], rows: Arrays, settings: ExportSection
) -> str:
    """The first node of a written ONNX file whose value is not that of the file as given, in words; nothing if none.

    Both are run node by node without optimisation; if they agree, the levels of optimisation are tried.

    Args:
        given: with all its tensors.
        old: names of inputs as the file as given has them, by those of the signature.
    """
    try:
        if kind != "onnx":
            return nodes.later(served)
        return _found(given, onnx.load(served), served, old, rows, settings)
    except Exception as error:  # noqa: BLE001 - the failed proof is what is to be told, whatever fails in its search
        said = " ".join(str(error).split())[:200]
        return f"where it begins to differ could not be found: {type(error).__name__}: {said}"


def _found(
    given: onnx.ModelProto,
    written: onnx.ModelProto,
    served: Path,
    old: Mapping[str, str],
    rows: Arrays,
    settings: ExportSection,
) -> str:
    near = settings.absolute_tolerance, settings.relative_tolerance
    own = list(given.graph.node)
    if len(own) != len(written.graph.node) or len(own) > MOST_NODES:
        return ""
    sides = zip(own, written.graph.node, strict=True)
    pairs = [(a, b, node) for one, node in sides for a, b in zip(one.output, node.output, strict=True) if a and b]
    first, second = Values(given, {old[name]: array for name, array in rows.items()}), Values(written, rows)
    for begin in range(0, len(pairs), AT_ONCE):
        some = pairs[begin : begin + AT_ONCE]
        want, have = first.of([a for a, _, _ in some]), second.of([b for _, b, _ in some])
        for a, b, node in some:
            if said := apart(want[a], have[b], *near):
                return f'node "{node.name or b}" ({node.op_type}) differs first: {said}'
    return nodes.optimised(served, rows, written, near)
