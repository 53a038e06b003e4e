"""CloudEvents in: KServe's own bytes, in both modes; pairs in any order, over any death, each stored once."""

from __future__ import annotations

import asyncio
import base64
import http.client
import io
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client import generate_latest

from monitoring.app import LARGEST_BODY, Api
from monitoring.display.metrics import Computed
from monitoring.ingest.cloudevents import Half, read
from monitoring.ingest.labels import LabelDesk
from monitoring.ingest.pairs import REMEMBER_SECONDS, WAIT_SECONDS, PairDesk
from staytrue.errors import InvalidInput, NotFound, Overloaded, StaytrueError, Unavailable
from staytrue.records import seconds_of
from staytrue.store import Store
from tests.kserve import REQUEST, RESPONSE, headers, message

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.monitoring.conftest import Rig

NOON = 1_300_104_000.0
ASKED = {
    "id": "mine",
    "inputs": [
        {"name": "x", "datatype": "FP32", "shape": [2, 1], "data": [1.5, 2.5]},
        {"name": "hour", "datatype": "INT64", "shape": [2, 1], "data": [1, 0]},
        {"name": "sky", "datatype": "BYTES", "shape": [2, 1], "data": ["sun", "rain"]},
    ],
}
ANSWERED = {
    "model_name": "toy",
    "model_version": "1",
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [2, 1], "data": [3.0, 5.0]}],
}
STRUCTURED = {
    "specversion": "1.0",
    "id": "a",
    "type": REQUEST,
    "source": "http://localhost:9081/",
    "time": "2011-03-14T12:00:00Z",
    "inferenceservicename": "toy",
    "datacontenttype": "application/json",
}


