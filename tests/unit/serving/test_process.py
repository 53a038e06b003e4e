"""The server as a process: killed, ended, fed with bad versions and long bodies, and every answer in its log once."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2

from examples.bikeshare.demo.processes import Service, staytrue
from serving.proto import open_inference_grpc_pb2 as proto
from serving.proto.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub
from staytrue.events import Event, decode
from staytrue.readers import Reader
from staytrue.records import read, to_json
from staytrue.store import Aliases, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

INFER = "/v2/models/tiny/infer"
CONNECTIONS = 6
PROJECT = """\
name: tiny
store: store
data: {source: none.csv, time: t, target: total, features: {number: {kind: numeric}}}
serving: {log: events, reload_seconds: 0.02, max_body_bytes: 4000000}
"""
TENSORS: list[dict[str, Any]] = [
    {"name": "number", "datatype": "FP32", "shape": [1, 1], "data": [1.5]},
    {"name": "kind", "datatype": "BYTES", "shape": [1, 1], "data": ["b"]},
    {"name": "count", "datatype": "INT64", "shape": [1, 1], "data": [10]},
]
BODY = json.dumps({"inputs": TENSORS}).encode()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Service]]:
    """Start servers of the project in the test's folder; what still runs at the end is killed."""
    (tmp_path / "staytrue.yaml").write_text(PROJECT)
    services: list[Service] = []

    def starter() -> Service:
        log = tmp_path / f"serve-{len(services)}.log"
        services.append(Service("serve", tmp_path / "staytrue.yaml", log, "--port", "0", "--grpc-port", "0"))
        return services[-1]

    yield starter
    for service in services:
        if service.process.poll() is None:
            service.kill()
        service.close()


def connect(server: Service) -> http.client.HTTPConnection:
    """A connection to a server."""
    return http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=20)


