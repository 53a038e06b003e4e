"""Messages of the Open Inference Protocol to tensors and back.

Source: Open Inference Protocol, gRPC specification, "Inference Request", "Tensor Data" and "Raw Tensor Contents".
"""

from __future__ import annotations

import json
import math
import struct
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from google.protobuf.message import DecodeError, Message

from serving.proto.open_inference_grpc_pb2 import ModelInferResponse, ModelMetadataResponse
from staytrue.errors import InvalidInput
from staytrue.signature import NUMPY, check_shape
from staytrue.tensors import Given, Parsed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serving.dataplane import Description
    from serving.proto.open_inference_grpc_pb2 import InferTensorContents, ModelInferRequest
    from staytrue.tensors import Answer

M = TypeVar("M", bound=Message)
_FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where the typed contents of a datatype stand. FP16 has no such place: it can only be sent raw."""
_NARROW = ("INT8", "INT16", "UINT8", "UINT16")
"""Datatypes whose place holds larger numbers too."""
_LENGTH = struct.Struct("<I")


def message(kind: type[M], data: bytes) -> M:
    """Read a message.

    Raises:
        InvalidInput: the bytes are not one.
    """
    try:
        return kind.FromString(data)
    except DecodeError:
        name = kind.DESCRIPTOR.full_name
        raise InvalidInput("message", expected=f"an {name}", got=f"{len(data)} bytes that are none") from None


def parse(request: ModelInferRequest) -> Parsed:
    """Read a request.

    Raises:
        InvalidInput: what it says of a tensor is not what it holds; says where.
    """
    if not request.inputs:
        raise InvalidInput("message inputs", expected="a list of tensors", got="nothing")
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        expected = f"{len(request.inputs)}, one for each input"
        raise InvalidInput("message raw_input_contents", expected=expected, got=str(len(raw)))
    given = [_tensor(item, raw[place] if raw else None, place) for place, item in enumerate(request.inputs)]
    parameters = {name: _value(parameter) for name, parameter in request.parameters.items()}
    outputs = [item.name for item in request.outputs] or None
    return Parsed(given, id=request.id, outputs=outputs, parameters=parameters)


def write(answer: Answer, *, raw: bool) -> bytes:
    """Write the answer's message: tensors raw, or typed where every datatype has a typed form."""
    told = ModelInferResponse(model_name=answer.model, model_version=answer.version, id=answer.id)
    told.parameters["event_id"].string_param = answer.event_id
    raw = raw or any(spec.datatype not in _FIELDS for spec, _ in answer.outputs)
    for spec, array in answer.outputs:
        output = told.outputs.add(name=spec.name, datatype=spec.datatype, shape=array.shape)
        if raw:
            told.raw_output_contents.append(_to_raw(array, spec.datatype))
        else:
            values = _texts(array) if spec.datatype == "BYTES" else array.ravel().tolist()
            getattr(output.contents, _FIELDS[spec.datatype]).extend(values)
    return told.SerializeToString()


def metadata(model: Description) -> ModelMetadataResponse:
    """The model metadata response; under ``properties`` what the protocol has no place for, lists and maps as JSON."""
    properties = {name: said if isinstance(said, str) else json.dumps(said) for name, said in model.more().items()}
    told = ModelMetadataResponse(
        name=model.bundle.name, versions=model.versions, platform=model.platform, properties=properties
    )
    signature = model.bundle.signature
    for side, specs in ((told.inputs, signature.inputs), (told.outputs, signature.outputs)):
        for spec in specs:
            side.add(name=spec.name, datatype=spec.datatype, shape=spec.shape)
    return told


def _value(parameter: Any) -> Any:
    """The one value of a parameter; None where it has none."""
    chosen = parameter.WhichOneof("parameter_choice")
    return getattr(parameter, chosen) if chosen else None


