"""Health over gRPC, by both protocols' words, and who watches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2

from serving.grpc import health as healths
from serving.grpc.server import SERVICE
from serving.proto import open_inference_grpc_pb2 as proto
from tests.unit.serving.grpc_house import House, fails, refused, request, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.store import Store

CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """The usual settings, small limits."""
    made = House(store, tmp_path)
    yield made
    made.close()


def health(house: House, service: str) -> int:
    """What a health check says."""
    ask = house.channel.unary_unary(
        CHECK,
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    return int(ask(health_pb2.HealthCheckRequest(service=service), timeout=20).status)


def test_readiness_and_health_end_when_draining_begins_and_requests_are_still_answered(house: House) -> None:
    ready = proto.ModelReadyRequest(name="tiny")
    assert house.stub.ServerLive(proto.ServerLiveRequest()).live
    assert house.stub.ServerReady(proto.ServerReadyRequest()).ready
    assert house.stub.ModelReady(ready).ready
    assert [health(house, service) for service in ("", SERVICE, "tiny")] == [SERVING] * 3
    house.dataplane.draining = True
    assert house.stub.ServerLive(proto.ServerLiveRequest()).live
    assert not house.stub.ServerReady(proto.ServerReadyRequest()).ready
    assert not house.stub.ModelReady(ready).ready
    assert [health(house, service) for service in ("", SERVICE, "tiny")] == [NOT_SERVING] * 3
    assert house.stub.ModelInfer(request()).model_version == "1"


def test_a_model_without_a_version_that_loads_is_not_ready_and_a_stranger_not_found(house: House) -> None:
    champion, house.registry.model("tiny").champion = house.registry.model("tiny").champion, None
    assert not house.stub.ModelReady(proto.ModelReadyRequest(name="tiny")).ready
    assert health(house, "tiny") == health(house, "") == NOT_SERVING
    for call in (
        lambda: house.stub.ModelReady(proto.ModelReadyRequest(name="large")),
        lambda: house.stub.ModelMetadata(proto.ModelMetadataRequest(name="large")),
        lambda: health(house, "large"),
    ):
        assert refused(call)[0] == grpc.StatusCode.NOT_FOUND
    house.registry._models["tiny"].champion = champion


def test_who_watches_health_is_told_of_each_change_and_does_not_hold_up_the_end(house: House) -> None:
    watch = house.channel.unary_stream(
        WATCH,
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    stranger = watch(health_pb2.HealthCheckRequest(service="large"), timeout=20)
    assert next(stranger).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    stranger.cancel()
    told = watch(health_pb2.HealthCheckRequest(), timeout=20)
    assert next(told).status == SERVING
    house.dataplane.draining = True
    assert [answer.status for answer in told] == [NOT_SERVING]


def test_watchers_are_few_and_each_that_goes_makes_room(house: House) -> None:
    watch = house.channel.unary_stream(
        WATCH,
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    watching = [watch(health_pb2.HealthCheckRequest()) for _ in range(healths.MOST_WATCHERS)]
    assert [next(told).status for told in watching] == [SERVING] * healths.MOST_WATCHERS
    status, said, _ = refused(lambda: next(watch(health_pb2.HealthCheckRequest())))
    assert (status, said.startswith("Watch: 32 are open")) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
    assert house.stub.ModelInfer(request()).model_version == "1"
    watching[0].cancel()
    until(lambda: not fails(lambda: next(watch(health_pb2.HealthCheckRequest(), timeout=1))))
