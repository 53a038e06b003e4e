"""TensorFlow Serving's API package: ``python -m tests.clients.tensorflow REST GRPC QUESTIONS``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2  # type: ignore[import-untyped]
from tensorflow_serving.apis import (  # type: ignore[import-not-found]
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.clients.question import Question, Told, told

if TYPE_CHECKING:
    from numpy.typing import NDArray

TYPES: dict[str, tuple[int, str]] = {
    "BOOL": (types_pb2.DT_BOOL, "bool_val"),
    "UINT8": (types_pb2.DT_UINT8, "int_val"),
    "UINT16": (types_pb2.DT_UINT16, "int_val"),
    "UINT32": (types_pb2.DT_UINT32, "uint32_val"),
    "UINT64": (types_pb2.DT_UINT64, "uint64_val"),
    "INT8": (types_pb2.DT_INT8, "int_val"),
    "INT16": (types_pb2.DT_INT16, "int_val"),
    "INT32": (types_pb2.DT_INT32, "int_val"),
    "INT64": (types_pb2.DT_INT64, "int64_val"),
    "FP16": (types_pb2.DT_HALF, "half_val"),
    "FP32": (types_pb2.DT_FLOAT, "float_val"),
    "FP64": (types_pb2.DT_DOUBLE, "double_val"),
    "BYTES": (types_pb2.DT_STRING, "string_val"),
}
"""Datatype → TensorFlow's number of it, and the field of its values."""


def tensor(datatype: str, array: NDArray[Any], *, content: bool) -> Any:
    """A tensor as TensorFlow writes it: its bytes, or values in their field; texts have the latter alone."""
    number, field = TYPES[datatype]
    made = tensor_pb2.TensorProto(dtype=number)
    for size in array.shape:
        made.tensor_shape.dim.add(size=size)
    if datatype == "BYTES":
        made.string_val.extend(text.encode() for text in array.ravel().tolist())
    elif content:
        made.tensor_content = array.astype(array.dtype.newbyteorder("<")).tobytes()
    else:
        values = array.view(np.uint16) if datatype == "FP16" else array  # told by their bits
        getattr(made, field).extend(values.ravel().tolist())
    return made


def request(question: Question, *, content: bool, **spec: Any) -> Any:
    """A question in the client's words."""
    made = predict_pb2.PredictRequest()
    made.model_spec.name = question.model
    if "version" in spec:
        made.model_spec.version.value = spec["version"]
    made.model_spec.signature_name = spec.get("signature", "")
    for name, (datatype, array) in question.inputs.items():
        made.inputs[name].CopyFrom(tensor(datatype, array, content=content))
    return made


def outputs(answer: Any, question: Question) -> dict[str, Any]:
    """What came back by name, in our order: a map has none."""
    numbers, found = {number: datatype for datatype, (number, _) in TYPES.items()}, {}
    for name in question.outputs:
        told = answer.outputs[name]
        datatype = numbers[told.dtype]
        values = getattr(told, TYPES[datatype][1])
        kind: Any = object if datatype == "BYTES" else question.outputs[name][1].dtype
        flat = np.array(values, np.uint16).view(np.float16) if datatype == "FP16" else np.array(values, kind)
        found[name] = flat.reshape([size.size for size in told.tensor_shape.dim])
    assert sorted(answer.outputs) == sorted(question.outputs)
    return found


def answers(said: Told) -> int:
    """Predictions, in each form of a tensor."""
    asked = 0
    with grpc.insecure_channel(said.grpc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for key in ("rentals", "echo"):
            question = said.questions[key]
            for content, spec in ((True, {}), (False, {"version": 1, "signature": "serving_default"})):
                answer, call = stub.Predict.with_call(request(question, content=content, **spec), timeout=30)
                question.check(outputs(answer, question))
                named = answer.model_spec
                told_of = (named.name, named.version.value, named.signature_name)
                assert told_of == (question.model, 1, "serving_default")
                assert dict(call.trailing_metadata())["x-event-id"]
                asked += 1
        filtered = request(said.questions["echo"], content=True)
        filtered.output_filter.append("BYTES_back")
        assert list(stub.Predict(filtered, timeout=30).outputs) == ["BYTES_back"]
    return asked + 1


def refusals(said: Told) -> int:
    """A wrong shape, and a version, a model and a signature that are not there."""
    question = said.questions["rentals"]
    flat = request(question, content=True)
    del flat.inputs["temperature"].tensor_shape.dim[1]
    nobody = request(question, content=True)
    nobody.model_spec.name = "cars"
    cases = (
        (flat, grpc.StatusCode.INVALID_ARGUMENT, 'input "temperature": expected FP32 [-1,1], got FP32 [4]'),
        (request(question, content=True, version=7), grpc.StatusCode.NOT_FOUND, 'has no version "7"; versions: 1'),
        (nobody, grpc.StatusCode.NOT_FOUND, 'model "cars": is not served here'),
        (request(question, content=True, signature="other"), grpc.StatusCode.INVALID_ARGUMENT, "signature_name"),
    )
    with grpc.insecure_channel(said.grpc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for sent, status, words in cases:
            try:
                stub.Predict(sent, timeout=30)
            except grpc.RpcError as error:
                found: Any = error
                assert (found.code(), words in found.details()) == (status, True), error
            else:
                raise AssertionError(f"{status} was expected")
    return len(cases)


async def at_once(said: Told) -> int:
    """Many over asyncio's channel."""
    question = said.questions["rentals"]
    async with grpc.aio.insecure_channel(said.grpc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        calls = [stub.Predict(request(question, content=bool(number % 2)), timeout=30) for number in range(20)]
        for answer in await asyncio.gather(*calls):
            question.check(outputs(answer, question))
    return len(calls)


def main() -> None:
    """Ask, and say how often."""
    newer = "request_options" in predict_pb2.PredictRequest.DESCRIPTOR.fields_by_name
    assert newer, "these are not the messages of tensorflow-serving-api, but of what lies below it"
    said = told()
    print(f"{answers(said) + refusals(said) + asyncio.run(at_once(said))} requests over gRPC")


if __name__ == "__main__":
    main()
