"""Messages of the Open Inference Protocol to tensors and back.

Source: Open Inference Protocol, gRPC specification, "Inference Request", "Tensor Data" and "Raw Tensor Contents".
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from google.protobuf.message import DecodeError, Message

from serving.proto.open_inference_grpc_pb2 import ModelInferResponse, ModelMetadataResponse
from staytrue.bodies import wish
from staytrue.classification import ranked
from staytrue.errors import InvalidInput
from staytrue.raw import decoded, from_raw, plain, texts, to_raw
from staytrue.signature import NUMPY, check_shape
from staytrue.tensors import ALL_BINARY, Given, Parsed, Wish
from staytrue.texts import check_name
from staytrue.values import Where, check_range, kind, no_datatype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.description import Description
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
"""Where the typed contents of a datatype stand. FP16 and BF16 have no such place: they can only be sent raw."""
_NARROW = ("INT8", "INT16", "UINT8", "UINT16")
"""Datatypes whose place holds larger numbers too."""
_FEW = 64


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
    inputs, raw = request.inputs, request.raw_input_contents
    if not inputs:
        raise InvalidInput("message inputs", expected="a list of tensors", got="nothing")
    if raw and len(raw) != len(inputs):
        expected = f"{len(inputs)}, one for each input"
        raise InvalidInput("message raw_input_contents", expected=expected, got=str(len(raw)))
    given = [_tensor(item, raw[place] if raw else None, place) for place, item in enumerate(inputs)]
    name, outputs, parameters = request.id, request.outputs, request.parameters
    if name:
        check_name(name, "message id")
    return Parsed(given, name, _outputs(outputs) if outputs else None, _said(parameters) if parameters else {})


def write(answer: Answer, *, raw: bool) -> bytes:
    """Write the answer's message: tensors raw, or typed where every datatype has a typed form."""
    told = ModelInferResponse(model_name=answer.model, model_version=answer.version, id=answer.id)
    told.parameters["event_id"].string_param = answer.event_id
    raw = raw or any(asked.spec.datatype not in _FIELDS and not asked.classes for asked, _ in answer.outputs)
    for asked, given in answer.outputs:
        datatype, array = asked.spec.datatype, given
        if asked.classes:
            datatype, array = "BYTES", ranked(asked, given, answer.labels)
        output = told.outputs.add(name=asked.spec.name, datatype=datatype, shape=array.shape)
        if raw:
            told.raw_output_contents.append(to_raw(array, datatype))
        else:
            values = texts(array) if datatype == "BYTES" else array.ravel().tolist()
            getattr(output.contents, _FIELDS[datatype]).extend(values)
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


def _values(parameters: Any) -> dict[str, Any]:
    """Parameters by name, each with its one value; None where it has none."""
    chosen = {name: parameter.WhichOneof("parameter_choice") for name, parameter in parameters.items()}
    return {name: getattr(parameters[name], field) if field else None for name, field in chosen.items()}


def _said(parameters: Any) -> dict[str, Any]:
    """A request's parameters; the one that means something over REST alone has to be what it is there."""
    values = _values(parameters)
    binary = values.get(ALL_BINARY, False)
    if not isinstance(binary, bool):
        raise InvalidInput(f'message parameter "{ALL_BINARY}"', expected="true or false", got=kind(binary))
    return values


def _outputs(said: Any) -> list[Wish]:
    """Outputs asked for; over gRPC all are raw or none is."""
    wishes = []
    for item in said:
        check_name(item.name, "message outputs")
        asked = wish(item.name, _values(item.parameters), binary=False)
        wishes.append(Wish(item.name, classes=asked.classes))
    return wishes


def _tensor(item: ModelInferRequest.InferInputTensor, raw: bytes | None, place: int) -> Given:
    name, datatype = item.name, item.datatype
    if not name:
        raise InvalidInput(f"inputs[{place}].name", expected="a string", got="nothing")
    if "\0" in name:
        check_name(name, f"inputs[{place}].name")
    shape = item.shape[:]
    if raw is not None and not item.HasField("contents"):
        array = plain(raw, datatype, shape)
        if array is not None:
            return Given(name, datatype, array)
    where = f'input "{name[:100]}"'
    if datatype not in NUMPY:
        raise no_datatype(f"{where} datatype", datatype)
    check_shape(shape, where)
    if raw is None:
        array = _from_typed(item.contents, datatype, math.prod(shape), where).reshape(shape)
    elif item.contents.ByteSize():  # an empty one says nothing: MLServer sends it beside raw tensors
        raise InvalidInput(f"{where} contents", expected="nothing beside raw_input_contents", got="contents")
    else:
        array = from_raw(raw, datatype, shape, f"{where} raw_input_contents")
    return Given(name, datatype, array)


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
        return decoded(values, f"{where} contents")
    if datatype in _NARROW:
        named = Where(f"{where} contents", lambda place: f"{where} contents.{field}[{place}]")
        check_range(values, NUMPY[datatype], datatype, named)
    # numpy takes many from the message's own memory, which takes a while to begin.
    if count < _FEW:
        return np.fromiter(values, NUMPY[datatype], count)
    return np.array(values, dtype=NUMPY[datatype])
