"""ONNX: one file, dynamic batch, text inputs encoded inside the graph."""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING, Any

import onnx
import torch

from export import graph
from export.program import captured, quiet
from staytrue.errors import TooLarge, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import nn

    from staytrue.signature import Signature

MOST_BYTES = 2**31 - 2**20
"""Protocol buffers end at 2 GiB; what is no weight needs some of it."""


def to_onnx(module: nn.Module, signature: Signature, path: Path, max_batch: int) -> None:
    """Write the module as ONNX; inputs and outputs bear the signature's names.

    Text inputs enter the module as codes (1 + place in the categories, 0 for anything else); a LabelEncoder in front of
    it makes them, so callers send the text. Text outputs leave the module as codes and the graph as text, likewise.
    Texts with a tokenizer enter both as token ids, which the server makes in front of the graph.

    Raises:
        Unsupported: the module has no ONNX form.
        TooLarge: one file cannot hold its weights.
    """
    _check_size(sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers())), path)
    written = converted(module, signature, max_batch)
    _check_size(sum(initializer.const_value.nbytes for initializer in _constants(written)), path)
    written.save(str(path), external_data=False)
    finish(path, signature)


def _check_size(size: int, path: Path) -> None:
    if size >= MOST_BYTES:
        expected = f"weights of less than {MOST_BYTES / 1e9:.3g} GB, which one ONNX file can hold"
        hint = "make the model smaller, or set export.formats: [pt2, torchscript], which have no such limit"
        raise TooLarge(path.name, expected=expected, got=f"{size / 1e9:.3g} GB", hint=hint)


def _constants(written: torch.onnx.ONNXProgram) -> Iterator[Any]:
    """All that the graph holds: the exporter may work constants out that no module has."""
    return (value for value in written.model.graph.initializers.values() if value.const_value is not None)


def converted(module: nn.Module, signature: Signature, max_batch: int) -> torch.onnx.ONNXProgram:
    """The module as the exporter writes it, in memory, its inputs and outputs with placeholders for names.

    Raises:
        Unsupported: the module has no ONNX form.
    """
    inputs, outputs = placeholders(signature)
    names: dict[str, Any] = {"input_names": list(inputs), "output_names": list(outputs)}
    with quiet(), _undisturbed():
        program = captured(module, signature, max_batch)
        try:
            made = torch.onnx.export(program, dynamo=True, verbose=False, **names)
        except Exception as error:  # the exporter raises a class of its own for every step
            said = " ".join(str(error).split())[:500]
            hint = "take onnx, and what is made of it, out of export.formats, or write the model with other operators"
            raise Unsupported("ONNX", f"its exporter has no form of the model: {said}", hint=hint) from error
    if made is None:
        raise Unsupported("ONNX", "its exporter gave nothing of the model")
    return made


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
