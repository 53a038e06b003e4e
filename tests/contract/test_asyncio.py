"""What only asyncio's clients do: many requests at once, streams over gRPC, and tensors in every form of both."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tritonclient.grpc.aio
import tritonclient.http.aio

from tests.contract.clients import Answered, Ask, Grpc, GrpcAsynchronous, Rest, RestAsynchronous, Sent
from tests.contract.conftest import MAX_BATCH, SIGNATURE, Server, rows_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from staytrue.events import Event

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.parametrize("server", ["onnx"], indirect=True),
]
AT_ONCE = 60


def sent(count: int) -> list[Sent]:
    """A good request's inputs of so many rows."""
    rows = rows_of(count)
    return [Sent(spec.name, spec.datatype, rows[spec.name]) for spec in SIGNATURE.inputs]


def http_inputs(count: int, *, binary: bool) -> list[Any]:
    """The same for HTTP's client."""
    made = []
    for item in sent(count):
        made.append(tritonclient.http.aio.InferInput(item.name, list(item.array.shape), item.datatype))
        made[-1].set_data_from_numpy(item.array, binary_data=binary)
    return made


def grpc_inputs(count: int, **shapes: list[int]) -> list[Any]:
    """The same for gRPC's, some of another shape than they say."""
    made = []
    for item in sent(count):
        made.append(tritonclient.grpc.aio.InferInput(item.name, list(item.array.shape), item.datatype))
        made[-1].set_data_from_numpy(item.array).set_shape(shapes.get(item.name, list(item.array.shape)))
    return made


def expected(server: Server) -> dict[int, Answered]:
    """What a plain client is told of so many rows."""
    client, found = Rest(server.service), {}
    for count in range(1, MAX_BATCH + 1):
        told = client.infer(Ask(sent(count)))
        assert isinstance(told, Answered), told
        found[count] = told
    client.close()
    server.events()
    return found


def same(told: Answered, right: Answered) -> bool:
    """Whether the outputs are the same to the bit; batched runs differ by less than a float tells of itself."""
    pairs = zip(told.outputs, right.outputs, strict=True)
    return all(
        one[:3] == other[:3]
        and (
            one[3] == other[3]
            if one[1] == "BYTES"
            else bool(np.allclose(np.frombuffer(one[3], "<f4"), np.frombuffer(other[3], "<f4"), rtol=1e-6))
        )
        for one, other in pairs
    )


@pytest.mark.parametrize("client", [RestAsynchronous, GrpcAsynchronous])
def test_of_many_requests_at_once_each_gets_its_own_answer(
    server: Server, client: type[RestAsynchronous | GrpcAsynchronous]
) -> None:
    right, caller = expected(server), client(server.service)
    sizes = [1 + number % MAX_BATCH for number in range(AT_ONCE)]

    async def all_of_them(calls: Any, given: list[list[Any]]) -> list[Any]:
        asked = [calls.infer("houses", inputs, request_id=str(number)) for number, inputs in enumerate(given)]
        return await asyncio.gather(*asked)

    given = [[caller.input(item) for item in sent(size)] for size in sizes]
    answers = [caller.answered(result) for result in caller._runner.run(all_of_them(caller.calls, given))]
    caller.close()
    assert [told.id for told in answers] == [str(number) for number in range(AT_ONCE)]
    assert [same(told, right[size]) for told, size in zip(answers, sizes, strict=True)] == [True] * AT_ONCE
    events = server.events()
    assert {event.id: (event.request_id, event.rows) for event in events} == {
        told.event_id: (told.id, size) for told, size in zip(answers, sizes, strict=True)
    }


