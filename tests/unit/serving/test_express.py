"""Connections that ask for little again and again are answered many at once, and as any other in all that is told."""

from __future__ import annotations

import json
import logging
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest

from serving.http import express as express_of
from serving.http.connection import Connection
from serving.http.stays import FIRST, LONGEST, Stays
from staytrue.compiled import native
from tests.needs import needs_express
from tests.unit.serving.grpc_house import until
from tests.unit.serving.house import House
from tests.unit.serving.test_rest import INFER
from tests.unit.serving.test_turns import bodies_of, brief, hold, house, lane_of, plain, submitted, usually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from serving.http.express import Express
    from staytrue.store import Store

__all__ = ["house", "submitted"]
MANY = 8


@pytest.fixture(autouse=True)
def built() -> None:
    """Without it there is nothing to be tested."""
    needs_express()


class Caller:
    """A connection that is kept."""

    def __init__(self, house: House) -> None:
        host, port = house.address.removeprefix("http://").split(":")
        self.wire = socket.create_connection((host, int(port)), timeout=20)
        self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.wire.makefile("rb")

    def send(self, body: bytes, head: str = "", path: str = INFER) -> None:
        """Send a request."""
        lines = f"POST {path} HTTP/1.1\r\nHost: here\r\n{head}Content-Length: {len(body)}\r\n\r\n"
        self.wire.sendall(lines.encode() + body)

    def told(self) -> dict[str, Any]:
        """The next answer."""
        status = int(self._file.readline().split()[1])
        headers = dict(line.lower().rstrip().split(b": ", 1) for line in iter(self._file.readline, b"\r\n"))
        body = self._file.read(int(headers[b"content-length"]))
        return {"status": status, "headers": headers, **json.loads(body)}

    def ask(self, number: float, head: str = "") -> float:
        """Send a request for a number; what is made of it."""
        self.send(bodies_of([[number]])[0], head)
        answer = self.told()
        assert answer["status"] == 200
        made: float = answer["outputs"][0]["data"][0]
        assert answer["headers"][b"x-event-id"].decode() == answer["parameters"]["event_id"]
        return made

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self.wire.close()


@pytest.fixture
def call(house: House) -> Iterator[Callable[[], Caller]]:
    """Opens connections, which are closed at the end."""
    opened: list[Caller] = []

    def one() -> Caller:
        opened.append(Caller(house))
        return opened[-1]

    yield one
    for caller in opened:
        caller.close()


def express(house: House) -> Express:
    """The server's."""
    assert house.server.express is not None
    return house.server.express


def all_ask(house: House, callers: list[Caller], bodies: list[bytes]) -> None:
    """Have each send its body, so that they meet in one turn."""

    def send() -> None:
        for caller, body in zip(callers, bodies, strict=True):
            caller.send(body)

    hold(house, send)


def joined(house: House) -> int:
    """How many connections are there."""
    return len(express(house)._connections)


def join(house: House, *callers: Caller) -> None:
    """Have them ask until they are there."""
    for _ in range(4 * LONGEST):
        if joined(house) == len(callers):
            break
        for caller in callers:
            assert caller.ask(1.0) == 13.0
    assert joined(house) == len(callers)


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


def test_answers_that_cannot_be_logged_are_not_given(
    house: House, call: Callable[[], Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = [call() for _ in range(2)]
    join(house, *callers)
    monkeypatch.setattr(house.writer, "_max_bytes", house.writer._total + 10)
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