def ask(server: Service, path: str = INFER, body: Any = None, **headers: str) -> tuple[int, Any]:
    """One request over a connection of its own: POST with a body, GET without."""
    connection = connect(server)
    try:
        connection.request("POST" if body is not None else "GET", path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def until(true: Callable[[], bool]) -> None:
    """Wait for something that is bound to happen."""
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


class Caller(Protocol):
    """A kept connection of one protocol."""

    def ask(self) -> tuple[str, str] | str:
        """Ask for a prediction: its event's id and its version, or what was said instead.

        Raises:
            OSError, http.client.HTTPException: the server is gone.
        """

    def close(self) -> None:
        """Let go of the connection."""


class Rest:
    """A caller over HTTP."""

    def __init__(self, server: Service) -> None:
        self._connection = connect(server)
        self.close = self._connection.close

    def ask(self) -> tuple[str, str] | str:
        """One request."""
        self._connection.request("POST", INFER, BODY)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            return f"{answer.status} {data!r}"
        told = json.loads(data)
        return told["parameters"]["event_id"], told["model_version"]


class Grpc:
    """A caller over gRPC."""

    def __init__(self, server: Service) -> None:
        self._channel = grpc.insecure_channel(server.grpc, options=[("grpc.use_local_subchannel_pool", 1)])
        self._stub, self.close = GRPCInferenceServiceStub(self._channel), self._channel.close
        raw = [np.float32(1.5).tobytes(), b"\1\0\0\0b", np.int64(10).tobytes()]
        self._request = proto.ModelInferRequest(model_name="tiny", raw_input_contents=raw)
        for tensor in TENSORS:
            self._request.inputs.add(name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"])

    def ask(self) -> tuple[str, str] | str:
        """One request."""
        try:
            told = self._stub.ModelInfer(self._request, timeout=20)
        except grpc.RpcError as error:
            code, said = error.code(), error.details()
            if code == grpc.StatusCode.UNAVAILABLE:
                raise ConnectionError(said) from error
            return f"{code} {said}"
        return told.parameters["event_id"].string_param, told.model_version


CALLERS: dict[str, type[Rest | Grpc]] = {"rest": Rest, "grpc": Grpc}


class Load:
    """Callers that ask again at once, each over its kept connection, until the server is gone or they are told to."""

    def __init__(self, server: Service, over: str = "rest") -> None:
        self._server, self._over, self._end = server, over, threading.Event()
        self.answered: list[str] = []
        """Ids of events that were told to callers with a prediction."""
        self.versions: set[str] = set()
        self.failed: list[str] = []
        self._threads = [threading.Thread(target=self._call) for _ in range(CONNECTIONS)]
        for thread in self._threads:
            thread.start()

    def _call(self) -> None:
        caller: Caller = CALLERS[self._over](self._server)
        try:
            while not self._end.is_set():
                told = caller.ask()
                if isinstance(told, tuple):
                    self.answered.append(told[0])
                    self.versions.add(told[1])
                else:
                    self.failed.append(told)
        except (OSError, http.client.HTTPException):
            pass  # the server is gone
        finally:
            caller.close()

    def wait_for(self, answers: int) -> None:
        """Until that many were answered."""
        until(lambda: len(self.answered) >= answers)

    def stop(self) -> None:
        """Let callers end."""
        self._end.set()
        for thread in self._threads:
            thread.join()


def entries(folder: Path) -> list[Event]:
    """All events of the log, as a reader finds them that acknowledges none."""
    batches = Reader(folder / "events", "test").batches(limit_bytes=2**30)
    found = [decode(payload) for batch in batches for payload in batch.payloads]
    return [entry for entry in found if isinstance(entry, Event)]


def logged(folder: Path) -> Counter[str]:
    """How often each request's event is in the log."""
    return Counter(event.id for event in entries(folder))


@pytest.mark.parametrize("over", CALLERS)
def test_killed_under_load_every_acknowledged_answer_is_in_the_log_exactly_once(
    store: Store, tmp_path: Path, start: Callable[[], Service], over: str
) -> None:
    assert store.models() == ["tiny"]
    answered: list[str] = []
    for _ in range(2):  # the second writes beside what the first has left
        server = start()
        load = Load(server, over)
        load.wait_for(300)
        server.kill()
        load.stop()
        assert not load.failed
        answered += load.answered
    times = logged(tmp_path)
    assert set(times.values()) == {1}
    assert set(answered) <= set(times)
    # What was in the air when a server died may be logged without ever having been answered.
    assert len(times) - len(answered) <= 2 * CONNECTIONS


@pytest.mark.parametrize("over", CALLERS)
def test_ended_under_load_nothing_fails_and_the_exit_code_is_0(
    store: Store, tmp_path: Path, start: Callable[[], Service], over: str
) -> None:
    assert store.models() == ["tiny"]
    server = start()
    load = Load(server, over)
    load.wait_for(300)
    with grpc.insecure_channel(server.grpc) as channel:
        health = channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )(health_pb2.HealthCheckRequest(service="tiny"), timeout=60)
        assert next(health).status == health_pb2.HealthCheckResponse.SERVING
        assert server.stop() == 0
        assert [told.status for told in health] == [health_pb2.HealthCheckResponse.NOT_SERVING]
    load.stop()
    assert not load.failed
    assert logged(tmp_path) == Counter(load.answered)
    assert "Traceback" not in server.log.read_text()


def test_a_port_that_is_taken_ends_the_start_with_a_word_and_no_port_means_no_grpc(
    store: Store, tmp_path: Path, start: Callable[[], Service]
) -> None:
    assert store.models() == ["tiny"]
    port = start().grpc.split(":")[1]
    again = staytrue("serve", "--project", tmp_path / "staytrue.yaml", "--port", "0", "--grpc-port", port)
    done = subprocess.run(again, capture_output=True, text=True, timeout=60, check=False)
    said = f"127.0.0.1:{port}: cannot be listened on: Address already in use; choose another with --grpc-port"
    assert (done.returncode, said in done.stderr, done.stdout) == (2, True, "")
    (tmp_path / "other.yaml").write_text(PROJECT.replace("log: events", "log: others, grpc_port: null"))
    without = Service("serve", tmp_path / "other.yaml", tmp_path / "other.log", "--port", "0")
    try:
        assert without.grpc == ""
        assert "grpc" not in without.log.read_text()
        assert ask(without, "/v2/health/ready")[0] == 200
    finally:
        assert without.stop() == 0


def test_bad_versions_change_nothing_and_a_good_one_takes_over_without_a_failed_request(
    store: Store, publishing: Callable[..., str], start: Callable[[], Service]
) -> None:
    server = start()
    load = Load(server)
    for changed in (True, False):
        version = publishing(9.0, proven=changed)
        if changed:
            change_a_byte(store.path("tiny", version) / "model.onnx")
        point_at(store, version)
        until(lambda: version in ask(server, "/v2/models/tiny")[1]["parameters"]["refused_versions"])  # noqa: B023 - at once
        assert ask(server, body=BODY)[1]["model_version"] == "1"
        assert ask(server, "/v2/health/ready")[0] == 200
    assert load.versions == {"1"}
    good = publishing(3.0)
    store.promote("tiny", good, reason="test")
    until(lambda: good in load.versions)
    load.stop()
    assert not load.failed
    assert load.versions == {"1", good}
    assert ask(server, body=BODY)[1]["outputs"][0]["data"] == [3 * 1.5 + 2 + 10]


def test_a_server_without_a_model_waits_for_its_first(
    tmp_path: Path, store: Store, start: Callable[[], Service]
) -> None:
    away = store.root.rename(tmp_path / "away")
    server = start()
    assert ask(server, "/v2/health/live")[0] == 200
    assert ask(server, "/v2/health/ready") == (503, {"ready": False, "reason": "no model has been loaded"})
    assert ask(server, body=BODY)[0] == 404
    away.rename(store.root)
    until(lambda: ask(server, "/v2/health/ready")[0] == 200)
    assert ask(server, body=BODY)[0] == 200


def test_long_broken_off_and_smuggled_bodies_are_met_and_the_next_request_succeeds(
    store: Store, tmp_path: Path, start: Callable[[], Service]
) -> None:
    assert store.models() == ["tiny"]
    server = start()
    long = b"x" * 7_000_000
    assert ask(server, body=long)[0] == 413
    assert ask(server, body=iter([long[:100_000]] * 60))[0] == 413  # chunked: without a length
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as caller:
        caller.sendall(f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf".encode())
    with socket.create_connection((host, int(port))) as caller:
        length = "Content-Length: 9000000\r\nExpect: 100-continue"
        caller.sendall(f"POST {INFER} HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n".encode())
        assert caller.recv(100).startswith(b"HTTP/1.1 413")
    assert ask(server, body=BODY)[0] == 200
    until(lambda: len(entries(tmp_path)) == 5)
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()
    (event,) = [entry for entry in entries(tmp_path) if entry.status == "invalid_input"]
    assert (event.model, event.error) == ("tiny", "body: broke off after 4 bytes: the caller hung up")


def change_a_byte(path: Path) -> None:
    """One bit of it even."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def point_at(store: Store, version: str) -> None:
    """Name a champion without the store's own checks, as a damaged disk or a careless hand would."""
    path = store.root / "tiny" / "aliases.json"
    old = read(Aliases, path)
    fresh = path.with_name("fresh")
    fresh.write_bytes(to_json(Aliases(revision=old.revision + 1, champion=version)))
    fresh.rename(path)


def test_both_protocols_have_one_bound_for_what_they_hold(
    store: Store, tmp_path: Path, start: Callable[[], Service]
) -> None:
    assert store.models() == ["tiny"]
    bound = "max_body_bytes: 400000, max_inflight_bytes: 400000"
    (tmp_path / "staytrue.yaml").write_text(PROJECT.replace("max_body_bytes: 4000000", bound))
    server = start()
    request = proto.ModelInferRequest(model_name="tiny", raw_input_contents=[b"x" * 200_000])
    host, _, port = server.address.removeprefix("http://").partition(":")

    def refused() -> str:
        with grpc.insecure_channel(server.grpc) as channel, pytest.raises(grpc.RpcError) as told:
            GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=20)
        return str(told.value.details())

    assert "400000 at most" not in refused()
    with socket.create_connection((host, int(port))) as half:
        half.sendall(b"POST %b HTTP/1.1\r\nHost: h\r\nContent-Length: 390000\r\n\r\n" % INFER.encode())
        half.sendall(b"y" * 300_000)
        until(lambda: "400000 at most" in refused())
    until(lambda: "400000 at most" not in refused())


@pytest.mark.parametrize(("there", "said"), [(True, "has no model yet"), (False, "is not there")])
def test_a_store_without_a_model_is_told_of(tmp_path: Path, *, there: bool, said: str) -> None:
    """It is all that a server needs: there is no project file."""
    if there:
        (tmp_path / "store").mkdir()
    flags = ["--port", "0", "--grpc-port", "0", "--store", str(tmp_path / "store"), "--log", str(tmp_path / "events")]
    server = Service("serve", None, tmp_path / "log", *flags)
    assert server.stop() == 0
    assert f'store" {said}: nothing is served before one comes' in (tmp_path / "log").read_text()
