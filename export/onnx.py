"""ONNX: one file, dynamic batch, text inputs encoded inside the graph."""

from __future__ import annotations

import contextlib
import gc
import logging
import warnings
from typing import TYPE_CHECKING, Any

import onnx
import torch

from export import graph
from export.example import EXAMPLE_BATCH, tensors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import nn
    from torch.export import ExportedProgram

    from staytrue.signature import Signature

_KNOWN_WARNINGS = (
    # The exporter's own steps warn each other; nothing in them is for who exports.
    (UserWarning, "Anomaly Detection has been enabled"),
    (UserWarning, "# The axis name: batch will not be used"),
    (UserWarning, r"The tensor attributes? .*\._flat_weights"),  # recurrent cells list their weights once more
    (FutureWarning, r"`isinstance\(treespec, LeafSpec\)` is deprecated"),
)


def to_onnx(module: nn.Module, signature: Signature, path: Path, max_batch: int) -> None:
    """Write the module as ONNX; inputs and outputs bear the signature's names.

    Text inputs enter the module as codes (1 + place in the categories, 0 for anything else); a LabelEncoder in front of
    it makes them, so callers send the text. Text outputs leave the module as codes and the graph as text, likewise.
    Texts with a tokenizer enter both as token ids, which the server makes in front of the graph.

    Raises:
        torch.onnx.errors.OnnxExporterError: the module has no ONNX form.
    """
    # torch.export specialises on a batch that the range excludes; the server holds the smaller maximum.
    batch = torch.export.Dim("batch", min=1, max=max(max_batch, EXAMPLE_BATCH))
    shapes = tuple({0: batch} if spec.shape[:1] == [-1] else None for spec in signature.inputs)
    inputs, outputs = placeholders(signature)
    with _quiet(), _undisturbed():
        torch.onnx.export(
            _captured(module, tensors(signature), _for_forward(module, shapes)),
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


def _captured(module: nn.Module, example: tuple[torch.Tensor, ...], shapes: tuple[Any, ...]) -> ExportedProgram:
    """The module as a graph. The exporter's own capture takes recurrent cells apart into loops over their steps."""
    try:
        return torch.export.export(module, example, dynamic_shapes=shapes)
    except Exception as error:  # torch raises a class of its own for every reason
        raise torch.onnx.OnnxExporterError(str(error)) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the known warnings of the exporter."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)  # it warns of a torchvision that nobody needs
    try:
        with warnings.catch_warnings():
            for category, message in _KNOWN_WARNINGS:
                warnings.filterwarnings("ignore", category=category, message=message)
            yield
    finally:
        registration.setLevel(level)


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


def _for_forward(module: nn.Module, shapes: tuple[Any, ...]) -> tuple[Any, ...]:
    """Dynamic shapes as torch.export wants them: one more level where ``forward`` takes ``*inputs``."""
    code = module.forward.__code__
    takes_any = bool(code.co_flags & 0x04)
    named = code.co_argcount - 1
    return (*shapes[:named], shapes[named:]) if takes_any else shapes
