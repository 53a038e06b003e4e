"""``Predict`` as TensorFlow Serving's callers know it, over the same dataplane.

Source: tensorflow_serving/apis/predict.proto and tensorflow/core/framework/tensor.proto (github.com/tensorflow).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.grpc import codec
from serving.grpc.guard import headers_of
from serving.grpc.inference import Query
from serving.proto import tensorflow_serving_pb2 as proto
from staytrue.errors import InvalidInput, Unsupported
from staytrue.raw import decoded, from_raw, texts, to_raw
from staytrue.signature import NUMPY, check_shape
from staytrue.tensors import Given, Parsed, Wish
from staytrue.values import Where, check_range

if TYPE_CHECKING:
    import grpc
    from numpy.typing import NDArray

    from serving.grpc.guard import Context, Guard
    from serving.grpc.inference import Inference
    from staytrue.tensors import Answer

SERVICE = proto.DESCRIPTOR.services_by_name["PredictionService"].full_name
SIGNATURE = "serving_default"
EVENT_KEY = "x-event-id"
"""The trailing metadata that names the event: the answer has no place for it."""
_TYPES: dict[proto.DataType, tuple[str, str]] = {
    proto.DT_FLOAT: ("FP32", "float_val"),
    proto.DT_DOUBLE: ("FP64", "double_val"),
    proto.DT_INT32: ("INT32", "int_val"),
    proto.DT_UINT8: ("UINT8", "int_val"),
    proto.DT_INT16: ("INT16", "int_val"),
    proto.DT_INT8: ("INT8", "int_val"),
    proto.DT_STRING: ("BYTES", "string_val"),
    proto.DT_INT64: ("INT64", "int64_val"),
    proto.DT_BOOL: ("BOOL", "bool_val"),
    proto.DT_BFLOAT16: ("BF16", "half_val"),
    proto.DT_UINT16: ("UINT16", "int_val"),
    proto.DT_HALF: ("FP16", "half_val"),
    proto.DT_UINT32: ("UINT32", "uint32_val"),
    proto.DT_UINT64: ("UINT64", "uint64_val"),
}
"""TensorFlow's number of a type → ours, and the field of its values."""
_NUMBERS = {datatype: number for number, (datatype, _) in _TYPES.items()}
_BITS = ("FP16", "BF16")
"""Told by their bits."""
LENGTH_BYTES = 4
"""Before each text among raw bytes."""


def handlers(inference: Inference, guard: Guard, limit: int) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """The service's methods by name.

    Args:
        inference: asks the dataplane.
        guard: who may ask.
        limit: bytes that single values of a message stand for; whoever sends more is held to ``max_body_bytes``.
    """

    def predict(data: bytes, context: Context) -> bytes:
        headers = headers_of(context)
        guard.admit(headers, "predict", context)
        written = inference.ask(data, headers, context, lambda message: open_query(message, limit))
        context.set_trailing_metadata(((EVENT_KEY, written.event_id),))
        answer: bytes = written.body
        return answer

    return {"Predict": guard.unary(predict)}


def open_query(data: bytes, limit: int) -> Query:
    """What a ``PredictRequest`` asks.

    Raises:
        InvalidInput: the bytes are none, or name another signature than the one there is.
        Unsupported: it names a version by a label.
    """
    message = codec.message(proto.PredictRequest, data)
    spec = message.model_spec
    if spec.signature_name not in ("", SIGNATURE):
        raise InvalidInput("model_spec.signature_name", expected=SIGNATURE, got=repr(spec.signature_name[:100]))
    if spec.version_label:
        hint = "name its number, or none for the champion"
        raise Unsupported("model_spec.version_label", "versions have no labels here", hint=hint)
    version = str(spec.version.value) if spec.HasField("version") else None
    return Query(spec.name, version, lambda *_: _parse(message, limit), _write)


def _parse(message: proto.PredictRequest, limit: int) -> Parsed:
    given = []
    for name, tensor in message.inputs.items():
        given.append(_tensor(name, tensor, limit))
        array = given[-1].array
        if array.size and 0 in array.strides:  # one value stands for all
            limit -= array.size * _size(array.flat[0])
    return Parsed(given, outputs=[Wish(name) for name in message.output_filter] or None)


