"""Brief requests of one turn of the loop are answered together, as they would be one by one through the queue."""

from __future__ import annotations

import json
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from serving.calls import ID_LENGTH, Stretch
from serving.pace import Pace
from serving.rest import codec, forms
from serving.runtimes.fake import FakeRuntime
from serving.turns import BriefLane
from staytrue.asking import example
from staytrue.errors import Unavailable
from staytrue.events import tensors_of
from staytrue.signature import TensorSpec
from staytrue.tensors import Answer, Asked
from tests.unit.serving.conftest import MAX_BATCH
from tests.unit.serving.grpc_house import until
from tests.unit.serving.house import House
from tests.unit.serving.test_rest import INFER, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from serving.loading import Loaded
    from staytrue.events import Event
    from staytrue.store import Store

MANY = 12


def champion_of(house: House) -> Loaded:
    """Who answers."""
    champion = house.registry.model("tiny").champion
    assert champion
    return champion


def lane_of(house: House) -> BriefLane:
    """The champion's."""
    lane = champion_of(house).lane
    assert isinstance(lane, BriefLane)
    return lane


def brief(house: House) -> None:
    """Have the model count as brief, however slow this machine is."""
    lane = lane_of(house)
    lane._pace = Pace()
    lane.expect(1e-5)


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """A server of a brief model."""
    made = House(store, tmp_path, max_body_bytes=100_000)
    brief(made)
    yield made
    made.close()


