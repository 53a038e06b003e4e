"""Who has no key: what such callers can take from others over gRPC, which is nothing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from serving.grpc import methods
from serving.grpc.errors import CODE_KEY
from serving.keyring import Key, Limit, digest_of, write
from serving.keys import new_secret
from tests.unit.serving.grpc_house import House, refused, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from serving.proto import open_inference_grpc_pb2 as proto
    from staytrue.store import Store

CHECK = "/grpc.health.v1.Health/Check"
SECRET, WATCHER = new_secret(), new_secret()
KEY = [("x-api-key", SECRET)]


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """A server that wants keys, one of which asks once a minute, and one that may not predict."""
    slow = Limit(requests_per_second=1 / 60, burst=1)
    keys = (
        Key(name="caller", digest=digest_of(SECRET), scopes=frozenset({"predict"}), limit=slow),
        Key(name="watcher", digest=digest_of(WATCHER), scopes=frozenset({"metrics"})),
    )
    write(tmp_path / "keys.yaml", keys)
    made = House(store, tmp_path, keys=tmp_path / "keys.yaml")
    yield made
    made.close()


@pytest.fixture
def never() -> Iterator[Callable[[], Iterator[proto.ModelInferRequest]]]:
    """Requests that do not come before the test has ended."""
    ends = threading.Event()

    def nothing() -> Iterator[proto.ModelInferRequest]:
        ends.wait(20)
        yield from ()

    yield nothing
    ends.set()


def stream(house: House, requests: Iterator[proto.ModelInferRequest], **more: Any) -> Any:
    """A stream of inferences."""
    stub: Any = house.stub
    return stub.ModelStreamInfer(requests, **more)


def test_streams_without_a_key_end_at_once_and_take_no_place(house: House, never: Any) -> None:
    for _ in range(methods.MOST_STREAMS):
        assert refused(lambda: list(stream(house, never())))[0] == grpc.StatusCode.UNAUTHENTICATED
    (told,) = stream(house, iter([request()]), metadata=KEY)
    assert (told.error_message, told.infer_response.model_version) == ("", "1")


def test_a_stream_needs_its_scope_to_open(house: House, never: Any) -> None:
    status, said, _ = refused(lambda: list(stream(house, never(), metadata=[("x-api-key", WATCHER)])))
    assert (status, said.split(",")[0]) == (
        grpc.StatusCode.PERMISSION_DENIED,
        'key "watcher": expected scope predict',
    )


def test_to_open_a_stream_is_no_request_of_a_rate(house: House) -> None:
    first, second = stream(house, iter([request(), request()]), metadata=KEY)
    assert first.error_message == ""
    assert second.error_message.startswith('key "caller": expected at most 0.0166667 requests a second')


def test_bytes_that_are_no_message_are_told_so_and_leave_no_traceback(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    watch: Any = house.channel.unary_stream("/grpc.health.v1.Health/Watch")
    reflect: Any = house.channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    for name, ask in (
        ("grpc.health.v1.HealthCheckRequest", lambda: house.method(CHECK)(b"\xff")),
        ("grpc.health.v1.HealthCheckRequest", lambda: list(watch(b"\xff"))),
        ("grpc.reflection.v1alpha.ServerReflectionRequest", lambda: list(reflect(iter([b"\xff"])))),
    ):
        status, said, more = refused(ask)
        assert (status, more[CODE_KEY]) == (grpc.StatusCode.INVALID_ARGUMENT, "invalid_input")
        assert said == f"message: expected an {name}, got 1 bytes that are none"
    assert not caplog.records
