"""MLServer's types and codecs over plain HTTP, and its messages over gRPC.

``python -m tests.clients.mlserver REST GRPC QUESTIONS``
"""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

import grpc
import numpy as np
import pandas as pd
from mlserver import types  # type: ignore[import-not-found]
from mlserver.codecs import NumpyCodec, PandasCodec, StringCodec  # type: ignore[import-not-found]
from mlserver.grpc.converters import (  # type: ignore[import-not-found]
    ModelInferRequestConverter,
    ModelInferResponseConverter,
)
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub  # type: ignore[import-not-found]

from tests.clients.question import Question, Told, told


def call(address: str, body: str | None = None) -> tuple[int, bytes]:
    """A request by nothing but Python: status and body."""
    headers = {"Content-Type": "application/json"}
    sent = urllib.request.Request(address, None if body is None else body.encode(), headers)  # noqa: S310 - http
    try:
        with urllib.request.urlopen(sent, timeout=30) as answer:  # noqa: S310 - the same
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def infer(said: Told, model: str, request: Any) -> Any:
    """An answer in MLServer's types."""
    status, body = call(f"{said.rest}/v2/models/{model}/infer", request.model_dump_json())
    assert status == 200, body
    answer = types.InferenceResponse.model_validate_json(body)
    assert (answer.model_name, answer.model_version, answer.id) == (model, "1", request.id)
    assert answer.parameters.event_id
    return answer


def encoded(question: Question, **more: Any) -> Any:
    """A question by the codec of arrays, all datatypes alike."""
    inputs = [NumpyCodec.encode_input(name, array) for name, (_, array) in question.inputs.items()]
    return types.InferenceRequest(inputs=inputs, **more)


def decoded(answer: Any) -> dict[str, Any]:
    """Arrays, by name; texts as they stand, as an array of numpy's loses their last NUL."""
    return {
        output.name: np.array(output.data.root, object).reshape(output.shape)
        if output.datatype == "BYTES"
        else NumpyCodec.decode_output(output)
        for output in answer.outputs
    }


def arrays(said: Told) -> int:
    """Every datatype by NumpyCodec, and the rows of a real model by the codecs of texts and numbers."""
    for key in ("finite", "rentals"):
        question = said.questions[key]
        question.check(decoded(infer(said, question.model, encoded(question, id=key))))
    question = said.questions["rentals"]
    (_, weather), (_, temperature) = question.inputs.values()
    mixed = types.InferenceRequest(
        id="mixed",
        inputs=[
            StringCodec.encode_input("weather", weather.ravel().tolist()),
            NumpyCodec.encode_input("temperature", temperature),
        ],
        outputs=[types.RequestOutput(name="rented")],
    )
    question.check(decoded(infer(said, "rentals", mixed)))
    (echoed,) = [
        one for one in infer(said, "echo", encoded(said.questions["finite"])).outputs if one.name == "BYTES_back"
    ]
    assert StringCodec.decode_output(echoed) == said.questions["finite"].inputs["BYTES"][1].ravel().tolist()
    return 4


def frames(said: Told) -> int:
    """A frame there, a frame back."""
    question = said.questions["rentals"]
    # The codec knows texts as objects alone: what pandas 3 makes of them by itself is strange to it.
    columns = {name: pd.Series(array.ravel(), dtype=array.dtype) for name, (_, array) in question.inputs.items()}
    frame = pd.DataFrame(columns)
    for number, use_bytes in enumerate((False, True)):
        request = PandasCodec.encode_request(frame, use_bytes=use_bytes)
        request.id = f"frame-{number}"
        back = PandasCodec.decode_response(infer(said, "rentals", request))
        assert list(back.columns) == ["rented"]
        question.check({"rented": back["rented"].to_numpy().reshape(-1, 1)})
    return 2


def refusals(said: Told) -> int:
    """A wrong shape, a model that is not there, and a NaN, in MLServer's own type of an error."""
    question = said.questions["rentals"]
    flat = encoded(question)
    flat.inputs[1].shape = [4]
    missing = encoded(question)
    missing.inputs[1] = NumpyCodec.encode_input("temperature", np.full((4, 1), np.nan, np.float32))
    for model, request, status, words in (
        ("rentals", flat, 400, 'input "temperature": expected FP32 [-1,1], got FP32 [4]'),
        ("cars", encoded(question), 404, 'model "cars": is not served here'),
        ("rentals", missing, 400, 'input "temperature"'),
    ):
        found, body = call(f"{said.rest}/v2/models/{model}/infer", request.model_dump_json())
        assert found == status, (found, body)
        assert types.InferenceErrorResponse.model_validate_json(body).error.startswith(words), body
    return 3


def metadata(said: Told) -> int:
    """What the server tells of itself and of a model is of MLServer's types."""
    server = types.MetadataServerResponse.model_validate_json(call(f"{said.rest}/v2")[1])
    assert server.name, server
    model = types.MetadataModelResponse.model_validate_json(call(f"{said.rest}/v2/models/rentals")[1])
    assert [(item.name, item.datatype, item.shape) for item in model.inputs] == [
        (name, datatype, [-1, 1]) for name, (datatype, _) in said.questions["rentals"].inputs.items()
    ]
    index = types.RepositoryIndexResponse.model_validate_json(call(f"{said.rest}/v2/repository/index", "{}")[1])
    assert {(item.name, item.version) for item in index.root} == {("rentals", "1"), ("echo", "1")}, index
    return 3


def rpc(said: Told) -> int:
    """The same types over gRPC, tensors typed and raw."""
    question = said.questions["rentals"]
    with grpc.insecure_channel(said.grpc) as channel:
        stub = GRPCInferenceServiceStub(channel)
        for raw in (False, True):
            made = encoded(question, id="rpc")
            weather = made.inputs[0]
            weather.data.root = [text.encode() for text in weather.data.root]  # over JSON they are texts
            sent = ModelInferRequestConverter.from_types(made, model_name="rentals", model_version="1", use_raw=raw)
            answer = ModelInferResponseConverter.to_types(stub.ModelInfer(sent, timeout=30))
            assert (answer.model_name, answer.model_version, answer.id) == ("rentals", "1", "rpc")
            question.check(decoded(answer))
    return 2


def main() -> None:
    """Ask, and say how often."""
    said = told()
    asked = arrays(said) + frames(said) + refusals(said) + metadata(said)
    print(f"{asked} requests over REST, {rpc(said)} over gRPC")


if __name__ == "__main__":
    main()
