"""The server over gRPC, in process: methods, errors, health, reflection, and an event for every answer."""

from __future__ import annotations

import gc
import json
import re
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from serving.access import Access
from serving.grpc import shortcut
from serving.grpc.errors import CODE_KEY, LONGEST_DETAILS, STATUS, details
from serving.grpc.guard import Guard
from serving.grpc.inference import SMALL_BYTES
from serving.grpc.server import SERVICE, Grpc
from serving.proto import open_inference_grpc_pb2 as proto
from serving.rest.errors import STATUS as REST_STATUS
from staytrue.errors import ErrorCode, InvalidConfig, NotFound
from staytrue.listening import listen
from tests.unit.serving.grpc_house import LIMIT, House, refused, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from staytrue.store import Store

    Bytes = grpc.UnaryUnaryMultiCallable[bytes, bytes]

CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"
PAGE = Path(__file__).parents[3] / "docs/grpc.md"


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """The usual settings, small limits."""
    made = House(store, tmp_path)
    yield made
    made.close()


def test_every_code_has_a_status() -> None:
    assert set(STATUS) == set(ErrorCode)
    assert grpc.StatusCode.OK not in STATUS.values()


def test_the_page_tells_the_same_table() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*) \| (\d+) \|$", PAGE.read_text(), re.MULTILINE)
    told = {
        ErrorCode(code): (status, int(http)) for status, codes, http in rows for code in re.findall("`(.*?)`", codes)
    }
    assert told == {code: (status.name, REST_STATUS[code]) for code, status in STATUS.items()}


def test_details_fit_into_the_trailing_metadata_that_clients_take() -> None:
    assert len(details(NotFound("model", "ü" * 10_000))) == LONGEST_DETAILS


def test_every_method_of_the_service_is_there(house: House) -> None:
    assert set(house.server._methods.handlers()) == {
        method.name for method in proto.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods
    }


@pytest.mark.parametrize("raw", [False, True])
def test_an_answer_says_who_gave_it_in_the_form_of_the_question_and_its_event_is_logged(
    house: House, raw: bool
) -> None:
    answer = house.stub.ModelInfer(
        request(2, raw=raw, id="mine"), metadata=[("traceparent", TRACE), ("x-request-id", "header")]
    )
    assert (answer.model_name, answer.model_version, answer.id) == ("tiny", "1", "mine")
    (output,) = answer.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("total", "FP32", [2, 1])
    values = np.frombuffer(answer.raw_output_contents[0], "<f4") if raw else output.contents.fp32_contents
    assert list(values) == [11.0, 13.0]
    assert len(answer.raw_output_contents) == int(raw)
    (event,) = house.events()
    assert event.id == answer.parameters["event_id"].string_param
    assert (event.model, event.version, event.role, event.status, event.protocol) == (
        "tiny",
        "1",
        "champion",
        "ok",
        "grpc",
    )
    assert (event.request_id, event.trace_id, event.rows, event.time) == ("mine", TRACE, 2, 1000.0)
    assert event.inputs[0].array().tolist() == [[0.0], [1.0]]
    assert event.inputs[1].array().tolist() == [["a"], ["a"]]
    assert event.outputs[0].array().tolist() == [[11.0], [13.0]]


def test_a_version_can_be_named_and_is_told_apart(house: House, store: Store, publishing: Callable[..., str]) -> None:
    store.promote("tiny", publishing(3.0), reason="test")
    house.registry.refresh()
    assert house.stub.ModelInfer(request(model_version="1")).model_version == "1"
    assert house.stub.ModelInfer(request()).model_version == "2"
    assert [event.role for event in house.events()] == ["pinned", "champion"]
    assert house.stub.ModelMetadata(proto.ModelMetadataRequest(name="tiny", version="1")).properties["version"] == "1"


