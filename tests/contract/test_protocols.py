"""The same requests over REST and gRPC, by plain and asyncio clients: the same bits, classes of errors and events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from serving.grpc.errors import STATUS as GRPC_STATUS
from serving.rest.errors import STATUS as REST_STATUS
from staytrue.errors import ErrorCode
from tests.contract.clients import Answered, Ask, Grpc, GrpcAsynchronous, Refused, Rest, RestAsynchronous, Sent
from tests.contract.conftest import MAX_BATCH, MAX_BYTES, SIGNATURE, Server, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staytrue.events import Event

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@dataclass
class Both:
    """One server, asked over both protocols."""

    server: Server
    rest: Rest
    grpc: Grpc

    def ask(self, ask: Ask) -> list[tuple[Answered | Refused, Event]]:
        """The request over REST, then over gRPC: what came back, and the one event that was logged."""
        found = []
        for client in (self.rest, self.grpc):
            told = client.infer(ask)
            (event,) = self.server.events()
            found.append((told, event))
        return found


@pytest.fixture(scope="module", params=[(Rest, Grpc), (RestAsynchronous, GrpcAsynchronous)], ids=["plain", "asyncio"])
def both(request: pytest.FixtureRequest, server: Server) -> Iterator[Both]:
    """Clients of the server."""
    rest, grpc = request.param
    made = Both(server, rest(server.service), grpc(server.service))
    server.events()
    yield made
    made.rest.close()
    made.grpc.close()


def sent(count: int = 1, **changed: Sent | None) -> list[Sent]:
    """A good request's inputs, with some changed or, by None, left out."""
    rows = rows_of(count)
    inputs = {spec.name: Sent(spec.name, spec.datatype, rows[spec.name]) for spec in SIGNATURE.inputs}
    return [item for item in {**inputs, **changed}.values() if item is not None]


def sized(**more: Any) -> Sent:
    """An input of that name which holds one number, with something changed."""
    return replace(Sent("size", "FP32", np.array([[1.5]], np.float32)), **more)


GOOD: dict[str, Ask] = {
    "one row": Ask(sent()),
    "several rows": Ask(sent(7)),
    "the most rows": Ask(sent(MAX_BATCH)),
    "inputs in another order": Ask(sent(2)[::-1]),
    "an unknown category": Ask(sent(town=Sent("town", "BYTES", np.array([["östlich 🏔"]], object)))),
    "a missing category": Ask(sent(town=Sent("town", "BYTES", np.array([[""]], object)))),
    "an id": Ask(sent(), id="bestellung-17 ü"),
    "a version": Ask(sent(3), version="1"),
    "the version that answers": Ask(sent(3), version="2"),
    "one output": Ask(sent(3), outputs=["parts"]),
    "outputs in another order": Ask(sent(3), outputs=["parts", "price"]),
    "names of classes": Ask(sent(7), outputs=["street"]),
    "a time as text": Ask(sent(), parameters={"event_time": "2011-05-01T08:00:00Z"}),
    "a time as a number": Ask(sent(), parameters={"event_time": 1304236800}),
    "other parameters": Ask(sent(), parameters={"colour": "red", "fast": True, "priority_of_mine": 3}),
}


@pytest.mark.parametrize("ask", GOOD.values(), ids=GOOD)
def test_a_good_request_is_answered_alike_to_the_bit(both: Both, ask: Ask) -> None:
    (rest, rest_event), (grpc, grpc_event) = both.ask(ask)
    assert isinstance(rest, Answered), rest
    assert isinstance(grpc, Answered), grpc
    assert replace(rest, event_id="") == replace(grpc, event_id="")
    assert [name for name, *_ in rest.outputs] == (ask.outputs or ["price", "parts", "street"])
    assert (rest.id, rest.version) == (ask.id, ask.version or "2")
    assert (rest.event_id, grpc.event_id) == (rest_event.id, grpc_event.id)
    assert (rest_event.protocol, grpc_event.protocol) == ("rest", "grpc")
    assert compared(rest_event) == compared(grpc_event)
    assert rest_event.rows == len(ask.inputs[0].array)
    if "event_time" in ask.parameters:
        assert rest_event.time == grpc_event.time == 1304236800.0


def compared(event: Event) -> tuple[Any, ...]:
    """What of an event does not hang on when, where and how it came."""
    said = (event.model, event.version, event.role, event.status, event.request_id, event.rows)
    return (*said, event.inputs, event.outputs)


