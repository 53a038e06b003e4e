"""Connections that are answered many at once end, and fail, as any other, and cost no other anything."""

from __future__ import annotations

import logging
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest

from serving.http import express as express_of
from serving.http.connection import Connection
from staytrue.compiled import native
from tests.unit.serving.callers import Caller, all_ask, built, call, express, join, joined
from tests.unit.serving.grpc_house import until
from tests.unit.serving.house import House
from tests.unit.serving.test_turns import bodies_of, brief, hold, house

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.store import Store

__all__ = ["built", "call", "house"]
MANY = 8


@pytest.mark.parametrize("how", ["close", "reset", "half"])
def test_who_hangs_up_is_let_go(house: House, call: Callable[[], Caller], how: str) -> None:
    callers = [call() for _ in range(2)]
    join(house, *callers)
    if how == "half":
        callers[0].wire.shutdown(socket.SHUT_WR)
    else:
        if how == "reset":
            callers[0].wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        callers[0].close()
    until(lambda: joined(house) == 1 and len(house.server._connections) == 1)
    assert callers[1].ask(2.0) == 15.0


def test_who_has_hung_up_before_its_answer_harms_no_other(house: House, call: Callable[[], Caller]) -> None:
    callers = [call() for _ in range(3)]
    join(house, *callers)

    def ask_and_go() -> None:
        for caller in callers:
            caller.send(bodies_of([[3.0]])[0])
        callers[1].wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        callers[1].close()

    hold(house, ask_and_go)
    assert [callers[at].told()["outputs"][0]["data"] for at in (0, 2)] == [[17.0]] * 2
    until(lambda: joined(house) == 2 and len(house.server._connections) == 2)


