"""A run of a real graph that never comes back: the server says so within two seconds, and keeps nobody waiting."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from serving.proto import open_inference_grpc_pb2 as proto
from serving.proto.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub
from tests.load import loops

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from examples.bikeshare.demo.processes import Service

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

TOLD_SECONDS = 2.0
AT_ONCE_SECONDS = 0.5
SLOW_TURNS = 5000
"""Make each run last some milliseconds: far longer than what is run in the thread that brings requests."""
STOP_SECONDS, MEND_SECONDS = 10.0, 10.0
STUCK = {"rest": 503, "grpc": grpc.StatusCode.UNAVAILABLE}


def ask(server: Service, path: str, body: Any = None) -> tuple[int, Any]:
    """One request over REST."""
    connection = http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=10)
    try:
        connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


class Rpc:
    """What gRPC's callers ask."""

    def __init__(self, server: Service) -> None:
        self.channel = grpc.insecure_channel(server.grpc)
        self._stub = GRPCInferenceServiceStub(self.channel)
        self._check: Any = self.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )

    def infer(self, turns: int) -> grpc.StatusCode:
        """An inference: the status."""
        try:
            self._stub.ModelInfer(loops.rpc(turns), timeout=10)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
        return grpc.StatusCode.OK

    def ready(self) -> dict[str, bool]:
        """By all who tell it."""
        serving = health_pb2.HealthCheckResponse.SERVING
        asked = health_pb2.HealthCheckRequest
        return {
            "server": self._stub.ServerReady(proto.ServerReadyRequest(), timeout=10).ready,
            "model": self._stub.ModelReady(proto.ModelReadyRequest(name=loops.NAME), timeout=10).ready,
            "health": self._check(asked(), timeout=10).status == serving,
            "health of the model": self._check(asked(service=loops.NAME), timeout=10).status == serving,
        }

    def live(self) -> bool:
        """Whether the process is there."""
        return bool(self._stub.ServerLive(proto.ServerLiveRequest(), timeout=10).live)


@pytest.mark.parametrize("over", STUCK)
def test_a_run_that_never_comes_back_is_told_of_in_two_seconds_and_nobody_waits_for_it(
    tmp_path: Path, serve: Callable[..., Service], over: str
) -> None:
    store = loops.make_store(tmp_path / "store", SLOW_TURNS)
    server = serve(drain_seconds=1)
    rpc, told = Rpc(server), list[Any]()
    assert ask(server, loops.INFER, loops.rest(1))[0] == 200
    assert (ask(server, "/v2/health/ready")[0], all(rpc.ready().values())) == (200, True)

    def stall() -> None:
        turns = loops.FOREVER
        told.append(ask(server, loops.INFER, loops.rest(turns))[0] if over == "rest" else rpc.infer(turns))

    began = time.monotonic()
    caller = threading.Thread(target=stall)
    caller.start()
    while ask(server, "/v2/health/ready")[0] == 200 or any(rpc.ready().values()):
        assert time.monotonic() - began < TOLD_SECONDS
        time.sleep(0.02)
    assert time.monotonic() - began < TOLD_SECONDS
    caller.join(TOLD_SECONDS)
    assert told == [STUCK[over]]
    for _ in range(5):
        began = time.monotonic()
        assert ask(server, loops.INFER, loops.rest(1))[0] == 503
        assert rpc.infer(1) == grpc.StatusCode.UNAVAILABLE
        assert time.monotonic() - began < AT_ONCE_SECONDS
    assert ask(server, "/v2/health/live") == (200, {"live": True})
    assert rpc.live()
    assert not any(rpc.ready().values())
    if over == "grpc":  # another version takes over, and what runs still is broken off
        store.promote(loops.NAME, loops.publish_next(store, SLOW_TURNS), reason="test")
        began = time.monotonic()
        while ask(server, "/v2/health/ready")[0] != 200:
            assert time.monotonic() - began < MEND_SECONDS
            time.sleep(0.02)
        assert (rpc.infer(1), all(rpc.ready().values())) == (grpc.StatusCode.OK, True)
    rpc.channel.close()
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < STOP_SECONDS
    assert "loops does not come back from a run" in server.log.read_text()
    assert "Traceback" not in server.log.read_text()


def test_a_brief_model_that_does_not_come_back_holds_up_callers_over_rest_for_two_seconds_at_most(
    tmp_path: Path, serve: Callable[..., Service]
) -> None:
    loops.make_store(tmp_path / "store", 0)  # so brief that it is run in the thread that brings requests
    server = serve(drain_seconds=1)
    for _ in range(3):
        assert ask(server, loops.INFER, loops.rest(0))[0] == 200
    began = time.monotonic()
    told = list[int]()
    callers = [
        threading.Thread(target=lambda turns=turns: told.append(ask(server, loops.INFER, loops.rest(turns))[0]))
        for turns in (loops.FOREVER, 1, 1)
    ]
    for caller in callers:
        caller.start()
    assert ask(server, "/v2/health/live")[0] == 200
    for caller in callers:
        caller.join()
    assert time.monotonic() - began < TOLD_SECONDS
    assert 503 in told
    assert set(told) <= {200, 503}
    while ask(server, "/v2/health/ready")[0] != 200:
        assert time.monotonic() - began < 2 * TOLD_SECONDS
        time.sleep(0.02)
    assert ask(server, loops.INFER, loops.rest(1))[0] == 200
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()
