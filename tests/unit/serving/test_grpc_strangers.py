"""Who has no key: what such callers can take from others over gRPC, which is nothing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2

from serving.grpc import methods, reflection
from serving.grpc.arrivals import Waiting
from serving.grpc.errors import CODE_KEY
from serving.grpc.health import MOST_WATCHERS
from serving.grpc.server import SERVICE
from serving.grpc.shortcut import MOST_OPEN
from serving.keyring import Key, Limit, digest_of, write
from serving.keys import new_secret
from serving.proto import open_inference_grpc_pb2 as proto
from tests.unit.serving.grpc_house import House, refused, request, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from staytrue.store import Store

CHECK = "/grpc.health.v1.Health/Check"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
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
    made = House(store, tmp_path, keys=tmp_path / "keys.yaml", max_concurrency=4)
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


def begun(house: House, path: str, requests: Iterator[Any], metadata: Any = None) -> Any:
    """A call of which only its beginning is sent."""
    method: Any = house.channel.stream_unary(path)
    return method.future(requests, metadata=metadata, timeout=20)


@pytest.mark.parametrize("path", [f"/{SERVICE}/{name}" for name in ("ModelInfer", "ModelReady")] + [PREDICT])
def test_a_call_without_a_key_is_refused_before_its_message_comes(house: House, never: Any, path: str) -> None:
    status, said, more = refused(begun(house, path, never()).result)
    assert (status, more[CODE_KEY]) == (grpc.StatusCode.UNAUTHENTICATED, "unauthenticated")
    assert said.startswith("header Authorization: expected Bearer KEY, got nothing")


@pytest.mark.parametrize("path", [f"/{SERVICE}/ServerLive", CHECK, "/grpc.health.v1.Health/Watch"])
def test_calls_whose_messages_never_come_take_no_thread_from_others(house: House, never: Any, path: str) -> None:
    assert house.server._threads
    waiting = house.server._threads._strangers = Waiting(1000, 60.0)
    calls = [begun(house, path, never()) for _ in range(house.server._threads._max_workers + 10)]
    until(lambda: len(waiting) == len(calls))
    assert house.method(CHECK)(b"", timeout=10)
    stub: Any = house.stub
    assert stub.ModelInfer(request(), metadata=KEY, timeout=10).model_version == "1"
    assert not any(call.done() for call in calls)
    for call in calls:
        call.cancel()
    until(lambda: len(waiting) == 0)


def test_a_call_whose_message_is_late_ends_when_another_begins(house: House, never: Any) -> None:
    assert house.server._threads
    house.server._threads._strangers = Waiting(10, 0.0)
    late = begun(house, CHECK, never())
    until(lambda: house.server._threads is not None and len(house.server._threads._strangers) == 1)
    assert house.method(CHECK)(b"", timeout=10)
    status, said, _ = refused(late.result)
    assert (status, said) == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "call: expected a message within 0 seconds, got none yet",
    )


def test_few_wait_that_need_no_key_and_who_sends_the_message_is_answered(house: House, never: Any) -> None:
    calls = [begun(house, f"/{SERVICE}/ServerLive", never()) for _ in range(MOST_OPEN + 5)]
    until(lambda: sum(call.done() for call in calls) == 5)
    assert [call.code() for call in calls if call.done()] == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 5
    assert house.method(CHECK)(b"", timeout=10)
    assert house.stub.ServerLive(proto.ServerLiveRequest()).live
    for call in calls:
        call.cancel()


def test_the_oldest_of_too_many_that_wait_ends(house: House, never: Any) -> None:
    assert house.server._threads
    waiting = house.server._threads._waiting = Waiting(2, 60.0)
    calls = []
    for count in range(1, 4):
        calls.append(begun(house, f"/{SERVICE}/ModelReady", never(), KEY))
        until(lambda: len(waiting) == min(count, 2))  # noqa: B023 - at once
    status, said, _ = refused(calls[0].result)
    assert (status, said) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "server: 2 calls wait for their messages, the limit; try again",
    )
    assert not any(call.done() for call in calls[1:])
    calls[1].cancel()
    until(lambda: len(waiting) == 1)


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
        ("grpc.reflection.v1alpha.ServerReflectionRequest", lambda: list(reflect(iter([b"\xff"]), metadata=KEY))),
    ):
        status, said, more = refused(ask)
        assert (status, more[CODE_KEY]) == (grpc.StatusCode.INVALID_ARGUMENT, "invalid_input")
        assert said == f"message: expected an {name}, got 1 bytes that are none"
    assert not caplog.records


def watch(house: House, metadata: Any = None) -> Any:
    """A watcher of health that was told the status."""
    method: Any = house.channel.unary_stream("/grpc.health.v1.Health/Watch")
    call = method(b"", metadata=metadata, timeout=60)
    assert next(call)
    return call


def test_the_oldest_watcher_without_a_key_makes_room_and_those_with_keys_stay(house: House) -> None:
    kept = watch(house, KEY)
    strangers = [watch(house) for _ in range(MOST_WATCHERS - 1)]
    newcomers = []  # a call that nobody keeps is cancelled, and makes room
    for newcomer, oldest in ((KEY, strangers[0]), (None, strangers[1])):
        newcomers.append(watch(house, newcomer))
        status, said, _ = refused(lambda: next(oldest))  # noqa: B023 - at once
        assert (status, said.split(",")[0]) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "Watch: 32 are open")
    newcomers += [watch(house) for _ in range(100)]  # more than there are threads
    assert house.method(CHECK)(b"", timeout=10)
    assert not kept.done()
    watching = [kept, newcomers[0], *(watch(house, KEY) for _ in range(MOST_WATCHERS - 2))]
    assert refused(lambda: watch(house))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not any(call.done() for call in watching)


def test_reflection_wants_a_key_any_and_ends_when_it_is_idle(
    house: House, never: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    method: Any = house.channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    for _ in range(reflection.MOST_STREAMS):
        assert refused(lambda: list(method(never())))[0] == grpc.StatusCode.UNAUTHENTICATED
    asked = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
    assert list(method(iter([asked]), metadata=[("x-api-key", WATCHER)], timeout=20))
    monkeypatch.setattr(house.server._streams[1], "idle_seconds", 0.2)
    until(lambda: not house.server._streams[1]._looking)
    status, said, _ = refused(lambda: list(method(never(), metadata=KEY, timeout=20)))
    assert (status, said) == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "ServerReflectionInfo: expected a request within 0.2 seconds, got none",
    )
    until(lambda: not house.server._streams[1]._open)
