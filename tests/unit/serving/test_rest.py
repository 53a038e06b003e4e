"""The server over HTTP: addresses, errors, and an event for every answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from serving.heartbeat import Pulse
from serving.rest.errors import STATUS
from serving.runtimes.fake import FakeRuntime
from staytrue.errors import ErrorCode
from staytrue.events import Heartbeat, decode
from staytrue.readers import Reader
from tests.unit.serving.house import House

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from staytrue.store import Store

INFER = "/v2/models/tiny/infer"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """The usual settings, small limits."""
    made = House(store, tmp_path, max_body_bytes=10_000)
    yield made
    made.close()


def request(rows: int = 1, **more: Any) -> dict[str, Any]:
    """A good request."""
    shape = [rows, 1]
    tensors = [
        {"name": "number", "datatype": "FP32", "shape": shape, "data": [float(i) for i in range(rows)]},
        {"name": "kind", "datatype": "BYTES", "shape": shape, "data": ["a"] * rows},
        {"name": "count", "datatype": "INT64", "shape": shape, "data": [10] * rows},
    ]
    return {"inputs": tensors, **more}


def test_every_code_has_a_status() -> None:
    assert set(STATUS) == set(ErrorCode)


def test_an_answer_says_who_gave_it_and_its_event_is_logged(house: House) -> None:
    answer = house.client.post(INFER, json=request(2, id="mine"), headers={"traceparent": TRACE})
    told = answer.json()
    assert answer.status_code == 200
    assert told["outputs"] == [{"name": "total", "datatype": "FP32", "shape": [2, 1], "data": [11.0, 13.0]}]
    assert (told["model_name"], told["model_version"], told["id"]) == ("tiny", "1", "mine")
    (event,) = house.events()
    assert event.id == told["parameters"]["event_id"] == answer.headers["x-event-id"]
    assert (event.model, event.version, event.role, event.status) == ("tiny", "1", "champion", "ok")
    assert (event.request_id, event.trace_id, event.rows, event.time) == ("mine", TRACE, 2, 1000.0)
    assert event.inputs[0].array().tolist() == [[0.0], [1.0]]
    assert event.inputs[1].array().tolist() == [["a"], ["a"]]
    assert event.outputs[0].array().tolist() == [[11.0], [13.0]]


def test_a_version_can_be_named_and_is_told_apart(house: House, store: Store, publishing: Callable[..., str]) -> None:
    store.promote("tiny", publishing(3.0), reason="test")
    house.registry.refresh()
    assert house.client.post("/v2/models/tiny/versions/1/infer", json=request()).json()["model_version"] == "1"
    assert house.client.post(INFER, json=request()).json()["model_version"] == "2"
    assert [event.role for event in house.events()] == ["pinned", "champion"]


def changed(place: int, **what: Any) -> dict[str, Any]:
    """A good request with one tensor changed."""
    body = request()
    body["inputs"][place].update(what)
    return body


def without(place: int) -> dict[str, Any]:
    """A good request that lacks one tensor."""
    body = request()
    del body["inputs"][place]
    return body


def twice() -> dict[str, Any]:
    """A good request with one tensor given twice."""
    body = request()
    body["inputs"].append(body["inputs"][0])
    return body


BAD: list[tuple[str, str, Any, int, str]] = [
    ("missing input", INFER, without(0), 400, 'input "number": expected FP32 [-1,1], got nothing; add it to `inputs`'),
    ("wrong type", INFER, changed(0, datatype="FP64"), 400, 'input "number": expected FP32 [-1,1], got FP64 [1,1]'),
    ("wrong shape", INFER, changed(0, shape=[1]), 400, 'input "number": expected FP32 [-1,1], got FP32 [1]'),
    ("other rows", INFER, changed(0, shape=[2, 1], data=[1, 2]), 400, "inputs: expected the same number of rows"),
    ("unknown input", INFER, changed(0, name="numbr"), 400, 'input "numbr": is not an input of this model; it takes'),
    ("input twice", INFER, twice(), 400, 'input "number": is given twice'),
    ("unknown output", INFER, request(outputs=[{"name": "sum"}]), 400, 'output "sum": is not an output of this model'),
    ("too many rows", INFER, request(17), 413, "inputs: expected at most 16 rows, got 17; send several requests"),
    ("no rows", INFER, request(0), 400, "inputs: expected at least one row, got 0"),
    ("null", INFER, changed(0, data=[None]), 400, 'input "number" data[0]: expected FP32, got nothing (null)'),
    ("unknown model", "/v2/models/tinny/infer", request(), 404, 'model "tinny": is not served here; models: tiny'),
    ("unknown version", "/v2/models/tiny/versions/7/infer", request(), 404, 'has no version "7"; versions: 1'),
    ("odd version", "/v2/models/tiny/versions/..%2f1/infer", request(), 404, ""),
    ("broken JSON", INFER, b'{"inputs": [', 400, "body, line 1"),
    ("empty body", INFER, b"", 400, "body: expected an inference request in JSON, got nothing"),
    ("large body", INFER, b"x" * 20_000, 413, "body: expected at most 10000 bytes, got 20000; send fewer rows"),
]


@pytest.mark.parametrize(("path", "body", "status", "said"), [case[1:] for case in BAD], ids=[c[0] for c in BAD])
def test_bad_input_is_told_where_expected_got_and_next_and_the_next_request_succeeds(
    house: House, path: str, body: Any, status: int, said: str
) -> None:
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    answer = house.client.post(path, **sent)
    assert answer.status_code == status
    assert said in answer.json()["error"]
    assert house.client.post(INFER, json=request()).status_code == 200
    events = house.events()
    assert events[-1].status == "ok"
    if path.count("/") <= 6 and ".." not in path:
        assert [event.status for event in events[:-1]] == [answer.json()["code"]]
        assert all(event.model in ("tiny", "") for event in events)


def test_a_body_without_length_is_cut_off_at_the_limit(house: House) -> None:
    sent = 0

    def long() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(15):
            sent += 1000
            yield b"x" * 1000

    answer = house.client.post(INFER, content=long())
    assert answer.status_code == 413
    assert sent == 15_000
    assert house.events()[0].status == "too_large"


def test_wrong_address_and_method_are_told_in_json(house: House) -> None:
    assert house.client.get("/nowhere").status_code == 404
    assert house.client.get(INFER).status_code == 405
    assert house.client.delete("/v2").json()["error"].startswith("/v2: expected GET")
    assert not house.events()


def test_a_fault_of_ours_gives_an_id_and_never_its_text(house: House) -> None:
    model = house.registry.model("tiny")
    assert model.champion

    def fail(_: Any) -> Any:
        raise RuntimeError("the secret is 1234")

    lane: Any = model.champion.lane
    lane._runtime = FakeRuntime(fail)
    answer = house.client.post(INFER, json=request())
    (event,) = house.events()
    assert answer.status_code == 500
    assert "1234" not in answer.text
    assert event.id in answer.json()["error"]
    assert (event.status, "1234" in event.error) == ("internal", False)


def test_no_prediction_is_given_that_cannot_be_logged(house: House) -> None:
    house.writer.close()
    answer = house.client.post(INFER, json=request())
    assert answer.status_code == 503
    assert "outputs" not in answer.json()


def test_more_requests_than_the_house_holds_are_told_to_come_again(store: Store, tmp_path: Path) -> None:
    house = House(store, tmp_path, max_concurrency=1)
    house.dataplane._ends.in_flight = 1
    answer = house.client.post(INFER, json=request())
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert house.events()[0].status == "overloaded"
    house.dataplane._ends.in_flight = 0
    house.close()


def test_event_time_is_believed_only_where_the_server_is_told_to(store: Store, tmp_path: Path) -> None:
    told = request(parameters={"event_time": "2011-05-01T08:00:00Z"})
    believing = House(store, tmp_path / "a", event_time="request")
    doubting = House(store, tmp_path / "b")
    for house in (believing, doubting):
        assert house.client.post(INFER, json=told).status_code == 200
    assert believing.events()[0].time == 1304236800.0
    assert doubting.events()[0].time == 1000.0
    for wrong in ("yesterday", True, -5, [1]):
        answer = believing.client.post(INFER, json=request(parameters={"event_time": wrong}))
        assert answer.status_code == 400
        assert 'parameter "event_time": expected Unix seconds or RFC 3339' in answer.json()["error"]
    for house in (believing, doubting):
        house.close()


def test_metadata_names_inputs_outputs_categories_and_runtime(house: House) -> None:
    told = house.client.get("/v2/models/tiny").json()
    assert [(i["name"], i["datatype"], i["shape"]) for i in told["inputs"]] == [
        ("number", "FP32", [-1, 1]),
        ("kind", "BYTES", [-1, 1]),
        ("count", "INT64", [-1, 1]),
    ]
    assert told["versions"] == ["1"]
    assert told["parameters"]["categories"] == {"kind": ["a", "b"]}
    assert told["parameters"]["runtime"].startswith("onnxruntime")
    assert house.client.get("/v2").json()["name"] == "staytrue"


def test_readiness_ends_when_draining_begins(house: House) -> None:
    assert house.client.get("/v2/health/live").status_code == 200
    assert house.client.get("/").json() == {"status": "alive"}  # KServe's V1
    assert house.client.get("/v2/health/ready").status_code == 200
    assert house.client.get("/v2/models/tiny/ready").status_code == 200
    house.dataplane.draining = True
    assert house.client.get("/v2/health/ready").status_code == 503
    assert house.client.get("/v2/models/tiny/ready").status_code == 503
    assert house.client.post(INFER, json=request()).status_code == 200


def test_heartbeat_tells_the_workers_state(house: House) -> None:
    house.client.post(INFER, json=request())
    house.dataplane.beat(Pulse(house.dataplane, "w", house.access.denials).beat())
    entries = [decode(payload) for batch in Reader(house.log, "r").batches() for payload in batch.payloads]
    beat = entries[-1]
    assert isinstance(beat, Heartbeat)
    assert (beat.worker, beat.ready, beat.answered, beat.versions) == ("w", True, 1, {"tiny": ["1"]})
    assert beat.resident_bytes > 1_000_000


def test_json_is_strict(house: House) -> None:
    assert json.loads(house.client.post(INFER, json=request()).text)
    assert house.client.post(INFER, content=b"{}", headers={"Content-Encoding": "br"}).status_code == 400