TWO = np.array([[1.5], [2.5]], np.float32)
PAGES = np.zeros((MAX_BYTES // 4, 1), np.float32)
BAD: dict[str, tuple[Ask, ErrorCode, str]] = {
    "unknown model": (
        Ask(sent(), model="cars"),
        ErrorCode.NOT_FOUND,
        'model "cars": is not served here; models: houses',
    ),
    "unknown version": (Ask(sent(), version="7"), ErrorCode.NOT_FOUND, 'has no version "7"; versions: 1, 2'),
    "no version": (Ask(sent(), version="first"), ErrorCode.NOT_FOUND, "first"),
    "missing input": (
        Ask(sent(size=None)),
        ErrorCode.INVALID_INPUT,
        'input "size": expected FP32 [-1,1], got nothing; add it to `inputs`',
    ),
    "unknown input": (
        Ask(sent(size=sized(name="sise"))),
        ErrorCode.INVALID_INPUT,
        'input "sise": is not an input of this model; it takes "size", "rooms", "town", "photo"',
    ),
    "input twice": (Ask([*sent(), sized()]), ErrorCode.INVALID_INPUT, 'input "size": is given twice'),
    "other datatype": (
        Ask(sent(size=sized(datatype="FP64", array=np.array([[1.5]])))),
        ErrorCode.INVALID_INPUT,
        'input "size": expected FP32 [-1,1], got FP64 [1,1]',
    ),
    "numbers for text": (
        Ask(sent(town=Sent("town", "INT64", np.array([[1]])))),
        ErrorCode.INVALID_INPUT,
        'input "town": expected BYTES [-1,1], got INT64 [1,1]',
    ),
    "other rank": (
        Ask(sent(size=sized(array=np.array([1.5], np.float32)))),
        ErrorCode.INVALID_INPUT,
        'input "size": expected FP32 [-1,1], got FP32 [1]',
    ),
    "other size": (
        Ask(sent(photo=Sent("photo", "UINT8", np.zeros((1, 1, 2, 3), np.uint8)))),
        ErrorCode.INVALID_INPUT,
        'input "photo": expected UINT8 [-1,1,2,2], got UINT8 [1,1,2,3]',
    ),
    "rows that differ": (
        Ask(sent(size=sized(array=TWO))),
        ErrorCode.INVALID_INPUT,
        "inputs: expected the same number of rows in each",
    ),
    "no rows": (Ask(sent(0)), ErrorCode.INVALID_INPUT, "inputs: expected at least one row, got 0"),
    "too many rows": (
        Ask(sent(MAX_BATCH + 1)),
        ErrorCode.TOO_LARGE,
        f"inputs: expected at most {MAX_BATCH} rows, got {MAX_BATCH + 1}; send several requests",
    ),
    "more than the shape": (Ask(sent(size=sized(array=TWO, shape=[1, 1]))), ErrorCode.INVALID_INPUT, 'input "size" '),
    "less than the shape": (Ask(sent(size=sized(shape=[2, 1]))), ErrorCode.INVALID_INPUT, 'input "size" '),
    "fewer texts": (
        Ask(sent(town=Sent("town", "BYTES", np.array([["a"]], object), [2, 1]))),
        ErrorCode.INVALID_INPUT,
        'input "town" ',
    ),
    "negative size": (Ask(sent(size=sized(shape=[-1, 1]))), ErrorCode.INVALID_INPUT, 'input "size" shape: expected'),
    "many axes": (
        Ask(sent(size=sized(shape=[1] * 9))),
        ErrorCode.INVALID_INPUT,
        'input "size" shape: expected at most 8 axes',
    ),
    "no inputs": (Ask([]), ErrorCode.INVALID_INPUT, "inputs"),
    "unknown output": (
        Ask(sent(), outputs=["prize"]),
        ErrorCode.INVALID_INPUT,
        "output \"prize\": is not an output of this model; it gives ['price', 'parts', 'street']",
    ),
    "no truth": (
        Ask(sent(), outputs=["price"], binary_data="yes"),
        ErrorCode.INVALID_INPUT,
        'output "price" parameter "binary_data": expected true or false, got a string',
    ),
    "no time": (
        Ask(sent(), parameters={"event_time": "yesterday"}),
        ErrorCode.INVALID_INPUT,
        "parameter \"event_time\": expected Unix seconds or RFC 3339, got 'yesterday'",
    ),
    "true is no time": (
        Ask(sent(), parameters={"event_time": True}),
        ErrorCode.INVALID_INPUT,
        'parameter "event_time": expected Unix seconds or RFC 3339, got True',
    ),
    "too many bytes": (
        Ask(sent(size=sized(array=PAGES))),
        ErrorCode.TOO_LARGE,
        f"expected at most {MAX_BYTES} bytes, got",
    ),
}


@pytest.mark.parametrize(("ask", "code", "said"), BAD.values(), ids=BAD)
def test_a_bad_request_is_refused_alike_and_the_next_is_answered(
    both: Both, ask: Ask, code: ErrorCode, said: str
) -> None:
    (rest, rest_event), (grpc, grpc_event) = both.ask(ask)
    assert isinstance(rest, Refused), rest
    assert isinstance(grpc, Refused), grpc
    assert (rest.status, grpc.status) == (str(REST_STATUS[code]), str(GRPC_STATUS[code]))
    assert said in rest.message
    assert said in grpc.message
    assert rest_event.status == grpc_event.status == code.value
    assert (rest_event.error in rest.message, grpc_event.error in grpc.message) == (True, True)
    assert rest_event.role == grpc_event.role
    assert [isinstance(told, Answered) for told, _ in both.ask(Ask(sent()))] == [True, True]


def test_health_and_metadata_say_the_same(both: Both, server: Server) -> None:
    rest, grpc = both.rest, both.grpc
    for client in (rest, grpc):
        assert client.call("is_server_live")
        assert client.call("is_server_ready")
        assert client.call("is_model_ready", "houses")
        assert client.call("is_model_ready", "houses", "1")
    assert rest.call("get_server_metadata") == grpc.call("get_server_metadata", as_json=True)
    told = rest.call("get_model_metadata", "houses")
    asked = grpc.call("get_model_metadata", "houses", as_json=True)
    for side in ("inputs", "outputs"):
        assert [{**item, "shape": [str(size) for size in item["shape"]]} for item in told[side]] == asked[side]
    assert [told[key] for key in ("name", "versions", "platform")] == [
        asked[key] for key in ("name", "versions", "platform")
    ]
    assert server.events() == []