def _write(answer: Answer) -> bytes:
    """Values in their typed fields, as TensorFlow Serving gives them: not all callers read ``tensor_content``."""
    told = proto.PredictResponse()
    told.model_spec.name, told.model_spec.signature_name = answer.model, SIGNATURE
    told.model_spec.version.value = int(answer.version)
    for asked, array in answer.outputs:
        datatype = asked.spec.datatype
        tensor = told.outputs[asked.spec.name]
        tensor.dtype = _NUMBERS[datatype]
        for size in array.shape:
            tensor.tensor_shape.dim.add(size=size)
        getattr(tensor, _TYPES[tensor.dtype][1]).extend(_values(array, datatype))
    return told.SerializeToString()


def _tensor(name: str, tensor: proto.TensorProto, limit: int) -> Given:
    where = f'input "{name[:100]}"'
    if tensor.dtype not in _TYPES:
        known = ", ".join(f"{proto.DataType.Name(number)} ({number})" for number in _TYPES)
        raise InvalidInput(f"{where} dtype", expected=f"one of {known}", got=str(tensor.dtype))
    datatype, field = _TYPES[tensor.dtype]
    if tensor.tensor_shape.unknown_rank:
        raise InvalidInput(f"{where} tensor_shape", expected="sizes", got="an unknown rank")
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    check_shape(shape, where)
    others = [known.name for known, _ in tensor.ListFields() if known.name.endswith("_val") and known.name != field]
    if others:
        raise InvalidInput(where, expected=f"{field} for {proto.DataType.Name(tensor.dtype)}", got=", ".join(others))
    values = getattr(tensor, field)
    if not tensor.tensor_content:
        return Given(name, datatype, _shaped(_array(values, datatype, f"{where} {field}"), shape, where, limit))
    if values or datatype == "BYTES":
        raise InvalidInput(f"{where} tensor_content", expected=f"{field} alone", got="tensor_content")
    return Given(name, datatype, from_raw(tensor.tensor_content, datatype, shape, f"{where} tensor_content"))


def _array(values: Any, datatype: str, where: str) -> NDArray[Any]:
    """Values of a field as one row.

    Raises:
        InvalidInput: one is beyond its datatype's range, or no UTF-8.
    """
    if datatype == "BYTES":
        return decoded(values, where)
    kind = np.dtype(np.uint16) if datatype in _BITS else NUMPY[datatype]
    if kind.kind in "iu" and kind.itemsize < 4:
        check_range(values, kind, datatype, Where(where, lambda place: f"{where}[{place}]"))
    array: NDArray[Any] = np.array(values, dtype=kind)
    if datatype in _BITS:
        return from_raw(array.astype("<u2").tobytes(), datatype, array.shape, where)
    return array


def _shaped(array: NDArray[Any], shape: list[int], where: str, limit: int) -> NDArray[Any]:
    """Values in their shape; a single one stands for all.

    Raises:
        InvalidInput: another number of values, or one that stands for more than is left of what a message may hold.
    """
    count = math.prod(shape)
    if len(array) == count:
        return array.reshape(shape)
    if len(array) != 1:
        raise InvalidInput(where, expected=f"{count} values, or one for all", got=str(len(array)))
    if count * _size(array[0]) > limit:
        raise InvalidInput(where, expected=f"{count} values, or one for all", got=f"1 for more than {limit} bytes")
    return np.broadcast_to(array, shape)


def _size(value: Any) -> int:
    """Bytes of a value in a message: a text with its length."""
    return LENGTH_BYTES + len(value.encode()) if isinstance(value, str) else int(value.itemsize)


def _values(array: NDArray[Any], datatype: str) -> list[Any]:
    if datatype == "BYTES":
        return texts(array)
    if datatype in _BITS:
        bits: list[Any] = np.frombuffer(to_raw(array, datatype), "<u2").tolist()
        return bits
    values: list[Any] = array.ravel().tolist()
    return values
