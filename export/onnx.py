"""ONNX: one file, dynamic batch, text inputs encoded inside the graph."""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING

import onnx
import torch

from export import graph
from export.program import captured, quiet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import nn

    from staytrue.signature import Signature


def to_onnx(module: nn.Module, signature: Signature, path: Path, max_batch: int) -> None:
    """Write the module as ONNX; inputs and outputs bear the signature's names.

    Text inputs enter the module as codes (1 + place in the categories, 0 for anything else); a LabelEncoder in front of
    it makes them, so callers send the text. Text outputs leave the module as codes and the graph as text, likewise.
    Texts with a tokenizer enter both as token ids, which the server makes in front of the graph.

    Raises:
        torch.onnx.errors.OnnxExporterError: the module has no ONNX form.
    """
    inputs, outputs = placeholders(signature)
    with quiet(), _undisturbed():
        torch.onnx.export(
            captured(module, signature, max_batch),
            f=str(path),
            dynamo=True,
            input_names=list(inputs),
            output_names=list(outputs),
            external_data=False,
            verbose=False,
        )
    finish(path, signature)


def placeholders(signature: Signature) -> tuple[dict[str, str], dict[str, str]]:
    """What inputs and outputs are called while a graph is written, each with its own name: :func:`finish` gives it."""
    inputs = {f"staytrue.input.{place}": spec.name for place, spec in enumerate(signature.inputs)}
    return inputs, {f"staytrue.output.{place}": spec.name for place, spec in enumerate(signature.outputs)}


def finish(path: Path, signature: Signature) -> None:
    """Give a written graph its names, without the exporter's notes, and its encoding of texts."""
    inputs, outputs = placeholders(signature)
    model = onnx.load(path)
    graph.forget_origin(model)
    graph.rename(model, inputs | outputs)
    for spec in signature.inputs:
        if spec.datatype == "BYTES" and not spec.tokenizer:
            graph.encode_text(model, spec)
    for spec in signature.outputs:
        if spec.datatype == "BYTES":
            graph.decode_text(model, spec)
    onnx.checker.check_model(model)
    onnx.save(model, path)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Without garbage collection, a fifth of the exporter's time: what it makes lasts until it is done."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