@pytest.fixture
def submitted(house: House, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Requests that took the usual way."""
    taken: list[Any] = []
    submit = house.dataplane.submit

    def watched(asked: Any, *rest: Any, **how: Any) -> Any:
        taken.append(asked)
        return submit(asked, *rest, **how)

    monkeypatch.setattr(house.dataplane, "submit", watched)
    return taken


def usually(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every request take the usual way."""
    monkeypatch.setattr(house.dataplane.turns, "answer", lambda *_: None)


def hold(house: House, do: Callable[[], None]) -> None:
    """Do something while the server's loop is held up, so that what it brings meets in one turn."""
    held, done = threading.Event(), threading.Event()
    house.loop.call_soon_threadsafe(held.set)
    house.loop.call_soon_threadsafe(done.wait, 20)
    assert held.wait(20)
    do()
    done.set()


def at_once(house: House, bodies: list[bytes], head: str = "") -> list[dict[str, Any]]:
    """Send requests over connections of their own while the loop is held up, so that they meet in one turn."""
    host, port = house.address.removeprefix("http://").split(":")
    before = len(house.server._connections)
    connections = [socket.create_connection((host, int(port)), timeout=20) for _ in bodies]
    until(lambda: len(house.server._connections) == before + len(bodies))

    def send() -> None:
        for connection, body in zip(connections, bodies, strict=True):
            start = (
                f"POST {INFER} HTTP/1.1\r\nHost: here\r\n{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            connection.sendall(start.encode() + body)

    hold(house, send)
    answers = []
    for connection in connections:
        with connection, connection.makefile("rb") as file:
            told = file.read()
        first, _, body = told.partition(b"\r\n\r\n")
        answers.append({"status": int(first.split()[1]), **json.loads(body)})
    return answers


def bodies_of(numbers: list[list[float]]) -> list[bytes]:
    """A request for each, with these numbers."""
    made = []
    for some in numbers:
        asked = request(len(some))
        asked["inputs"][0]["data"] = some
        made.append(json.dumps(asked).encode())
    return made


def values(answer: dict[str, Any]) -> list[float]:
    """Of its only output."""
    found: list[float] = answer["outputs"][0]["data"]
    return found


def plain(event: Event) -> dict[str, Any]:
    """An event without what no two have alike."""
    own = ("id", "queue_seconds", "run_seconds", "recorded")
    return {name: getattr(event, name) for name in event.__struct_fields__ if name not in own}


def test_those_of_one_turn_are_one_run_and_each_gets_its_own_rows(house: House, submitted: list[Any]) -> None:
    lane = lane_of(house)
    before = lane.counts.runs
    numbers = [[float(number)] * (1 + number % 2) for number in range(10)]
    answers = at_once(house, bodies_of(numbers))
    assert [values(answer) for answer in answers] == [[2 * x + 11 for x in some] for some in numbers]
    assert lane.counts.runs - before == 1
    assert submitted == []
    events = {event.id: event for event in house.events()}
    for some, answer in zip(numbers, answers, strict=True):
        event = events.pop(answer["parameters"]["event_id"])
        assert event.inputs[0].array().ravel().tolist() == some
        assert event.inputs[1].array().ravel().tolist() == ["a"] * len(some)
        assert event.outputs[0].array().ravel().tolist() == values(answer)
    assert events == {}
    (told,) = house.dataplane.statistics.told("tiny")
    assert (told["inference_count"], told["inference_stats"]["success"]["count"]) == (15, 10)
    assert sum(one["batch_size"] * one["compute_infer"]["count"] for one in told["batch_stats"]) == 15
    assert (house.dataplane.answered, house.dataplane.in_flight) == (10, 0)


def test_no_run_is_larger_than_was_proven(house: House, submitted: list[Any]) -> None:
    lane = lane_of(house)
    rows: list[int] = []
    real = lane._runtime

    def run(inputs: Any) -> Any:
        rows.append(len(inputs["number"]))
        return real.run(inputs)

    lane._runtime = FakeRuntime(run)
    numbers = [[1.0] * 7 for _ in range(5)]
    assert [values(answer) for answer in at_once(house, bodies_of(numbers))] == [[13.0] * 7] * 5
    assert rows == [14, 14, 7]
    assert MAX_BATCH == 16
    assert submitted == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda asked: asked["inputs"][0].update(datatype="FP64"), "invalid_input"),
        (lambda asked: asked["inputs"][0].update(shape=[1]), "invalid_input"),
        (lambda asked: asked["inputs"][0].update(shape=[2, 1]), "invalid_input"),
        (lambda asked: asked["inputs"][0].update(shape=[-1, -1]), "invalid_input"),
        (lambda asked: asked["inputs"][0].update(data=[1e39]), "invalid_input"),
        (lambda asked: asked["inputs"][2].update(data=[1.5]), "invalid_input"),
        (lambda asked: asked["inputs"][2].update(data=[2**63]), "invalid_input"),
        (lambda asked: asked["inputs"][1].update(data=[7]), "invalid_input"),
        (lambda asked: asked["inputs"].pop(), "invalid_input"),
        (lambda asked: asked["inputs"].append(asked["inputs"][0]), "invalid_input"),
        (lambda asked: asked["inputs"][0].update(name="other"), "invalid_input"),
        (lambda asked: asked.update(outputs=[{"name": "no"}]), "invalid_input"),
        (lambda asked: asked.update(id="mine"), ""),
        (lambda asked: asked.update(parameters={"binary_data_output": True}), ""),
        (lambda asked: asked["inputs"].reverse(), ""),
        (lambda asked: asked["inputs"][0].update(data=[[1.0]]), ""),
        (lambda asked: asked["inputs"][1].update(data=['"', "\\"][:1]), ""),
        (lambda asked: asked["inputs"][1].update(data=["\0ü"]), ""),
    ],
)
def test_what_is_answered_and_logged_does_not_depend_on_the_way(
    house: House, monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], None], code: str
) -> None:
    asked = request()
    change(asked)
    first = house.client.post(INFER, json=asked)
    usually(house, monkeypatch)
    second = house.client.post(INFER, json=asked)
    assert first.status_code == second.status_code == (400 if code else 200)
    one, other = (event.id.encode() for event in house.events())
    assert first.content.replace(one, b"") == second.content.replace(other, b"")
    assert {name.lower() for name in first.headers} == {name.lower() for name in second.headers}
    events = [plain(event) for event in house.events()]
    assert events[0] == events[1]
    assert events[0]["status"] == (code or "ok")


