"""Inputs that a model itself refuses, over REST and gRPC: the caller's fault in both, and nobody else's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from examples.bikeshare.demo.processes import Service
from serving.grpc.errors import STATUS as GRPC_STATUS
from serving.rest.errors import STATUS as REST_STATUS
from staytrue.errors import ErrorCode
from staytrue.readers import Reader
from tests.contract import picky
from tests.contract.clients import Answered, Ask, Grpc, Refused, Rest, Sent
from tests.contract.conftest import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PROJECT = """\
name: picky
store: store
data: {source: none.csv, time: t, target: total, features: {x: {kind: numeric}}}
serving: {log: events}
"""
STATUS = {Rest: str(REST_STATUS[ErrorCode.INVALID_INPUT]), Grpc: str(GRPC_STATUS[ErrorCode.INVALID_INPUT])}
GOOD = {"text": "1.5", "wide": [2.0], "place": 1}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a text that is no number": ({"text": "geheim"}, "Cast 'reads': a text is not the number that it has to be"),
    "a free size that does not fit": (
        {"wide": [1.0, 2.0]},
        "Reshape 'cuts': The input tensor cannot be reshaped to the requested shape. Input shape:{1,5}, requested",
    ),
    "an index out of range": ({"place": 3}, "Gather 'looks_up': indices element out of data bounds, idx=3"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The model's server."""
    folder = tmp_path_factory.mktemp("picky")
    picky.make_store(folder / "store")
    (folder / "staytrue.yaml").write_text(PROJECT)
    flags = ("--port", "0", "--grpc-port", "0", "--log", str(folder / "events"))
    service = Service("serve", folder / "staytrue.yaml", folder / "out.log", *flags)
    yield Server(service, Reader(folder / "events", "test"))
    assert service.stop() == 0
    said = (folder / "out.log").read_text()
    assert "Traceback" not in said
    assert "geheim" not in said


def ask(**changed: Any) -> Ask:
    """A request of one row."""
    row = GOOD | changed
    inputs = [
        Sent("text", "BYTES", np.array([[row["text"]]], object)),
        Sent("wide", "FP32", np.array([row["wide"]], np.float32)),
        Sent("place", "INT64", np.array([[row["place"]]], np.int64)),
    ]
    return Ask(inputs, model=picky.NAME)


def total(told: Answered | Refused) -> float:
    """What was answered."""
    assert isinstance(told, Answered), told
    ((_, _, _, content),) = told.outputs
    return float(np.frombuffer(content, np.float32)[0])


@pytest.mark.parametrize("protocol", [Rest, Grpc])
@pytest.mark.parametrize(("changed", "why"), BAD.values(), ids=BAD)
def test_inputs_that_the_model_refuses_are_the_callers_fault_and_the_next_are_answered(
    server: Server, protocol: type[Rest | Grpc], changed: dict[str, Any], why: str
) -> None:
    client = protocol(server.service)
    server.events()
    told = client.infer(ask(**changed))
    assert isinstance(told, Refused)
    assert told.status == STATUS[protocol]
    assert f'model "picky" version 1: refused these inputs: {why}' in told.message
    assert "compare them with the inputs in /v2/models/picky and with the example in /docs" in told.message
    assert not any(part in told.message for part in ("onnxruntime", ".cc:", ".h:", "geheim"))
    assert total(client.infer(ask())) == 1.5 + 2.0 + 20.0
    refused, answered = server.events()
    assert (refused.status, refused.version, answered.status) == ("invalid_input", "1", "ok")
    assert refused.error in told.message
    client.close()


def by_rest(server: Server, asks: list[Ask]) -> list[str | float]:
    """Totals, or statuses, over one connection; the client of :mod:`tests.contract.clients` keeps to one thread."""
    found: list[str | float] = []
    with httpx.Client(base_url=server.service.address, timeout=60) as client:
        for each in asks:
            tensors = [
                {"name": sent.name, "datatype": sent.datatype, "shape": sent.array.shape, "data": sent.array.tolist()}
                for sent in each.inputs
            ]
            told = client.post(f"/v2/models/{picky.NAME}/infer", json={"inputs": tensors})
            found.append(told.json()["outputs"][0]["data"][0] if told.status_code == 200 else str(told.status_code))
    return found


def by_grpc(server: Server, asks: list[Ask]) -> list[str | float]:
    """Totals, or statuses, over one connection."""
    client, found = Grpc(server.service), list[str | float]()
    for each in asks:
        told = client.infer(each)
        found.append(told.status if isinstance(told, Refused) else total(told))
    client.close()
    return found


@pytest.mark.parametrize(("over", "status"), [(by_rest, STATUS[Rest]), (by_grpc, STATUS[Grpc])])
def test_among_many_callers_at_once_only_those_of_bad_inputs_are_refused(
    server: Server, over: Callable[[Server, list[Ask]], list[str | float]], status: str
) -> None:
    def bad(place: int, turn: int) -> bool:
        return (place + turn) % 4 == 0

    def several(place: int) -> list[str | float]:
        good = {"text": str(place)}
        return over(
            server,
            [ask(**({"text": "geheim"} if bad(place, turn) else good), wide=[float(turn)]) for turn in range(20)],
        )

    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(several, range(6)))
    assert told == [[status if bad(place, turn) else 20.0 + place + turn for turn in range(20)] for place in range(6)]
    assert {event.status for event in server.events()} == {"ok", "invalid_input"}
