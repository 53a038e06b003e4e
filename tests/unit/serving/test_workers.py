"""Several processes on one port, and many callers of both protocols at once: each gets its own rows, each is logged."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import httpx
import numpy as np
import psutil
import pytest
from pydantic import ValidationError

from examples.bikeshare.demo.processes import Service
from serving.proto import open_inference_grpc_pb2 as proto
from serving.proto.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub
from staytrue.events import Event, Heartbeat, decode
from staytrue.readers import Reader
from staytrue.server import ServingSection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.events import Entry
    from staytrue.store import Store

INFER = "/v2/models/tiny/infer"
PROJECT = """\
name: tiny
store: store
data: {source: none.csv, time: t, target: total, features: {number: {kind: numeric}}}
serving: {log: events, max_concurrency: 1000}
"""
CALLERS, ASKED = 100, 5


@pytest.fixture
def two(store: Store, tmp_path: Path) -> Iterator[Service]:
    """A server of two processes."""
    assert store.models() == ["tiny"]
    (tmp_path / "staytrue.yaml").write_text(PROJECT)
    flags = ("--port", "0", "--grpc-port", "0", "--workers", "2")
    service = Service("serve", tmp_path / "staytrue.yaml", tmp_path / "out.log", *flags)
    yield service
    if service.process.poll() is None:
        service.kill()
    service.close()


def tensors(number: float, rows: int) -> list[dict[str, Any]]:
    """A good request's inputs."""
    shape = [rows, 1]
    return [
        {"name": "number", "datatype": "FP32", "shape": shape, "data": [number + row for row in range(rows)]},
        {"name": "kind", "datatype": "BYTES", "shape": shape, "data": ["b"] * rows},
        {"name": "count", "datatype": "INT64", "shape": shape, "data": [10] * rows},
    ]


def total(number: float, rows: int) -> list[float]:
    """What the model makes of it."""
    return [2 * (number + row) + 2 + 10 for row in range(rows)]


async def over_rest(client: httpx.AsyncClient, number: float, rows: int) -> list[float]:
    """Ask over HTTP."""
    answer = await client.post(INFER, json={"inputs": tensors(number, rows)})
    assert answer.status_code == 200, answer.text
    told: list[float] = answer.json()["outputs"][0]["data"]
    return told


async def over_grpc(stub: GRPCInferenceServiceStub, number: float, rows: int) -> list[float]:
    """Ask over gRPC."""
    request = proto.ModelInferRequest(model_name="tiny")
    for tensor in tensors(number, rows):
        request.inputs.add(name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"])
    numbers = np.array([number + row for row in range(rows)], np.float32)
    request.raw_input_contents.extend([numbers.tobytes(), b"\1\0\0\0b" * rows, np.full(rows, 10, np.int64).tobytes()])
    told = await stub.ModelInfer(request, timeout=60)  # type: ignore[misc]
    values = np.frombuffer(told.raw_output_contents[0], np.float32)
    return [float(value) for value in values]


async def crowd(service: Service) -> None:
    """Callers of both protocols at once, each with numbers and row counts of its own."""
    limits = httpx.Limits(max_connections=CALLERS, max_keepalive_connections=CALLERS)
    async with (
        httpx.AsyncClient(base_url=service.address, timeout=60, limits=limits) as client,
        grpc.aio.insecure_channel(service.grpc) as channel,
    ):
        stub = GRPCInferenceServiceStub(channel)  # type: ignore[arg-type]

        async def call(caller: int) -> None:
            for turn in range(ASKED):
                number, rows = float(caller * 100 + turn * 10), 1 + (caller + turn) % 4
                assert await over_rest(client, number, rows) == total(number, rows)
                assert await over_grpc(stub, number + 5, rows) == total(number + 5, rows)

        await asyncio.gather(*(call(caller) for caller in range(CALLERS)))


def entries(folder: Path) -> list[Entry]:
    """All of the log, as a reader finds it that acknowledges none."""
    found = Reader(folder / "events", "test").batches(limit_bytes=2**30)
    return [decode(payload) for batch in found for payload in batch.payloads]


def test_two_hundred_callers_of_both_protocols_each_get_their_own_rows_and_each_answer_is_logged(
    two: Service, tmp_path: Path
) -> None:
    asyncio.run(crowd(two))
    assert two.stop() == 0
    events = [entry for entry in entries(tmp_path) if isinstance(entry, Event)]
    assert Counter(event.protocol for event in events) == {"rest": CALLERS * ASKED, "grpc": CALLERS * ASKED}
    assert len({event.id for event in events}) == len(events)
    for event in events:
        numbers = event.inputs[0].array()
        assert event.outputs[0].array().tolist() == (2 * numbers + 12).tolist()
    beats = [entry for entry in entries(tmp_path) if isinstance(entry, Heartbeat)]
    last = {beat.worker: beat for beat in beats}
    assert len(last) == 2
    assert sum(beat.answered for beat in last.values()) == len(events)
    assert [(beat.ready, beat.in_flight) for beat in last.values()] == [(False, 0), (False, 0)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_answer_that_is_given_while_the_server_ends_is_in_its_last_heartbeat(
    two: Service, tmp_path: Path, number: signal.Signals
) -> None:
    host, port = two.address.removeprefix("http://").split(":")
    body = json.dumps({"inputs": tensors(1.0, 1)}).encode()
    with socket.create_connection((host, int(port)), timeout=20) as caller:
        head = f"POST {INFER} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n"
        caller.sendall(head.encode() + body[:10])
        group = [psutil.Process(two.process.pid)]
        for process in group if number == signal.SIGTERM else [*group[0].children(), *group]:
            process.send_signal(number)  # a terminal tells all who are in its foreground
        end = time.monotonic() + 20
        while sum(not beat.ready for beat in entries(tmp_path) if isinstance(beat, Heartbeat)) < 1:
            assert time.monotonic() < end
            time.sleep(0.05)
        caller.sendall(body[10:])
        assert caller.recv(15) == b"HTTP/1.1 200 OK"
    assert two.process.wait(60) == 0
    last = {beat.worker: beat for beat in entries(tmp_path) if isinstance(beat, Heartbeat)}
    assert sum(beat.answered for beat in last.values()) == 1


def test_a_worker_that_is_killed_is_started_again_and_the_others_go_on(two: Service, tmp_path: Path) -> None:
    del tmp_path
    parent = psutil.Process(two.process.pid)
    before = {child.pid for child in parent.children()}
    assert len(before) == 2
    os.kill(min(before), signal.SIGKILL)
    end = time.monotonic() + 30
    body = json.dumps({"inputs": tensors(1.0, 1)})
    answered = 0
    while len({child.pid for child in parent.children()} - before) == 0 or answered < 20:
        assert time.monotonic() < end
        try:
            answered += httpx.post(two.address + INFER, content=body, timeout=10).status_code == 200
        except httpx.TransportError:
            continue  # the kernel may still have shared it out to the one that is gone
    assert two.stop() == 0


def test_models_are_loaded_by_hand_in_one_process_only() -> None:
    with pytest.raises(ValidationError, match="admin_port reaches one process"):
        ServingSection(admin_port=0, workers=2)
