"""While the event log takes nothing the server says so where it is asked whether it is ready, and once in its log."""

from __future__ import annotations

import errno
import logging
import os
from typing import TYPE_CHECKING, Any

import pytest

from serving.denials import Denials
from serving.heartbeat import Pulse
from serving.proto import open_inference_grpc_pb2 as proto
from serving.rest.routes import NO_ROOM
from staytrue.errors import Unavailable
from staytrue.readers import Reader
from tests.unit.serving import grpc_house, house
from tests.unit.serving.test_dataplane import House
from tests.unit.serving.test_grpc_health import NOT_SERVING, SERVING, health
from tests.unit.serving.test_rest import INFER, request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.eventlog import Writer
    from staytrue.store import Store

BEGINS, ENDS = "not ready, and no prediction is given", "there is room for events again"


@pytest.fixture
def plane(store: Store, tmp_path: Path) -> Iterator[House]:
    """A dataplane with its log."""
    made = House(store, tmp_path)
    yield made
    made.close()


def beat(of: Any) -> None:
    """What comes each second."""
    of.dataplane.beat(Pulse(of.dataplane, "w", Denials()).beat())


def fill(writer: Writer, *, left: int = 0) -> None:
    """Leave so many bytes below the bound, which is that of a log in which much has been written."""
    writer.append([b"x" * 100_000])
    writer._bound.most_bytes = writer._bound._total + left


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    """Lines of the server's log."""
    return [(record.levelno, record.getMessage()) for record in caplog.records if record.name.startswith("serving")]


def test_a_full_log_is_told_of_once_and_so_is_its_end(plane: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert plane.ask().told() == [2.0]
    assert plane.dataplane.ready()
    plane.writer._segment_bytes = 1000
    fill(plane.writer, left=4000)
    answered = 0
    while not isinstance(plane.ask().told(), Unavailable):
        answered += 1
    assert answered > 3
    for _ in range(5):
        assert "is full at" in str(plane.ask().told())
        beat(plane)
        assert not plane.dataplane.ready()
        assert not plane.dataplane.describe("tiny", None).ready
    ((level, line),) = told(caplog)
    assert level == logging.WARNING
    assert BEGINS in line
    assert f"is full at {plane.writer._bound.most_bytes} bytes" in line
    reader = Reader(plane.log, "test")
    for _ in range(20):
        for batch in reader.batches():
            reader.acknowledge(batch)
    beat(plane)
    assert plane.dataplane.ready()
    assert plane.dataplane.describe("tiny", None).ready
    assert plane.ask().told() == [2.0]
    beat(plane)
    _, (level, line) = told(caplog)
    assert level == logging.INFO
    assert ENDS in line
    assert "6 requests were refused" in line


def test_a_server_that_nobody_asks_finds_out_by_its_heartbeat(plane: House) -> None:
    bound = plane.writer._bound.most_bytes
    fill(plane.writer)
    beat(plane)
    assert not plane.dataplane.ready()
    plane.writer._bound.most_bytes = bound
    beat(plane)
    assert plane.dataplane.ready()


def test_room_for_a_heartbeat_is_none_for_what_was_refused(plane: House) -> None:
    fill(plane.writer, left=300)
    assert isinstance(plane.ask(rows=8).told(), Unavailable)
    written = plane.writer._bound._total
    beat(plane)
    assert plane.writer._bound._total > written
    assert not plane.dataplane.ready()
    plane.writer._bound.most_bytes += 10_000
    beat(plane)
    assert plane.dataplane.ready()
    assert plane.ask(rows=8).told() == [2.0] * 8


def test_a_disk_that_refuses_is_no_room_until_it_takes_something(plane: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("staytrue.growing.os.pwrite", refuse)
        assert "No space left" in str(plane.ask().told())
        beat(plane)
    assert not plane.dataplane.ready()
    with monkeypatch.context() as patch:
        patch.setattr("staytrue.eventlog.os.statvfs", refuse)
        beat(plane)
    assert not plane.dataplane.ready()
    beat(plane)
    assert plane.dataplane.ready()


def test_every_request_has_its_line_where_that_is_asked_for(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made = House(store, tmp_path, access_log=True)
    try:
        fill(made.writer)
        caplog.clear()
        assert isinstance(made.ask().told(), Unavailable)
    finally:
        made.close()
    assert [BEGINS in line for _, line in told(caplog)] == [True, False]
    assert "status=unavailable" in told(caplog)[1][1]


def test_readiness_over_http_says_why(store: Store, tmp_path: Path) -> None:
    made = house.House(store, tmp_path)
    try:
        assert made.client.get("/v2/health/ready").json() == {"ready": True}
        bound = made.writer._bound.most_bytes
        fill(made.writer)
        assert made.client.post(INFER, json=request()).status_code == 503
        ready = made.client.get("/v2/health/ready")
        assert (ready.status_code, ready.json()["reason"]) == (503, NO_ROOM)
        assert made.client.get("/v2/models/tiny/ready").status_code == 503
        assert made.client.get("/v2/health/live").status_code == 200
        made.writer._bound.most_bytes = bound
        beat(made)
        assert made.client.get("/v2/health/ready").json() == {"ready": True}
        assert made.client.post(INFER, json=request()).status_code == 200
    finally:
        made.close()


def test_health_over_grpc_says_so_too(store: Store, tmp_path: Path) -> None:
    made = grpc_house.House(store, tmp_path)
    try:
        assert [health(made, service) for service in ("", "tiny")] == [SERVING] * 2
        fill(made.writer)
        beat(made)
        assert [health(made, service) for service in ("", "tiny")] == [NOT_SERVING] * 2
        assert not made.stub.ServerReady(proto.ServerReadyRequest()).ready
    finally:
        made.close()