def _tensor(item: ModelInferRequest.InferInputTensor, raw: bytes | None, place: int) -> Given:
    if not item.name:
        raise InvalidInput(f"inputs[{place}].name", expected="a string", got="nothing")
    where = f'input "{item.name[:100]}"'
    if item.datatype not in NUMPY:
        got = repr(item.datatype[:40])
        raise InvalidInput(f"{where} datatype", expected=f"one of {', '.join(NUMPY)}", got=got)
    shape = list(item.shape)
    check_shape(shape, where)
    if raw is None:
        flat = _from_typed(item.contents, item.datatype, math.prod(shape), where)
    elif item.HasField("contents"):
        raise InvalidInput(f"{where} contents", expected="nothing beside raw_input_contents", got="contents")
    else:
        flat = _from_raw(raw, item.datatype, math.prod(shape), where)
    return Given(item.name, item.datatype, flat.reshape(shape))


def _from_typed(contents: InferTensorContents, datatype: str, count: int, where: str) -> NDArray[Any]:
    field = _FIELDS.get(datatype)
    if field is None:
        raise InvalidInput(f"{where} contents", expected=f"raw_input_contents for {datatype}", got="typed contents")
    others = [known.name for known, _ in contents.ListFields() if known.name != field]
    if others:
        raise InvalidInput(f"{where} contents", expected=f"{field} for {datatype}", got=", ".join(others))
    values = getattr(contents, field)
    if len(values) != count:
        raise InvalidInput(f"{where} contents", expected=f"{count} values in {field}", got=str(len(values)))
    if datatype == "BYTES":
        return _decoded(values, f"{where} contents")
    if datatype in _NARROW:
        limits = np.iinfo(NUMPY[datatype])
        strange = next((value for value in values if not limits.min <= value <= limits.max), None)
        if strange is not None:
            expected = f"{datatype} from {limits.min} to {limits.max}"
            raise InvalidInput(f"{where} contents", expected=expected, got=str(strange))
    return np.array(values, dtype=NUMPY[datatype])


def _from_raw(raw: bytes, datatype: str, count: int, where: str) -> NDArray[Any]:
    where = f"{where} raw_input_contents"
    if datatype == "BYTES":
        return _decoded(_split(raw, count, where), where)
    kind = NUMPY[datatype]
    if len(raw) != count * kind.itemsize:
        expected = f"{count * kind.itemsize} bytes for {count} values of {datatype}"
        raise InvalidInput(where, expected=expected, got=str(len(raw)))
    if datatype == "BOOL":
        truth: NDArray[Any] = np.frombuffer(raw, np.uint8) != 0  # a byte of 2 would be neither true nor false
        return truth
    return np.frombuffer(raw, kind.newbyteorder("<")).astype(kind, copy=False)


def _split(raw: bytes, count: int, where: str) -> list[bytes]:
    """Elements behind their lengths, each in four little-endian bytes."""
    parts: list[bytes] = []
    place = 0
    while place < len(raw):
        begin = place + _LENGTH.size
        length = _LENGTH.unpack_from(raw, place)[0] if begin <= len(raw) else 0
        if begin + length > len(raw):
            left = max(0, len(raw) - begin)
            raise InvalidInput(f"{where}, element {len(parts)}", expected=f"4 and {length} bytes", got=f"{left} left")
        parts.append(raw[begin : begin + length])
        place = begin + length
        if len(parts) > count:
            break
    if len(parts) != count:
        got = "more" if len(parts) > count else str(len(parts))
        raise InvalidInput(where, expected=f"{count} elements, each behind its length in 4 bytes", got=got)
    return parts


def _decoded(values: Sequence[bytes], where: str) -> NDArray[Any]:
    array: NDArray[Any] = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        try:
            array[place] = value.decode()
        except UnicodeDecodeError as error:
            got = f"byte {value[error.start]:#04x} at place {error.start}"
            raise InvalidInput(f"{where}, element {place}", expected="UTF-8", got=got) from None
    return array


def _texts(array: NDArray[Any]) -> list[bytes]:
    return [str(value).encode() for value in array.ravel()]


def _to_raw(array: NDArray[Any], datatype: str) -> bytes:
    if datatype == "BYTES":
        return b"".join(_LENGTH.pack(len(text)) + text for text in _texts(array))
    return array.astype(NUMPY[datatype].newbyteorder("<"), copy=False).tobytes()