numbers_of = st.one_of(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(-(2**70), 2**70))
shapes = st.one_of(st.just([1, 1]), st.just([2, 1]), st.lists(st.integers(-1, 3), max_size=3))
data_of = st.one_of(
    st.lists(st.one_of(numbers_of, st.text(max_size=3), st.booleans(), st.none()), max_size=3),
    st.lists(st.lists(numbers_of, max_size=2), max_size=2),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_small_body_is_read_as_the_usual_way_reads_it_or_not_at_all(house: House, data: Any) -> None:
    form = forms.form_of(champion_of(house).bundle)
    assert form is not None
    asked = request(data.draw(st.integers(1, 2)))
    for tensor in asked["inputs"]:
        if data.draw(st.booleans()):
            field = data.draw(st.sampled_from(["shape", "data", "datatype"]))
            drawn = {"shape": shapes, "data": data_of, "datatype": st.sampled_from(["FP32", "INT64", "BYTES", "BOOL"])}
            tensor[field] = data.draw(drawn[field])
    body = json.dumps(asked).encode()
    read = form.read([body], MAX_BATCH)
    answer = house.client.post(INFER, content=body)
    if not read:
        return
    assert answer.status_code == 200
    event = house.events()[-1]
    assert read == [([0], [event.rows], [tensor.data for tensor in event.inputs])]


def test_poison_fails_alone(house: House, submitted: list[Any]) -> None:
    lane = lane_of(house)
    real = lane._runtime

    def run(inputs: Any) -> Any:
        if (inputs["number"] < 0).any():
            raise RuntimeError("poison")
        return real.run(inputs)

    lane._runtime = FakeRuntime(run)
    answers = at_once(house, bodies_of([[1.0], [-1.0], [2.0]]))
    assert [answer["status"] for answer in answers] == [200, 500, 200]
    assert [values(answers[0]), values(answers[2])] == [[13.0], [15.0]]
    assert submitted
    assert sorted(event.status for event in house.events()) == ["internal", "ok", "ok"]


def test_other_rows_than_were_given_are_never_split(house: House) -> None:
    lane = lane_of(house)
    lane._runtime = FakeRuntime(lambda inputs: {"total": np.ones((1, 1), np.float32)[: len(inputs["number"])]})
    answers = at_once(house, bodies_of([[1.0], [2.0], [3.0]]))
    assert {answer["status"] for answer in answers} <= {200, 500}
    assert all(len(values(answer)) == 1 for answer in answers if answer["status"] == 200)
    assert len(house.events()) == 3


def test_answers_that_json_has_no_numbers_for_are_told_by_the_policy_and_soon_not_run_twice(house: House) -> None:
    lane = lane_of(house)
    runs: list[int] = []

    def run(inputs: Any) -> Any:
        runs.append(len(inputs["number"]))
        return {"total": np.full((len(inputs["number"]), 1), np.nan, np.float32)}

    lane._runtime = FakeRuntime(run)
    refused = house.client.post(INFER, json=request())
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_input")
    assert len(runs) == 2
    for _ in range(forms.MOST_UNFIT):
        house.client.post(INFER, json=request())
    runs.clear()
    assert house.client.post(INFER, json=request()).status_code == 400
    assert len(runs) == 1


@pytest.mark.parametrize("role", ["shadow", "challengers"])
def test_where_another_version_is_asked_as_well_all_take_the_usual_way(
    house: House, submitted: list[Any], monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    model = house.registry.model("tiny")
    house.client.post(INFER, json=request())
    assert submitted == []
    monkeypatch.setattr(model, role, model.champion if role == "shadow" else {"1": model.champion})
    assert house.client.post(INFER, json=request()).status_code == 200
    assert len(submitted) == 1


def test_a_lane_that_is_used_or_ends_is_not_gone_past(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    lane = lane_of(house)
    monkeypatch.setattr(lane, "_threads", 1)  # one that is at work
    assert lane.run_now({}, 1) is None
    monkeypatch.undo()
    with lane._lock:
        assert lane.run_now({}, 1) is None
    lane.closed = True
    assert lane.run_now({}, 1) is None
    lane.closed = False
    inputs = example(champion_of(house).bundle.signature)
    assert lane.run_now(inputs, 1) is not None
    lane._pace = Pace()
    lane.expect(1.0)
    assert lane.run_now(inputs, 1) is None
    assert house.client.post(INFER, json=request()).status_code == 200


def test_no_prediction_is_given_that_cannot_be_logged(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Any) -> None:
        raise Unavailable("event log", "is full")

    with monkeypatch.context() as broken:
        for way in ("append", "append_woven"):
            broken.setattr(house.writer, way, full)
        answers = at_once(house, bodies_of([[1.0], [2.0]]))
    assert [answer["status"] for answer in answers] == [503, 503]
    assert house.client.post(INFER, json=request()).status_code == 200
    assert len(house.events()) == 1


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_fault_of_ours_answers_nobody_twice_and_forgets_nobody(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    """Before the events are written, or after."""
    turns, at = house.dataplane.turns, {"before": "_run", "after": "_statistics"}[where]
    monkeypatch.setattr(turns, at, (lambda *_: 1 / 0) if where == "before" else None)
    answers = at_once(house, bodies_of([[1.0], [2.0]]))
    assert [values(answer) for answer in answers] == [[13.0], [15.0]]
    assert "could not be answered at once" in caplog.text
    assert champion_of(house).calls == 0
    assert len(house.events()) == 2


def test_who_hangs_up_within_the_turn_leaves_an_event_that_says_so(house: House) -> None:
    body = bodies_of([[1.0]])[0]
    host, port = house.address.removeprefix("http://").split(":")
    house.client.post(INFER, content=body)
    reached: list[Any] = []
    take = house.rest._turn.take

    def hang_up(exchange: Any, prepared: Any, data: bytes) -> None:
        take(exchange, prepared, data)
        reached.append(exchange)
        exchange.to.transport.abort()
        exchange.to.connection_lost(None)

    house.rest._turn.take = hang_up  # type: ignore[method-assign,assignment]
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = f"POST {INFER} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        connection.settimeout(20)
        assert connection.recv(100) == b""
    house.rest._turn.take = take  # type: ignore[method-assign]
    assert house.client.post(INFER, content=body).status_code == 200
    assert [event.status for event in house.events()] == ["ok", "cancelled", "ok"]
    assert house.dataplane.in_flight == 0


def test_more_than_the_house_holds_are_answered_in_several_goes(store: Store, tmp_path: Path) -> None:
    house = House(store, tmp_path, max_concurrency=2)
    try:
        brief(house)
        numbers = [[float(number)] for number in range(MANY)]
        assert [values(answer) for answer in at_once(house, bodies_of(numbers))] == [[2 * x + 11] for [x] in numbers]
    finally:
        house.close()


def test_each_has_its_line_where_all_are_asked_for(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(store, tmp_path, access_log=True)
    try:
        brief(house)
        with caplog.at_level(logging.INFO, logger="serving.endings"):
            answers = at_once(house, bodies_of([[1.0], [2.0]]), head="X-Request-Id: mine\r\n")
        lines = [line for line in caplog.messages if line.startswith("request event=")]
        assert [line.split()[1:3] for line in lines] == [
            [f"event={answer['parameters']['event_id']}", "id='mine'"] for answer in answers
        ]
        assert all("model=tiny version=1 role=champion protocol=rest status=ok" in line for line in lines)
        assert {event.request_id for event in house.events()} == {"mine"}
    finally:
        house.close()


def test_texts_that_a_model_answers_with_are_told_as_the_usual_way_tells_them(house: House) -> None:
    bundle = champion_of(house).bundle
    outputs = [TensorSpec(name="class", datatype="BYTES", shape=[-1]), *bundle.signature.outputs]
    told = structs.replace(bundle, signature=structs.replace(bundle.signature, outputs=outputs))
    form = forms.form_of(told)
    assert form is not None
    given = {"class": np.array(["a", "é", "c"], object), "total": np.array([[1], [2], [3]], np.float32)}
    answers = form.answers(given, 3)
    assert answers is not None
    mine = {name: array[1:3] for name, array in given.items()}
    asked = [(Asked(spec), mine[spec.name]) for spec in outputs]
    written, _, _ = codec.write(Answer("e1".rjust(ID_LENGTH), "", "tiny", "1", asked, []), "reject")
    names = b"e0".rjust(ID_LENGTH) + b"e1".rjust(ID_LENGTH)
    assert answers.write(names, Stretch.all([1, 2]))[1].texts() == [written]
    assert answers.blocks == [tensor.data for tensor in tensors_of(outputs, given)]


@pytest.mark.parametrize("shape", [[1, 1], [-1, -1], [-1, 0]], ids=["no batch", "free axis", "nothing in a row"])
def test_models_of_other_shapes_have_no_short_way(house: House, shape: list[int]) -> None:
    bundle = champion_of(house).bundle
    other = [TensorSpec(name="number", datatype="FP32", shape=shape)]
    for side in ("inputs", "outputs"):
        told = structs.replace(bundle, signature=structs.replace(bundle.signature, **{side: other}))
        assert forms.form_of(told) is None
