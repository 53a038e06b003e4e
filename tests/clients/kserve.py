"""KServe's clients, over REST (V2 and V1) and over gRPC: ``python -m tests.clients.kserve REST GRPC QUESTIONS``."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import httpx
from kserve import (  # type: ignore[import-not-found]
    InferenceGRPCClient,
    InferenceRESTClient,
    InferInput,
    InferRequest,
    RESTConfig,
)

from tests.clients.question import Question, Told, told

WRONG = 'input "temperature": expected FP32 [-1,1], got FP32 [4]'


def request(question: Question, *, raw: bool, **more: Any) -> InferRequest:
    """A question in the client's words; FP16 has no JSON there, so it always goes as bytes."""
    inputs = []
    for name, (datatype, array) in question.inputs.items():
        inputs.append(InferInput(name, list(array.shape), datatype))
        inputs[-1].set_data_from_numpy(array, binary_data=raw or datatype == "FP16")
    return InferRequest(question.model, inputs, **more)


def wrong(question: Question, *, raw: bool) -> InferRequest:
    """The same with a shape that the model does not take."""
    made = request(question, raw=raw)
    made.inputs[1].shape = [made.inputs[1].shape[0]]
    return made


def outputs(response: Any) -> dict[str, Any]:
    """What came back, by name."""
    return {output.name: output.as_numpy() for output in response.outputs}


async def rest(said: Told) -> int:
    """V2 over HTTP."""
    asked = 0
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_server_live(said.rest) is True
        assert await client.is_server_ready(said.rest) is True
        assert await client.is_model_ready(said.rest, "rentals") is True
        assert await client.is_model_ready(said.rest, "cars") is False
        for key, raw in (("rentals", False), ("rentals", True), ("finite", False), ("echo", True)):
            question, headers = said.questions[key], dict[str, str]()
            more = {"parameters": {"binary_data_output": True}} if raw else {}
            sent = request(question, raw=raw, request_id=f"{key}-{raw}", **more)
            answer = await client.infer(said.rest, sent, model_name=question.model, response_headers=headers)
            question.check(outputs(answer))
            assert (answer.id, answer.model_name) == (f"{key}-{raw}", question.model)
            assert answer.parameters["event_id"] == headers["x-event-id"]
            asked += 1
        for raw in (False, True):
            try:
                await client.infer(said.rest, wrong(said.questions["rentals"], raw=raw), model_name="rentals")
            except httpx.HTTPStatusError as error:
                assert error.response.status_code == 400
                assert str(error).startswith(WRONG), error
            else:
                raise AssertionError("a wrong shape was answered")
    return asked + 2


async def rest_v1(said: Told) -> int:
    """V1 over HTTP: instances."""
    question = said.questions["rentals"]
    weather, temperature = (array.ravel().tolist() for _, array in question.inputs.values())
    rows = [{"weather": one, "temperature": other} for one, other in zip(weather, temperature, strict=True)]
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        assert await client.is_server_live(said.rest) is True
        assert await client.is_model_ready(said.rest, "rentals") is True
        answer = await client.infer(said.rest, {"instances": rows}, model_name="rentals")
        right = question.outputs["rented"][1].ravel().tolist()
        assert [round(value, 3) for value in flat(answer["predictions"])] == [round(value, 3) for value in right]
        try:
            await client.infer(said.rest, {"instances": [{"weather": "clear"}]}, model_name="rentals")
        except httpx.HTTPStatusError as error:
            assert "temperature" in str(error), error
        else:
            raise AssertionError("a row without its temperature was answered")
    return 2


def flat(rows: list[Any]) -> list[float]:
    """Rows of one number, or of lists of one."""
    return [row[0] if isinstance(row, list) else row for row in rows]


async def rpc(said: Told) -> int:
    """V2 over gRPC, tensors typed and raw."""
    asked = 0
    async with InferenceGRPCClient(said.grpc) as client:
        assert await client.is_server_live() is True
        assert await client.is_server_ready() is True
        assert await client.is_model_ready("rentals") is True
        for key, raw in (("rentals", False), ("rentals", True), ("echo", True)):
            question = said.questions[key]
            answer = await client.infer(request(question, raw=raw, request_id=f"{key}-{raw}", model_version="1"))
            question.check(outputs(answer))
            assert (answer.id, answer.model_name, answer.model_version) == (f"{key}-{raw}", question.model, "1")
            assert answer.parameters["event_id"].string_param
            asked += 1
        refusals = {
            grpc.StatusCode.INVALID_ARGUMENT: (wrong(said.questions["rentals"], raw=True), WRONG),
            grpc.StatusCode.NOT_FOUND: (
                request(said.questions["rentals"], raw=False, model_version="7"),
                'model "rentals": has no version "7"; versions: 1',
            ),
        }
        for status, (sent, words) in refusals.items():
            try:
                await client.infer(sent)
            except grpc.aio.AioRpcError as error:
                assert (error.code(), words in (error.details() or "")) == (status, True), error
            else:
                raise AssertionError(f"{status} was expected")
    return asked + len(refusals)


async def main() -> None:
    """Ask, and say how often."""
    said = told()
    print(f"{await rest(said)} requests over REST, {await rest_v1(said)} in V1, {await rpc(said)} over gRPC")


if __name__ == "__main__":
    asyncio.run(main())
