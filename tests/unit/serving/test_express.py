"""Connections that ask for little again and again are answered many at once, and as any other in all that is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from serving.http import express as express_of
from serving.http.stays import FIRST, LONGEST, Stays
from tests.unit.serving.callers import Caller, all_ask, built, call, join, joined
from tests.unit.serving.grpc_house import until
from tests.unit.serving.house import House
from tests.unit.serving.test_rest import INFER
from tests.unit.serving.test_turns import bodies_of, brief, hold, house, lane_of, plain, submitted, usually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.store import Store

__all__ = ["built", "call", "house", "submitted"]
MANY = 8


def test_the_shorter_stays_are_the_longer_the_next_is_waited_for() -> None:
    stays, waits = Stays(), []
    for _ in range(8):
        waits.append(0)
        while not stays.due():
            waits[-1] += 1
        stays.ends()
    assert waits == [FIRST, 2, 4, 8, 16, 32, 64, LONGEST]
    stays.lasts()
    stays.ends()
    assert [stays.due() for _ in range(FIRST + 1)] == [False] * FIRST + [True]
    stays.ends()
    stays.pauses()
    assert stays.due()


def test_who_asks_for_this_and_that_is_there_seldom(house: House, call: Callable[[], Caller]) -> None:
    caller, joins = call(), 0
    for _ in range(100):
        for _ in range(3):
            caller.ask(1.0)
        joins += joined(house)
        caller.wire.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: here\r\n\r\n")
        assert caller.told()["status"] == 200
    assert 2 <= joins <= 10


def test_who_asks_again_is_answered_there_with_what_everybody_is_told(house: House, call: Callable[[], Caller]) -> None:
    caller = call()
    first = caller.ask(4.0)
    join(house, caller)
    before = len(house.events())
    body = bodies_of([[4.0]])[0]
    caller.send(body)
    told = caller.told()
    assert told["outputs"][0]["data"] == [first] == [19.0]
    with pytest.MonkeyPatch.context() as patch:
        usually(house, patch)
        other = house.client.post(INFER, content=body)
    assert {name.decode().title(): value.decode() for name, value in told["headers"].items()}.keys() == {
        name.title() for name in other.headers
    }
    mine, usual = house.events()[before:]
    assert plain(mine) == plain(usual)
    assert mine.id == told["parameters"]["event_id"] != usual.id


def test_several_are_one_run_and_each_gets_its_own(house: House, call: Callable[[], Caller]) -> None:
    callers = [call() for _ in range(MANY)]
    join(house, *callers)
    before, lane = len(house.events()), lane_of(house)
    runs = lane.counts.runs
    for round_ in range(5):
        all_ask(house, callers, bodies_of([[10.0 * round_ + at] for at in range(MANY)]))
        assert [caller.told()["outputs"][0]["data"] for caller in callers] == [
            [2 * (10.0 * round_ + at) + 11] for at in range(MANY)
        ]
    assert lane.counts.runs == runs + 5
    events = house.events()[before:]
    assert len({event.id for event in events}) == len(events) == 5 * MANY
    assert joined(house) == MANY


def test_callers_who_each_say_who_they_are_are_one_run_too(house: House, call: Callable[[], Caller]) -> None:
    callers, lane = [call() for _ in range(MANY)], lane_of(house)
    heads = [f"X-Sticky-Id: caller-{at}\r\n" for at in range(MANY)]
    for _ in range(3):
        assert [caller.ask(1.0, head) for caller, head in zip(callers, heads, strict=True)] == [13.0] * MANY
    runs = lane.counts.runs

    def send() -> None:
        for caller, head in zip(callers, heads, strict=True):
            caller.send(bodies_of([[2.0]])[0], head)

    hold(house, send)
    assert [caller.told()["outputs"][0]["data"] for caller in callers] == [[15.0]] * MANY
    assert lane.counts.runs == runs + 1


def test_requests_of_different_rows_each_get_theirs(house: House, call: Callable[[], Caller]) -> None:
    callers = [call() for _ in range(4)]
    numbers = [[1.0], [2.0, 3.0], [4.0], [5.0, 6.0, 7.0]]
    for _ in range(4):
        all_ask(house, callers, bodies_of(numbers))
        for caller, some in zip(callers, numbers, strict=True):
            assert caller.told()["outputs"][0]["data"] == [2 * x + 11 for x in some]
    assert joined(house) == 4


def test_what_comes_in_pieces_or_several_at_once_is_answered_in_order(house: House, call: Callable[[], Caller]) -> None:
    caller = call()
    body = bodies_of([[1.0]])[0]
    whole = f"POST {INFER} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    for cut in (1, 20, len(whole) - len(body), len(whole) - 1):
        join(house, caller)
        caller.wire.sendall(whole[:cut])
        until(lambda: joined(house) == 0)
        caller.wire.sendall(whole[cut:])
        assert caller.told()["outputs"][0]["data"] == [13.0]
    for many in (2, 30):
        join(house, caller)
        asked = bodies_of([[float(at % 10)] for at in range(many)])
        caller.wire.sendall(b"".join(whole.replace(body, one) for one in asked))
        assert [caller.told()["outputs"][0]["data"] for _ in asked] == [[2.0 * (at % 10) + 11] for at in range(many)]


def test_another_request_in_between_is_answered_as_ever(house: House, call: Callable[[], Caller]) -> None:
    caller = call()
    join(house, caller)
    caller.wire.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: here\r\n\r\n")
    assert caller.told()["status"] == 200
    join(house, caller)
    assert caller.ask(1.0, "X-Request-Id: mine\r\n") == 13.0
    assert house.events()[-1].request_id == "mine"
    join(house, caller)
    caller.send(bodies_of([[1.0] * 16])[0] + b" " * 50_000)
    assert len(caller.told()["outputs"][0]["data"]) == 16
    join(house, caller)


@pytest.mark.parametrize("spoilt", [b"{", b'{"inputs":[]}', b'"\xff"', b""])
def test_a_bad_request_behind_a_known_head_is_refused_and_the_next_is_answered(
    house: House, call: Callable[[], Caller], spoilt: bytes
) -> None:
    callers = [call() for _ in range(3)]
    join(house, *callers)
    good = bodies_of([[1.0]])[0]
    before = len(house.events())
    all_ask(house, callers, [good, spoilt.ljust(len(good)), good])
    told = [caller.told() for caller in callers]
    assert [one["status"] for one in told] == [200, 400, 200]
    assert told[1]["code"] == "invalid_input"
    assert sorted(event.status for event in house.events()[before:]) == ["invalid_input", "ok", "ok"]
    join(house, *callers)


def test_too_many_at_once_are_refused_as_ever(house: House, call: Callable[[], Caller]) -> None:
    callers = [call() for _ in range(4)]
    join(house, *callers)
    house.rest._turn._most = house.settings.max_concurrency
    house.dataplane._ends.in_flight += house.settings.max_concurrency
    try:
        all_ask(house, callers, bodies_of([[2.0]]) * len(callers))
        assert [caller.told()["status"] for caller in callers] == [429] * 4
    finally:
        house.dataplane._ends.in_flight -= house.settings.max_concurrency
    join(house, *callers)


def test_a_model_that_takes_long_is_asked_as_ever(
    house: House, call: Callable[[], Caller], submitted: list[Any]
) -> None:
    callers = [call() for _ in range(3)]
    join(house, *callers)
    assert submitted == []
    for _ in range(100):
        lane_of(house).expect(1.0)
    for _ in range(2):
        all_ask(house, callers, bodies_of([[2.0]]) * len(callers))
        assert [caller.told()["outputs"][0]["data"] for caller in callers] == [[15.0]] * 3
    assert len(submitted) == 6
    assert joined(house) == 0


def test_a_version_that_takes_over_answers_them(
    house: House, store: Store, call: Callable[[], Caller], publishing: Callable[[float], str]
) -> None:
    caller = call()
    join(house, caller)
    version = publishing(10.0)
    store.promote("tiny", version, reason="test")
    house.registry.refresh()
    brief(house)
    assert [caller.ask(1.0) for _ in range(3)] == [21.0] * 3
    assert house.events()[-1].version == version


def test_long_answers_that_a_caller_wants_compressed_are_compressed(
    house: House, call: Callable[[], Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.rest.bodies.PACKED_FROM", 10)
    caller = call()
    for _ in range(4):
        caller.send(bodies_of([[1.0]])[0], "Accept-Encoding: gzip\r\n")
        assert b"content-encoding: gzip" in caller.wire.recv(65536).lower()
    assert joined(house) == 0


def test_callers_with_keys_are_let_in_one_by_one(house: House, call: Callable[[], Caller]) -> None:
    caller = call()
    for _ in range(4):
        assert caller.ask(1.0, "Authorization: Bearer secret\r\n") == 13.0
    assert joined(house) == 0
    assert not any(b"secret" in head for head in house.server.known.known)


def test_a_server_without_it_answers_as_well(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(express_of, "native", None)
    house = House(store, tmp_path)
    try:
        assert house.server.express is None
        caller = Caller(house)
        assert [caller.ask(1.0) for _ in range(4)] == [13.0] * 4
        caller.close()
    finally:
        house.close()
