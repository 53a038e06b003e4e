"""The signature of a foreign graph, as the graph itself tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnx import TensorProto

from staytrue.errors import Unsupported
from staytrue.signature import MOST_AXES, Datatype, Signature, TensorSpec

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

_DATATYPES: dict[int, Datatype] = {
    TensorProto.BOOL: "BOOL",
    TensorProto.UINT8: "UINT8",
    TensorProto.UINT16: "UINT16",
    TensorProto.UINT32: "UINT32",
    TensorProto.UINT64: "UINT64",
    TensorProto.INT8: "INT8",
    TensorProto.INT16: "INT16",
    TensorProto.INT32: "INT32",
    TensorProto.INT64: "INT64",
    TensorProto.FLOAT16: "FP16",
    TensorProto.BFLOAT16: "BF16",
    TensorProto.FLOAT: "FP32",
    TensorProto.DOUBLE: "FP64",
    TensorProto.STRING: "BYTES",
}


def signature_of(model: onnx.ModelProto, path: Path) -> Signature:
    """Names, datatypes and shapes of the graph, axes of any size as -1.

    Raises:
        Unsupported: an input or output is no tensor, of a datatype that the Open Inference Protocol lacks, or of no
            known number of axes; or there is no input.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [_spec(value, "input", path) for value in model.graph.input if value.name not in weights]
    if not inputs:
        raise Unsupported(str(path), "takes no input: there is nothing that a caller could ask it")
    return Signature(inputs=inputs, outputs=[_spec(value, "output", path) for value in model.graph.output])


def _spec(value: Any, side: str, path: Path) -> TensorSpec:
    where, kind = f'{path}: {side} "{value.name}"', value.type.WhichOneof("value")
    if kind != "tensor_type":
        said = str(kind).removesuffix("_type").replace("_", " ")
        hint = "export it again so that it gives tensors (scikit-learn's converter: zipmap=False)"
        raise Unsupported(where, expected="a tensor", got=said, hint=hint)
    tensor = value.type.tensor_type
    datatype = _DATATYPES.get(tensor.elem_type)
    if datatype is None:
        got = TensorProto.DataType.Name(tensor.elem_type)
        raise Unsupported(where, expected="a datatype of the Open Inference Protocol", got=got)
    if not tensor.HasField("shape") or len(tensor.shape.dim) > MOST_AXES:
        hint = "run onnx.shape_inference on it, or export it again"
        raise Unsupported(where, expected=f"a known number of axes, at most {MOST_AXES}", got="others", hint=hint)
    shape = [dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else -1 for dim in tensor.shape.dim]
    return TensorSpec(name=value.name, datatype=datatype, shape=shape)
