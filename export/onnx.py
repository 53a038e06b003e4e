"""ONNX: one file, dynamic batch, text inputs encoded inside the graph."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import onnx
import torch
from onnx import TensorProto, helper

from export.example import tensors

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from staytrue.signature import Signature, TensorSpec

_CODE_SUFFIX = "__code"
_ML_DOMAIN = "ai.onnx.ml"
_ML_OPSET = 3


def to_onnx(module: nn.Module, signature: Signature, path: Path, max_batch: int) -> None:
    """Write the module as ONNX; inputs and outputs bear the signature's names.

    Text inputs enter the module as codes (1 + place in the categories, 0 for anything else); a LabelEncoder in front of
    it makes them, so callers send the text.

    Raises:
        torch.onnx.errors.OnnxExporterError: the module has no ONNX form.
    """
    arguments = tensors(signature)
    batch = torch.export.Dim("batch", min=1, max=max_batch) if max_batch > 1 else None
    shapes = tuple({0: batch} if batch is not None and spec.shape[:1] == [-1] else None for spec in signature.inputs)
    names = [spec.name + (_CODE_SUFFIX if spec.datatype == "BYTES" else "") for spec in signature.inputs]
    noisy = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = noisy.level
    noisy.setLevel(logging.ERROR)  # it warns of a torchvision that nobody needs
    try:
        with warnings.catch_warnings():
            # The exporter warns of its own internals; parity is proven on the result.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                arguments,
                str(path),
                dynamo=True,
                dynamic_shapes=_for_forward(module, shapes),
                input_names=names,
                output_names=[spec.name for spec in signature.outputs],
                external_data=False,
                verbose=False,
            )
    finally:
        noisy.setLevel(level)
    model = onnx.load(path)
    for spec in signature.inputs:
        if spec.datatype == "BYTES":
            _encode_text(model, spec)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _for_forward(module: nn.Module, shapes: tuple[Any, ...]) -> tuple[Any, ...]:
    """Dynamic shapes as torch.export wants them: one more level where ``forward`` takes ``*inputs``."""
    code = module.forward.__code__
    takes_any = bool(code.co_flags & 0x04)
    named = code.co_argcount - 1
    return (*shapes[:named], shapes[named:]) if takes_any else shapes


def _encode_text(model: onnx.ModelProto, spec: TensorSpec) -> None:
    """Put a LabelEncoder before an input of codes, which becomes an input of text."""
    coded = spec.name + _CODE_SUFFIX
    entry = next(value for value in model.graph.input if value.name == coded)
    entry.name = spec.name
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
    if all(opset.domain != _ML_DOMAIN for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_ML_DOMAIN, _ML_OPSET))