def test_bytes_that_are_no_message_are_refused_and_leave_an_event(house: House) -> None:
    call: Bytes = house.channel.unary_unary(f"/{SERVICE}/ModelInfer")
    other: Bytes = house.channel.unary_unary(f"/{SERVICE}/ModelReady")
    status, said, more = refused(lambda: call(b"\xff\xff\xff"))
    assert status == grpc.StatusCode.INVALID_ARGUMENT
    assert said == "message: expected an inference.ModelInferRequest, got 3 bytes that are none"
    assert more[CODE_KEY] == "invalid_input"
    assert refused(lambda: other(b"\xff"))[0] == status
    assert [(event.status, event.model, event.protocol) for event in house.events()] == [("invalid_input", "", "grpc")]


@pytest.mark.parametrize(
    ("size", "compression", "said"),
    [
        (LIMIT + 1, None, f"message: expected at most {LIMIT} bytes, got {LIMIT + 1}; send fewer rows, or raise"),
        (2 * LIMIT, grpc.Compression.Gzip, f"message: expected at most {LIMIT} bytes, got {2 * LIMIT}"),
        (2 * LIMIT + 1, None, "larger than max"),
        (50_000_000, None, "larger than max"),
        (5_000_000, grpc.Compression.Gzip, "larger than max"),
    ],
)
def test_a_message_beyond_the_limit_is_refused_in_our_words_with_an_event_or_by_grpc_without(
    house: House, size: int, compression: grpc.Compression | None, said: str
) -> None:
    call: Bytes = house.channel.unary_unary(f"/{SERVICE}/ModelInfer")
    status, told, _ = refused(lambda: call(b"x" * size, compression=compression))
    assert (status, said in told) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True), told
    assert house.stub.ModelInfer(request()).model_version == "1"
    statuses = [event.status for event in house.events()]
    assert statuses == (["too_large", "ok"] if size <= 2 * LIMIT else ["ok"])


def test_a_fault_of_ours_gives_an_id_and_never_its_text(house: House, monkeypatch: pytest.MonkeyPatch) -> None:

    def fail(*_: Any) -> Any:
        raise RuntimeError("the secret is 1234")

    house.runs_by(fail)
    status, said, more = refused(lambda: house.stub.ModelInfer(request()))
    (event,) = house.events()
    assert (status, more[CODE_KEY]) == (grpc.StatusCode.INTERNAL, "internal")
    assert "1234" not in said
    assert event.id in said
    assert (event.status, "1234" in event.error) == ("internal", False)
    monkeypatch.setattr(house.dataplane, "describe", fail)
    status, said, _ = refused(lambda: house.stub.ModelMetadata(proto.ModelMetadataRequest(name="tiny")))
    assert (status, "1234" in said, "failed; request " in said) == (grpc.StatusCode.INTERNAL, False, True)


def test_no_prediction_is_given_that_cannot_be_logged(house: House) -> None:
    house.writer.close()
    status, _, more = refused(lambda: house.stub.ModelInfer(request()))
    assert (status, more[CODE_KEY]) == (grpc.StatusCode.UNAVAILABLE, "unavailable")


def test_more_requests_than_the_house_holds_are_told_to_come_again(store: Store, tmp_path: Path) -> None:
    house = House(store, tmp_path, max_concurrency=1)
    began, go_on = threading.Event(), threading.Event()

    def slowly(run: Any, inputs: Any) -> Any:
        began.set()
        go_on.wait(20)
        return run(inputs)

    house.runs_by(slowly)
    first = threading.Thread(target=house.stub.ModelInfer, args=(request(),))
    first.start()
    assert began.wait(20)
    status, _, more = refused(lambda: house.stub.ModelInfer(request()))
    assert (status, more[CODE_KEY]) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "overloaded")
    assert more["grpc-retry-pushback-ms"] == "1000"
    go_on.set()
    first.join(20)
    assert [event.status for event in house.events()] == ["overloaded", "ok"]
    house.close()