def test_a_stream_answers_in_order_and_goes_on_after_a_refusal(server: Server) -> None:
    right = expected(server)
    asked: list[dict[str, Any]] = [
        {"model_name": "houses", "inputs": grpc_inputs(2), "request_id": "first"},
        {"model_name": "houses", "inputs": grpc_inputs(2, size=[2]), "request_id": "wrong"},
        {"model_name": "cars", "inputs": grpc_inputs(2), "request_id": "nobody"},
        {"model_name": "houses", "inputs": grpc_inputs(5), "request_id": "last", "model_version": "2"},
    ]

    async def requests() -> AsyncIterator[dict[str, Any]]:
        for request in asked:
            yield request

    async def streamed() -> list[tuple[Any, Any]]:
        async with tritonclient.grpc.aio.InferenceServerClient(server.service.grpc) as client:
            return [told async for told in client.stream_infer(requests(), stream_timeout=60)]

    told = asyncio.run(streamed())
    assert [error is None for _, error in told] == [True, False, False, True]
    first, last = (Grpc.answered(object.__new__(Grpc), told[place][0]) for place in (0, 3))
    assert (first.id, last.id, last.version) == ("first", "last", "2")
    assert (same(first, right[2]), same(last, right[5])) == (True, True)
    assert 'input "size": expected FP32 [-1,1], got FP32 [2]' in told[1][1].message()
    assert 'model "cars": is not served here' in told[2][1].message()
    events = server.events()
    assert [event.status for event in events] == ["ok", "invalid_input", "not_found", "ok"]
    assert [events[place].request_id for place in (0, 1, 3)] == ["first", "wrong", "last"]


def test_a_stream_that_its_caller_cancels_is_let_go(server: Server) -> None:
    async def cancelled() -> Any:
        forever = asyncio.Event()

        async def requests() -> AsyncIterator[dict[str, Any]]:
            yield {"model_name": "houses", "inputs": grpc_inputs(1)}
            await forever.wait()

        async with tritonclient.grpc.aio.InferenceServerClient(server.service.grpc) as client:
            for _ in range(64):  # more than the server holds at once
                stream = client.stream_infer(requests(), stream_timeout=60)
                result, error = await anext(stream)
                assert error is None, error
                assert stream.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await anext(stream)
            return await client.infer("houses", grpc_inputs(1)), result

    after, within = asyncio.run(cancelled())
    assert after.as_numpy("price") == pytest.approx(within.as_numpy("price"))
    server.events()


@pytest.mark.parametrize("binary", [False, True], ids=["JSON", "bytes"])
def test_both_forms_over_http_give_the_same_bits(server: Server, binary: bool) -> None:
    right = expected(server)[3]

    async def asked() -> Any:
        outputs = [
            tritonclient.http.aio.InferRequestedOutput(spec.name, binary_data=binary) for spec in SIGNATURE.outputs
        ]
        async with tritonclient.http.aio.InferenceServerClient(server.service.address[len("http://") :]) as client:
            return await client.infer("houses", http_inputs(3, binary=binary), outputs=outputs)

    told = Rest.answered(object.__new__(Rest), asyncio.run(asked()))
    assert told.outputs == right.outputs
    (event,) = server.events()
    assert (event.id, event.rows) == (told.event_id, 3)


def ranked(texts: Any, values: Any) -> None:
    """Each row's highest values, as ``value:place``."""
    assert texts.shape == (3, 2)
    for row, numbers in zip(texts, values, strict=True):
        places = np.argsort(-numbers)[:2]
        pairs = [(text if isinstance(text, str) else text.decode()).split(":")[:2] for text in row]
        assert [int(place) for _, place in pairs] == places.tolist()
        assert [float(value) for value, _ in pairs] == pytest.approx(numbers[places].tolist(), rel=1e-5)


def test_classification_ranks_each_row_over_both_protocols(server: Server) -> None:
    async def asked() -> tuple[list[Any], Any]:
        told = []
        async with tritonclient.http.aio.InferenceServerClient(server.service.address[len("http://") :]) as client:
            for binary in (False, True):
                output = tritonclient.http.aio.InferRequestedOutput("parts", binary_data=binary, class_count=2)
                result = await client.infer("houses", http_inputs(3, binary=binary), outputs=[output])
                told.append(result.as_numpy("parts"))
        async with tritonclient.grpc.aio.InferenceServerClient(server.service.grpc) as client:
            output = tritonclient.grpc.aio.InferRequestedOutput("parts", class_count=2)
            result = await client.infer("houses", grpc_inputs(3), outputs=[output])
            told.append(result.as_numpy("parts"))
            return told, (await client.infer("houses", grpc_inputs(3))).as_numpy("parts")

    told, values = asyncio.run(asked())
    for texts in told:
        ranked(texts, values)
    events: list[Event] = server.events()
    assert [event.status for event in events] == ["ok"] * 4
