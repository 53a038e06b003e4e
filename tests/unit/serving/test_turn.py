"""Requests that come while a turn's answers are sent, and answers that cannot be: nobody is forgotten."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from serving.batching import MOST_HERE
from serving.http.exchange import Exchange
from serving.pace import Pace
from serving.rest import forms
from serving.rest import turn as turn_of
from serving.rest.turn import ENOUGH, Turn
from tests.unit.serving.grpc_house import until
from tests.unit.serving.test_rest import INFER
from tests.unit.serving.test_turns import at_once, bodies_of, brief, house, lane_of, submitted, values

if TYPE_CHECKING:
    import pytest

    from serving.calls import Joined
    from tests.unit.serving.house import House

__all__ = ["house", "submitted"]
PIPELINED = 5


def test_pipelined_requests_are_answered_though_nobody_else_asks(house: House) -> None:
    """Each comes while the answer before it is sent, at the end of a turn that was scheduled before."""
    host, port = house.address.removeprefix("http://").split(":")
    asked = b""
    for body in bodies_of([[float(number)] for number in range(PIPELINED)]):
        asked += f"POST {INFER} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    told = b""
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(asked)
        while told.count(b'"outputs"') < PIPELINED:
            part = connection.recv(65536)
            assert part
            told += part
    places = [told.index(b'"data":[%.1f]' % (2 * number + 11)) for number in range(PIPELINED)]
    assert places == sorted(places)
    assert [event.status for event in house.events()] == ["ok"] * PIPELINED


def test_an_answer_that_cannot_be_sent_holds_up_no_other(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example where no thread can be started to compress it."""
    sent: list[Any] = []
    send = house.rest._turn._send

    def first_fails(*answer: Any) -> None:
        sent.append(answer)
        if len(sent) == 1:
            raise RuntimeError("can't start new thread")
        send(*answer)

    monkeypatch.setattr(house.rest._turn, "_send", first_fails)
    answers = at_once(house, bodies_of([[1.0], [2.0]]))
    assert sorted(answer["status"] for answer in answers) == [200, 500]
    assert values(house.client.post(INFER, content=bodies_of([[3.0]])[0]).json()) == [17.0]


def test_of_runs_that_cannot_be_merged_no_more_are_made_in_a_turn_than_from_a_queue(
    house: House, submitted: list[Any]
) -> None:
    """They would hold up all others of the thread."""
    lane_of(house)._most = 1
    numbers = [[float(number)] for number in range(MOST_HERE + 4)]
    answers = at_once(house, bodies_of(numbers))
    assert [values(answer) for answer in answers] == [[2 * x + 11] for [x] in numbers]
    assert len(submitted) == 4
    assert [event.status for event in house.events()] == ["ok"] * len(numbers)


def test_a_body_is_not_read_twice_where_the_model_is_not_brief(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []

    def watched(_: forms.Form, bodies: list[bytes], __: int) -> list[Joined]:
        read.extend(bodies)
        return []

    monkeypatch.setattr(forms.Form, "read", watched)
    body = bodies_of([[1.0]])[0]
    lane = lane_of(house)
    lane._pace = Pace()
    lane.expect(1.0)
    assert values(house.client.post(INFER, content=body).json()) == [13.0]
    assert read == []
    brief(house)
    assert values(house.client.post(INFER, content=body).json()) == [13.0]
    assert read == [body]


def test_a_turn_waits_for_more_while_more_come_and_never_with_one_alone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn_of, "PATIENCE_SECONDS", 60.0)
    nobody: Any = None
    turn = Turn(house.dataplane, 1000, *[lambda *_: None] * 3)
    exchange = Exchange(nobody)

    def come(count: int) -> list[bool]:
        for _ in range(count):
            turn.take(exchange, nobody, b"")
        return [turn.grows(), turn.grows()]

    assert come(1) == [False, False]
    assert come(1) == [True, False]
    assert come(3) == [True, False]
    assert come(ENOUGH - 6) == [True, False]
    assert come(1) == [False, False]
    exchange.cancelled = True
    turn.answer()
    assert come(1) == [False, False]
    turn.answer()
    monkeypatch.setattr(turn_of, "PATIENCE_SECONDS", 0.0)
    assert come(2) == [False, False]


def test_a_request_of_another_kind_waits_for_no_turn_that_grows(house: House, submitted: list[Any]) -> None:
    """Its lane is looked at in each turn of the loop."""
    grown: list[Any] = []
    house.rest._turn.grows = lambda: not grown  # type: ignore[method-assign]
    host, port = house.address.removeprefix("http://").split(":")
    body = bodies_of([[1.0]])[0]
    head = f"POST {INFER} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    try:
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(head + body)
            until(lambda: len(house.rest._turn._waiting) == 1)
            other = house.client.post(INFER, content=body, headers={"Request-Timeout": "10"})  # the usual way
            assert values(other.json()) == [13.0]
            assert len(submitted) == 1
            grown.append(True)
            assert b'"data":[13.0]' in connection.recv(65536)
    finally:
        grown.append(True)


def test_who_comes_a_look_later_is_answered_in_the_same_run(house: House, submitted: list[Any]) -> None:
    lane, turn = lane_of(house), house.rest._turn
    before = lane.counts.runs
    looks: list[int] = []

    def more_come() -> bool:
        looks.append(len(turn._waiting))
        return looks[-1] < 3

    turn.grows = more_come  # type: ignore[method-assign]
    host, port = house.address.removeprefix("http://").split(":")
    connections = [socket.create_connection((host, int(port)), timeout=20) for _ in range(3)]
    for connection, body in zip(connections, bodies_of([[1.0], [2.0], [3.0]]), strict=True):
        head = f"POST {INFER} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
    for connection, number in zip(connections, (1.0, 2.0, 3.0), strict=True):
        with connection:
            assert b'"data":[%.1f]' % (2 * number + 11) in connection.recv(65536)
    assert lane.counts.runs == before + 1
    assert looks[-1] == 3
    assert submitted == []