def test_event_time_is_believed_only_where_the_server_is_told_to(store: Store, tmp_path: Path) -> None:
    believing = House(store, tmp_path / "a", event_time="request")
    doubting = House(store, tmp_path / "b")
    ways: list[dict[str, Any]] = [
        {"string_param": "2011-05-01T08:00:00Z"},
        {"double_param": 1304236800.0},
        {"int64_param": 1304236800},
        {"uint64_param": 1304236800},
    ]
    for house, at in ((believing, 1304236800.0), (doubting, 1000.0)):
        for way in ways:
            house.stub.ModelInfer(request(parameters={"event_time": proto.InferParameter(**way)}))
        assert [event.time for event in house.events()] == [at] * 4
    for way in ({"string_param": "yesterday"}, {"bool_param": True}, {"double_param": -5.0}):
        wrong = request(parameters={"event_time": proto.InferParameter(**way)})
        status, said, _ = refused(lambda: believing.stub.ModelInfer(wrong))  # noqa: B023 - at once
        assert status == grpc.StatusCode.INVALID_ARGUMENT
        assert 'parameter "event_time": expected Unix seconds or RFC 3339' in said
    for house in (believing, doubting):
        house.close()


def test_nan_needs_no_policy(house: House) -> None:
    assert house.settings.nan_policy == "reject"
    asked = request(raw=True)
    asked.raw_input_contents[0] = np.array([np.nan], np.float32).tobytes()
    answer = house.stub.ModelInfer(asked)
    assert np.isnan(np.frombuffer(answer.raw_output_contents[0], "<f4")).all()


def test_metadata_names_inputs_outputs_categories_and_runtime(house: House) -> None:
    told = house.stub.ModelMetadata(proto.ModelMetadataRequest(name="tiny"))
    assert [(i.name, i.datatype, list(i.shape)) for i in [*told.inputs, *told.outputs]] == [
        ("number", "FP32", [-1, 1]),
        ("kind", "BYTES", [-1, 1]),
        ("count", "INT64", [-1, 1]),
        ("total", "FP32", [-1, 1]),
    ]
    assert (list(told.versions), told.platform) == (["1"], "onnx_onnxv1")
    assert json.loads(told.properties["categories"]) == {"kind": ["a", "b"]}
    assert told.properties["runtime"].startswith("onnxruntime")
    assert (told.properties["provider"], told.properties["max_batch"]) == ("cpu", "16")
    assert house.stub.ServerMetadata(proto.ServerMetadataRequest()).name == "staytrue"