def wire(said: dict[str, str], payload: Any) -> tuple[dict[str, str], bytes]:
    """Headers and body as a server reads them from KServe's bytes."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    file = io.BytesIO(message("sidecar:8090", said, body))
    assert file.readline() == b"POST /v1/events HTTP/1.1\r\n"
    parsed = http.client.parse_headers(file)
    return {name.lower(): value for name, value in parsed.items()}, file.read()


def send(rig: Rig, kind: str, name: str = "a", payload: Any = None, at: float = NOON, **more: str) -> str:
    """Send one half."""
    told = (ASKED if kind == REQUEST else ANSWERED) if payload is None else payload
    return rig.parts.pairs.accept(*wire(headers(kind, name, more.pop("model", "toy"), at, **more), told))


def test_the_bytes_are_those_of_kserve() -> None:
    said = headers(REQUEST, "4b9c2e5e-7d3b-4f4e-9a0e-1d8f0a1b2c3d", "toy", NOON + 0.25)
    assert message("sidecar.ml:8090", said, b'{"instances":[[0,0,0]]}').decode() == (
        "POST /v1/events HTTP/1.1\r\n"
        "Host: sidecar.ml:8090\r\n"
        "User-Agent: Go-http-client/1.1\r\n"
        "Content-Length: 23\r\n"
        "Ce-Component: predictor\r\n"
        "Ce-Endpoint: \r\n"
        "Ce-Id: 4b9c2e5e-7d3b-4f4e-9a0e-1d8f0a1b2c3d\r\n"
        "Ce-Inferenceservicename: toy\r\n"
        "Ce-Metadata: {}\r\n"
        "Ce-Namespace: default\r\n"
        "Ce-Source: http://localhost:9081/\r\n"
        "Ce-Specversion: 1.0\r\n"
        "Ce-Time: 2011-03-14T12:00:00.250000789Z\r\n"
        "Ce-Type: org.kubeflow.serving.inference.request\r\n"
        "Content-Type: application/json\r\n"
        "Accept-Encoding: gzip\r\n"
        "\r\n"
        '{"instances":[[0,0,0]]}'
    )


def test_binary_mode_is_read_from_headers() -> None:
    found = read(*wire(headers(RESPONSE, "an%20id", "toy", NOON + 0.25, endpoint="canary"), {"a": 1}))
    assert found == Half("an id", "response", "toy", NOON + 0.25, canary=True, data=b'{"a": 1}')


@pytest.mark.parametrize("encoded", [False, True])
def test_structured_mode_is_read_from_the_body(encoded: bool) -> None:
    base = base64.b64encode(json.dumps(ASKED).encode()).decode()
    body = json.dumps(STRUCTURED | ({"data_base64": base} if encoded else {"data": ASKED})).encode()
    found = read({"content-type": "application/cloudevents+json; charset=utf-8"}, body)
    assert (found.id, found.side, found.model, found.time) == ("a", "request", "toy", NOON)
    assert json.loads(found.data) == ASKED


BINARY = {name.lower(): value for name, value in headers(REQUEST, "a", "toy", NOON).items()}


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ({}, "header ce-specversion: expected 1.0 or 0.3, got nothing; is this a CloudEvent?"),
        (BINARY | {"ce-specversion": "0.2"}, "header ce-specversion"),
        (BINARY | {"ce-id": ""}, "header ce-id: expected a text"),
        (BINARY | {"ce-id": "x" * 201}, "header ce-id: expected at most 200 characters, got 201"),
        (BINARY | {"ce-type": "com.example"}, "header ce-type: expected org.kubeflow.serving.inference.request or"),
        (BINARY | {"ce-inferenceservicename": ""}, "header ce-inferenceservicename"),
        (BINARY | {"ce-time": "yesterday"}, "header ce-time: expected Unix seconds or RFC 3339"),
        (BINARY | {"content-type": "application/cloudevents-batch+json"}, "header content-type"),
    ],
)
def test_bad_headers_are_refused_with_the_place(said: dict[str, str], where: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(said, b"{}")
    assert str(refused.value).startswith(where)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"[]", "body: is no JSON object"),
        (b"{", "body: is no JSON object"),
        (json.dumps(STRUCTURED | {"id": 7, "data": {}}).encode(), "event id: expected a text, got 7"),
        (json.dumps(STRUCTURED | {"time": 7, "data": {}}).encode(), "event time: expected RFC 3339, got 7"),
        (json.dumps(STRUCTURED | {"data_base64": "%"}).encode(), "event data_base64: expected base64"),
        (json.dumps(STRUCTURED | {"data_base64": 7}).encode(), "event data_base64: expected base64"),
        (json.dumps(STRUCTURED).encode(), "body: expected the payload"),
    ],
)
def test_bad_structured_events_are_refused_with_the_place(body: bytes, where: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read({"content-type": "application/cloudevents+json"}, body)
    assert str(refused.value).startswith(where)


@pytest.mark.parametrize("order", [(REQUEST, RESPONSE), (RESPONSE, REQUEST)])
@pytest.mark.parametrize("restart", [False, True])
def test_halves_become_one_event_in_any_order_over_a_restart(rig: Rig, order: tuple[str, str], restart: bool) -> None:
    assert send(rig, order[0], at=NOON + (order[0] == RESPONSE)) == "waiting"
    if restart:
        rig.again()
    assert send(rig, order[1], at=NOON + (order[1] == RESPONSE)) == "paired"
    rig.analyst.tick()
    assert rig.stored() == ["a", "a"]
    rows = rig.window(0, 1)
    assert rows.time.tolist() == [NOON, NOON]
    assert rows.columns["x"].tolist() == [1.5, 2.5]
    assert rows.columns["sky"].tolist() == ["sun", "rain"]
    assert rows.prediction.tolist() == [3.0, 5.0]
    assert rows.version.tolist() == ["1", "1"]
    assert rig.parts.vitals.by_status() == {("toy", "ok"): 1}
    assert rig.parts.vitals.totals["events"]["rows"] == 2
    sample = rig.registry.get_sample_value
    assert sample("staytrue_protocol_requests_total", {"model": "toy", "protocol": "cloudevents"}) == 1
    assert sample("staytrue_request_seconds_sum", {"model": "toy"}) == pytest.approx(1.0)


def test_what_comes_again_is_stored_once(rig: Rig) -> None:
    assert [send(rig, REQUEST), send(rig, REQUEST)] == ["waiting", "duplicate"]
    assert [send(rig, RESPONSE), send(rig, RESPONSE), send(rig, REQUEST)] == ["paired", "duplicate", "duplicate"]
    rig.analyst.tick()
    rig.again()
    assert send(rig, RESPONSE) == "duplicate"
    rig.analyst.tick()
    assert rig.stored() == ["a", "a"]


def test_ids_are_forgotten_after_a_while(rig: Rig) -> None:
    send(rig, REQUEST)
    send(rig, RESPONSE)
    rig.now += REMEMBER_SECONDS + 1
    rig.analyst.tick()
    with sqlite3.connect(rig.folder / "cloudevents.sqlite") as file:
        assert file.execute("SELECT count(*) FROM events").fetchone() == (0,)
    file.close()


def test_a_service_that_no_model_is_named_like_is_refused(rig: Rig) -> None:
    send(rig, REQUEST)
    with pytest.raises(NotFound, match=r'model "other": is not in the store .*models: toy'):
        send(rig, RESPONSE, model="other")
    assert rig.parts.pairs.waiting() == 1


@pytest.mark.parametrize(("kind", "status"), [(REQUEST, "unavailable"), (RESPONSE, "invalid_input")])
def test_a_half_left_alone_becomes_a_failed_event(rig: Rig, kind: str, status: str) -> None:
    send(rig, kind)
    rig.now += WAIT_SECONDS - 1
    rig.analyst.tick()
    assert (rig.parts.pairs.waiting(), rig.stored()) == (1, [])
    rig.now += 2
    rig.analyst.tick()
    assert (rig.parts.pairs.waiting(), rig.stored()) == (0, ["a"])
    assert rig.parts.vitals.by_status() == {("toy", status): 1}
    assert rig.window(0, 1).failures == 1
    assert rig.parts.pairs.outcomes["alone"] == 1
    assert send(rig, RESPONSE if kind == REQUEST else REQUEST) == "duplicate"  # too late


def test_labels_find_the_event_by_the_id_of_the_cloudevent(rig: Rig) -> None:
    send(rig, REQUEST)
    send(rig, RESPONSE)
    rig.tell(rig.label("a", 7.0, NOON + 60), rig.label("a", 8.0, NOON + 60, row=1))
    rig.analyst.tick()
    assert rig.window(0, 1).truth.tolist() == [7.0, 8.0]


def test_an_event_without_a_time_happened_when_it_came(rig: Rig) -> None:
    rig.now = NOON + 5
    said = {name: value for name, value in headers(REQUEST, "a", "toy", NOON).items() if name != "Ce-Time"}
    rig.parts.pairs.accept(*wire(said, ASKED))
    rig.now = NOON + 7
    rig.parts.pairs.accept(*wire(said | {"Ce-Type": RESPONSE}, ANSWERED))
    rig.analyst.tick()
    assert set(rig.window(0, 1).time.tolist()) == {NOON + 5}


def test_the_store_is_not_listed_anew_for_each_answer(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """At an address that would be two requests an answer; a version that was seen there is there."""
    asked, versions = list[str](), Store.versions

    def counted(self: Store, name: str) -> list[str]:
        asked.append(name)
        return versions(self, name)

    monkeypatch.setattr(Store, "versions", counted)
    for name, version in (("a", "1"), ("b", "v1.0"), ("c", None)):
        send(rig, REQUEST, name)
        send(rig, RESPONSE, name, ANSWERED | {"model_version": version})
    assert asked == []
    send(rig, REQUEST, "d")
    send(rig, RESPONSE, "d", ANSWERED | {"model_version": "9"})
    assert set(asked) == {"toy"}  # it may have been published a moment ago


def test_a_version_that_the_store_lacks_is_the_champion(rig: Rig) -> None:
    rig.publish()
    for name, version in (("a", "1"), ("b", "v1.0"), ("c", None)):
        send(rig, REQUEST, name)
        send(rig, RESPONSE, name, ANSWERED | {"model_version": version})
    rig.analyst.tick()
    rows = rig.window(0, 1)
    assert rows.version.tolist() == ["1", "1", "2", "2", "2", "2"]


def test_a_canary_is_no_champion(rig: Rig) -> None:
    send(rig, REQUEST, endpoint="canary")
    send(rig, RESPONSE, endpoint="canary")
    rig.analyst.tick()
    assert rig.parts.state.first_answer("toy") is None


@pytest.mark.parametrize(
    ("kind", "payload", "says"),
    [
        (REQUEST, b"\x00binary", "request: is not JSON"),
        (REQUEST, {"inputs": ASKED["inputs"][:2]}, 'input "sky": expected BYTES [-1,1], got nothing'),
        (RESPONSE, {"outputs": []}, "output"),
        (RESPONSE, {"error": "no"}, 'response: expected "outputs" (V2) or "predictions" (V1)'),
    ],
)
def test_payloads_that_do_not_fit_are_refused_and_counted(rig: Rig, kind: str, payload: Any, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        send(rig, kind, payload=payload)
    assert says in str(refused.value)
    assert (rig.parts.pairs.outcomes["refused"], rig.parts.pairs.waiting()) == (1, 0)


def test_an_answer_of_other_rows_than_its_request_is_refused(rig: Rig) -> None:
    send(rig, REQUEST)
    one = {"outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 1], "data": [3.0]}]}
    with pytest.raises(InvalidInput, match="response: expected 2 rows, got 1 rows; are both halves of one call"):
        send(rig, RESPONSE, payload=one)
    assert send(rig, RESPONSE) == "paired"


@pytest.mark.parametrize("logged", [False, True], ids=["before the log", "after the log"])
def test_a_kill_between_file_and_log_stores_once(rig: Rig, monkeypatch: pytest.MonkeyPatch, logged: bool) -> None:
    pairs = rig.parts.pairs

    def half_way() -> None:
        ((record,),) = pairs._db.execute("SELECT record FROM events WHERE record IS NOT NULL").fetchall()
        if logged:
            pairs._writer.append([record])

    send(rig, REQUEST, "before")
    send(rig, RESPONSE, "before")
    monkeypatch.setattr(pairs, "_flush", half_way)
    send(rig, REQUEST)
    zeros = {"name": "y", "datatype": "FP32", "shape": [2, 1], "data": [3.0, 0.0]}  # with which the record ends
    assert send(rig, RESPONSE, payload=ANSWERED | {"outputs": [zeros]}) == "paired"
    rig.again()
    rig.analyst.tick()
    rig.analyst.tick()
    assert rig.stored() == ["a", "a", "before", "before"]
    assert send(rig, RESPONSE) == "duplicate"


def test_a_log_that_is_full_costs_no_event(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise Unavailable("log", "is full")

    with monkeypatch.context() as patch:
        patch.setattr(rig.parts.pairs._writer, "append", full)
        send(rig, REQUEST)
        assert send(rig, RESPONSE) == "paired"
        with pytest.raises(Unavailable):
            rig.analyst.tick()
    rig.analyst.tick()
    assert rig.stored() == ["a", "a"]


def test_a_file_that_refuses_after_the_log_makes_no_second_event(rig: Rig) -> None:
    pairs = rig.parts.pairs
    send(rig, REQUEST)
    pairs._db.execute("CREATE TRIGGER full BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'disk'); END")
    assert send(rig, RESPONSE) == "paired"
    with pytest.raises(Unavailable, match="cannot be written: disk"):
        rig.analyst.tick()
    pairs._db.execute("DROP TRIGGER full")
    rig.analyst.tick()
    assert rig.stored() == ["a", "a"]


def test_what_waits_is_bounded(rig: Rig) -> None:
    rig.parts.pairs.close()
    parts = rig.parts
    desk = PairDesk(rig.folder, rig.store, parts.lake, parts.state, parts.vitals, most_bytes=600)
    try:
        for name in ("a", "b"):
            desk.accept(*wire(headers(REQUEST, name, "toy", NOON), ASKED))
        with pytest.raises(Overloaded, match="does the logger send both sides"):
            desk.accept(*wire(headers(REQUEST, "c", "toy", NOON), ASKED))
    finally:
        desk.close()
        rig.open()


def call(rig: Rig, said: dict[str, str], body: bytes) -> httpx.Response:
    """POST to the sidecar's application."""
    api = Api(rig.parts, LabelDesk(rig.labels), rig.registry, lambda: 0)

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(api.app(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://sidecar") as client:
            return await client.post("/v1/events", headers=said, content=body)

    return asyncio.run(post())


def test_the_endpoint_answers_202_and_refuses_with_the_place(rig: Rig) -> None:
    said, body = headers(REQUEST, "a", "toy", NOON), json.dumps(ASKED).encode()
    answer = call(rig, said, body)
    assert (answer.status_code, answer.json()) == (202, {"state": "waiting"})
    assert call(rig, said | {"Ce-Inferenceservicename": "other"}, body).status_code == 404
    wrong = call(rig, said, b"{}")
    assert wrong.status_code == 400
    assert wrong.json()["error"] == 'body "inputs": expected a list of tensors, got nothing (null)'
    assert call(rig, said, b" " * (LARGEST_BODY + 1)).status_code == 413


def test_status_and_metrics_count_what_became_of_the_events(rig: Rig) -> None:
    rig.registry.register(Computed(rig.parts, lambda: 0))
    send(rig, REQUEST)
    send(rig, RESPONSE)
    send(rig, REQUEST, "b")
    with pytest.raises(StaytrueError):
        send(rig, REQUEST, "c", payload={})
    rig.analyst.tick()
    text = generate_latest(rig.registry).decode()
    assert 'staytrue_cloudevents_total{outcome="paired"} 1.0' in text
    assert 'staytrue_cloudevents_total{outcome="refused"} 1.0' in text
    assert "staytrue_cloudevents_waiting 1.0" in text
    assert 'staytrue_events_collected_total{model="toy",status="ok"} 1.0' in text
    assert "staytrue_rows_collected_total 2.0" in text


def test_the_log_of_a_dead_sidecar_is_collected_by_the_next(rig: Rig, tmp_path: Path) -> None:
    send(rig, REQUEST)
    send(rig, RESPONSE)
    rig.again()
    rig.analyst.tick()
    rig.analyst.tick()
    assert rig.stored() == ["a", "a"]
    assert len(list((tmp_path / "cloudevents-log").glob("*-*"))) == 1  # the dead one's folder is gone


def test_times_are_read_to_the_microsecond() -> None:
    assert seconds_of("2011-03-14T12:00:00.250000789Z") == NOON + 0.25
