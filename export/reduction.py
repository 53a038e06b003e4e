"""Reduction: from an ONNX file to one of fewer bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.half import to_half
from export.int8 import to_dynamic, to_static
from serving.runtimes.tokens import front
from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from pathlib import Path

    from export.held import Held
    from staytrue.bundle import Format
    from staytrue.reduction import ReductionSection
    from staytrue.signature import Signature


def reduced(
    kind: Format, graph: Path, path: Path, signature: Signature, held: Held | None, settings: ReductionSection
) -> str:
    """Write the artefact; what was done, in words. Tokenizers lie beside the graph.

    Raises:
        InvalidConfig: there are no rows to calibrate and to judge it by, or nothing in it that could have fewer bits.
    """
    if held is None or not len(held.times) or not len(next(iter(held.calibration.values()))):
        hint = f"take {kind} out of export.formats"
        expected = "a run with training and validation rows, to calibrate and to judge by"
        raise InvalidConfig(f"export.formats: {kind}", expected=expected, got="none", hint=hint)
    if kind == "int8_dynamic":
        return to_dynamic(graph, path)
    if kind == "fp16":
        return to_half(graph, path)
    rows = {name: array[: settings.calibration_rows] for name, array in held.calibration.items()}
    tokenized = front(signature, path.parent) or dict
    return to_static(graph, path, tokenized(rows), settings)