def test_reflection_tells_services_and_their_messages(house: House) -> None:
    ask = house.channel.stream_stream(
        REFLECT,
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )

    def asked(**what: Any) -> Any:
        return next(ask(iter([reflection_pb2.ServerReflectionRequest(**what)]), timeout=20))

    services = [service.name for service in asked(list_services="").list_services_response.service]
    tensorflow = "tensorflow.serving.PredictionService"
    assert services == ["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", SERVICE, tensorflow]
    for service, method in ((SERVICE, "ModelInfer"), ("grpc.health.v1.Health", "Check"), (tensorflow, "Predict")):
        for symbol in (service, f"{service}.{method}"):
            (file,) = asked(file_containing_symbol=symbol).file_descriptor_response.file_descriptor_proto
            found = descriptor_pb2.FileDescriptorProto.FromString(file)
            assert f"{found.package}.{found.service[0].name}" == service
    assert asked(file_containing_symbol="no.Such").error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert asked(file_by_filename="no.proto").error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_calls_take_the_usual_way_where_grpcio_is_another_than_expected(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert shortcut.fits()
    monkeypatch.delattr("grpc._server._unary_response_in_pool")
    assert not shortcut.fits()
    monkeypatch.undo()
    monkeypatch.setattr(shortcut, "fits", lambda: False)
    house = House(store, tmp_path)
    assert "is another than expected: small calls cost more" in caplog.text
    assert house.stub.ModelInfer(request()).model_version == "1"
    assert refused(lambda: house.stub.ModelInfer(request(model_name="large")))[0] == grpc.StatusCode.NOT_FOUND
    assert [event.status for event in house.events()] == ["ok", "not_found"]
    house.close()


def test_a_large_message_is_answered_and_refused_as_a_small_one(store: Store, tmp_path: Path) -> None:
    house = House(store, tmp_path, max_body_bytes=1_000_000)
    house.dataplane.registry.model("tiny")
    large = request(16, raw=True)
    large.raw_input_contents[1] = b"".join(b"\0\x20\0\0" + b"a" * 8192 for _ in range(16))
    assert large.ByteSize() > SMALL_BYTES
    answer = house.stub.ModelInfer(large)
    assert np.frombuffer(answer.raw_output_contents[0], "<f4").tolist() == [2.0 * row + 10.0 for row in range(16)]
    large.model_name = "large"
    assert refused(lambda: house.stub.ModelInfer(large))[2][CODE_KEY] == "not_found"
    assert [event.status for event in house.events()] == ["ok", "not_found"]
    house.close()


def test_a_call_without_a_message_is_refused(house: House) -> None:
    call: Any = house.channel.stream_unary(f"/{SERVICE}/ModelInfer")
    status, said, _ = refused(lambda: call(iter([])))
    assert (status, "exactly one request message" in said) == (grpc.StatusCode.UNIMPLEMENTED, True)
    assert house.stub.ModelInfer(request()).model_version == "1"


def test_many_callers_at_once_each_get_their_own_rows(house: House) -> None:
    wrong: list[Any] = []

    def call_on(number: int) -> None:
        asked = request(raw=True)
        asked.raw_input_contents[0] = np.array([number], "<f4").tobytes()
        for _ in range(50):
            answer = np.frombuffer(house.stub.ModelInfer(asked).raw_output_contents[0], "<f4").tolist()
            if answer != [2.0 * number + 11.0]:
                wrong.append(answer)

    callers = [threading.Thread(target=call_on, args=(number,)) for number in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert wrong == []
    assert [event.status for event in house.events()] == ["ok"] * 400
    assert house.dataplane.in_flight == 0


def test_messages_that_would_fill_the_memory_are_told_to_come_again(store: Store, tmp_path: Path) -> None:
    house = House(store, tmp_path, max_body_bytes=200_000, max_inflight_bytes=150_000)
    call: Bytes = house.channel.unary_unary(f"/{SERVICE}/ModelInfer")
    status, said, more = refused(lambda: call(b"x" * 160_000))
    assert (status, more[CODE_KEY]) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "overloaded")
    assert "150000 at most" in said
    assert refused(lambda: call(b"x" * 140_000))[2][CODE_KEY] == "not_found"
    assert [event.status for event in house.events()] == ["overloaded", "not_found"]
    house.close()


def test_a_request_id_that_no_log_should_hold_is_refused(house: House) -> None:
    house.stub.ModelInfer(request(), metadata=[("x-request-id", "order-17")])
    wrong = refused(lambda: house.stub.ModelInfer(request(), metadata=[("x-request-id", "a b")]))
    assert wrong[1] == "metadata x-request-id: expected 1 to 128 visible ASCII characters, got others"
    assert [event.request_id for event in house.events()] == ["order-17", ""]


def test_a_place_that_is_taken_is_refused(house: House) -> None:
    taken = int(house.address.split(":")[1])
    with pytest.raises(InvalidConfig, match="Address already in use; choose another with --grpc-port, or 0"):
        listen("127.0.0.1", taken, insecure=False, flag="--grpc-port")
    with listen("127.0.0.1", 0, insecure=False) as reserved:
        reserved.listen()  # somebody was quicker between reserving and listening
        with pytest.raises(InvalidConfig, match="cannot be listened on; choose another with --grpc-port"):
            Grpc(house.dataplane, house.settings, Access.open()).start(reserved)


def test_a_refused_call_lets_go_of_its_request_at_once() -> None:
    """Without a collection of garbage: a cycle through the error's traceback would hold the whole message till then."""

    class Held:
        """Stands for what a call holds."""

    seen: list[weakref.ref[Held]] = []

    def refuse(_: object, __: object) -> bytes:
        held = Held()
        seen.append(weakref.ref(held))
        error = NotFound("model", "is not here")
        kept.append(error)
        raise error

    class Context:
        def set_trailing_metadata(self, _: object) -> None:
            """Take it."""

        def abort(self, *_: object) -> None:
            """Say nothing."""

    kept: list[NotFound] = []
    handler: Any = Guard(Access.open()).unary(refuse)
    gc.disable()
    try:
        handler.unary_unary(b"", Context())
        assert [ref() for ref in seen] == [None]
    finally:
        gc.enable()