def test_who_is_silent_for_a_while_is_watched_as_any_other_and_comes_back(
    house: House, call: Callable[[], Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(express_of, "IDLE_SECONDS", 0.3)
    caller = call()
    join(house, caller)
    until(lambda: joined(house) == 0)
    assert caller.ask(1.0) == 13.0
    assert joined(house) == 1
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        assert caller.ask(1.0) == 13.0
        assert joined(house) == 1
        time.sleep(0.05)


def test_the_time_of_who_waits_between_requests_runs_there_too(store: Store, tmp_path: Path) -> None:
    house = House(store, tmp_path)
    brief(house)
    caller = Caller(house)
    try:
        join(house, caller)
        object.__setattr__(house.server.limits, "idle_seconds", 1.5)
        assert caller.wire.recv(1) == b""  # closed by the server
        assert len(house.server._connections) == 0
    finally:
        caller.close()
        house.close()


def test_a_server_that_goes_answers_all_that_was_asked(store: Store, tmp_path: Path) -> None:
    house = House(store, tmp_path)
    brief(house)
    callers = [Caller(house) for _ in range(MANY)]
    join(house, *callers)
    before = len(house.events())
    for caller in callers:
        caller.send(bodies_of([[2.0]])[0])
    house.close()
    told = [caller.told() for caller in callers]
    assert [one["outputs"][0]["data"] for one in told] == [[15.0]] * MANY
    assert [event.status for event in house.events()[before:]] == ["ok"] * MANY
    for caller in callers:
        assert caller.wire.recv(1) == b""
        caller.close()


def test_who_comes_while_the_server_goes_does_not_join(house: House, call: Callable[[], Caller]) -> None:
    caller = call()
    join(house, caller)
    house.loop.call_soon_threadsafe(express(house).end)
    until(lambda: joined(house) == 0)
    house.server.draining = True
    caller.send(bodies_of([[2.0]])[0])
    assert caller.told()["headers"][b"connection"] == b"close"
    assert joined(house) == 0
    house.server.draining = False


def test_answers_that_cannot_be_logged_are_not_given(
    house: House, call: Callable[[], Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = [call() for _ in range(2)]
    join(house, *callers)
    house.writer.room()  # and what it knew of that is over
    monkeypatch.setattr(house.writer._bound, "most_bytes", house.writer._bound._total + 10)
    all_ask(house, callers, bodies_of([[2.0]]) * len(callers))
    assert [caller.told()["status"] for caller in callers] == [503, 503]
    monkeypatch.undo()
    join(house, *callers)


def test_an_answer_that_does_not_fit_the_wire_is_sent_in_pieces(
    house: House, call: Callable[[], Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = [call() for _ in range(2)]
    join(house, *callers)
    real = native.answer

    class Slow:
        """A third of an answer fits."""

        @staticmethod
        def answer(descriptors: list[int], *told: Any) -> list[tuple[int, bytes | None]]:
            mine, other = socket.socketpair()
            with mine, other:
                assert real([mine.fileno() for _ in descriptors], *told) == []
                text = other.recv(65536)
            with socket.socket(fileno=descriptors[0]) as wire:
                wire.send(text[: len(text) // 3])
                wire.detach()
            return [(0, text[len(text) // 3 :])]

    monkeypatch.setattr(express_of, "native", Slow)
    assert callers[0].ask(2.0) == 15.0
    assert joined(house) == 1
    monkeypatch.undo()
    join(house, *callers)


@pytest.mark.parametrize("fails", ["answer", "receive"])
def test_where_it_fails_nobody_waits_for_ever(
    house: House,
    call: Callable[[], Caller],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fails: str,
) -> None:
    callers = [call() for _ in range(2)]
    join(house, *callers)

    class Broken:
        """Has no memory."""

        def answer(self, *_: object) -> None:
            raise MemoryError

        receive = answer

        def __getattr__(self, name: str) -> Any:
            return getattr(poll, name)

    poll = express(house)._poll
    if fails == "answer":
        monkeypatch.setattr(express_of, "native", Broken())
    else:
        monkeypatch.setattr(express(house), "_poll", Broken())
    with caplog.at_level(logging.ERROR):
        all_ask(house, callers, bodies_of([[2.0]]) * len(callers))
        for caller in callers:
            with pytest.raises((ConnectionError, IndexError)):
                caller.told()
    assert "could not be" in caplog.text
    monkeypatch.undo()
    until(lambda: len(house.server._connections) == 0)
    join(house, call())


def test_a_connection_that_fails_costs_no_other_its_request(
    house: House, call: Callable[[], Caller], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    callers = [call() for _ in range(6)]
    join(house, *callers)
    real = Connection.data_received

    def broken(connection: Connection, data: bytes) -> None:
        if data.startswith(b"broken"):
            raise RuntimeError
        real(connection, data)

    monkeypatch.setattr(Connection, "data_received", broken)

    def send() -> None:
        callers[0].wire.sendall(b"broken")
        for caller in callers[1:]:
            caller.send(bodies_of([[2.0]])[0], "X-Request-Id: mine\r\n")

    with caplog.at_level(logging.ERROR):
        hold(house, send)
        assert [caller.told()["outputs"][0]["data"] for caller in callers[1:]] == [[15.0]] * 5
        with pytest.raises((ConnectionError, IndexError)):
            callers[0].told()
    assert "could not go on" in caplog.text


def test_where_letting_go_fails_the_time_of_all_runs_on(
    house: House, call: Callable[[], Caller], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caller = call()
    join(house, caller)

    def broken() -> None:
        raise MemoryError

    with caplog.at_level(logging.ERROR):
        monkeypatch.setattr(express(house), "sweep", broken)
        until(lambda: "could not be let go" in caplog.text)
        now = house.server.clock
        until(lambda: house.server.clock > now)


def test_where_answering_fails_it_is_asked_as_ever(
    house: House, call: Callable[[], Caller], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    callers = [call() for _ in range(2)]
    join(house, *callers)

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(house.dataplane.turns, "_run", broken)
    with caplog.at_level(logging.ERROR):
        all_ask(house, callers, bodies_of([[2.0]]) * len(callers))
        assert [caller.told()["outputs"][0]["data"] for caller in callers] == [[15.0]] * 2
    assert "could not be answered at once" in caplog.text


def test_a_descriptor_that_is_given_to_another_is_not_taken_for_the_first(house: House) -> None:
    """A connection's end is told of once its descriptor may long belong to the next."""
    for _ in range(30):
        caller = Caller(house)
        for _ in range(3):
            assert caller.ask(1.0) == 13.0
        caller.close()
    until(lambda: len(house.server._connections) == 0)
    assert joined(house) == 0
    assert express(house)._quiet == {}
