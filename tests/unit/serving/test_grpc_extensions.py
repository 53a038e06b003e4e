"""Streams, repository and statistics over gRPC as Triton's own client asks for them; keys and certificates."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from grpc_health.v1 import health_pb2
from tritonclient.utils import InferenceServerException

from serving.access import Access
from serving.description import EXTENSIONS
from serving.grpc import methods
from serving.grpc.server import SERVICE, Grpc
from serving.keyring import Key, digest_of, write
from serving.keys import new_secret
from serving.proto import open_inference_grpc_pb2 as proto
from serving.proto.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub
from staytrue.errors import InvalidConfig
from staytrue.listening import listen
from tests.certificates import Paper
from tests.unit.serving.grpc_house import House, refused, request, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from staytrue.store import Store

SECRETS = {name: new_secret() for name in ("predict", "metrics", "admin")}
OPEN = ("ServerLive", "ServerReady", "ServerMetadata")


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """The usual settings."""
    made = House(store, tmp_path)
    yield made
    made.close()


@pytest.fixture
def client(house: House) -> Iterator[Any]:
    """Triton's."""
    made = triton.InferenceServerClient(house.address)
    yield made
    made.close()


@pytest.fixture
def guarded(store: Store, tmp_path: Path) -> Iterator[House]:
    """A server that wants keys; each key has one scope, its name."""
    keys = tuple(Key(name=name, digest=digest_of(secret), scopes=frozenset({name})) for name, secret in SECRETS.items())  # type: ignore[arg-type]
    write(tmp_path / "keys.yaml", keys)
    made = House(store, tmp_path, keys=tmp_path / "keys.yaml")
    yield made
    made.close()


def inputs(number: float = 1.5) -> list[Any]:
    """A row for Triton's client."""
    made = []
    for name, datatype, array in (
        ("number", "FP32", np.array([[number]], np.float32)),
        ("kind", "BYTES", np.array([[b"b"]], dtype=object)),
        ("count", "INT64", np.array([[10]], np.int64)),
    ):
        made.append(triton.InferInput(name, [1, 1], datatype))
        made[-1].set_data_from_numpy(array)
    return made


def test_a_stream_answers_in_order_tells_of_what_is_wrong_and_goes_on(house: House, client: Any) -> None:
    told: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(lambda result, error: told.put((result, error)))
    for number in range(20):
        client.async_stream_infer("tiny" if number != 7 else "large", inputs(number), request_id=str(number))
    answers = [told.get(timeout=20) for _ in range(20)]
    client.stop_stream()
    for number, (result, error) in enumerate(answers):
        if number == 7:
            assert 'model "large": is not served here' in str(error)
        else:
            assert error is None
            assert result.get_response().id == str(number)
            assert result.as_numpy("total").tolist() == [[2.0 * number + 12.0]]
    statuses = [event.status for event in house.events()]
    assert (statuses.count("ok"), statuses.count("not_found")) == (19, 1)


def test_a_refused_request_of_a_stream_is_known_by_its_id(house: House) -> None:
    asked = [request(id="bad", model_name="large"), request(id="good"), request(model_version="9", id="worse")]
    bad, good, worse = house.stub.ModelStreamInfer(iter(asked))
    assert (bad.infer_response.id, good.infer_response.id, worse.infer_response.id) == ("bad", "good", "worse")
    assert bad.error_message.startswith('model "large": is not served here')
    assert (good.error_message, good.infer_response.model_version) == ("", "1")
    assert not worse.infer_response.outputs


def test_streams_are_few_and_each_that_ends_makes_room(house: House) -> None:
    ends = threading.Event()

    def endless() -> Iterator[proto.ModelInferRequest]:
        yield request()
        ends.wait(20)

    streams = [house.stub.ModelStreamInfer(endless()) for _ in range(methods.MOST_STREAMS)]
    assert [next(stream).error_message for stream in streams] == [""] * methods.MOST_STREAMS
    status, said, _ = refused(lambda: next(house.stub.ModelStreamInfer(endless())))
    assert (status, said.startswith("ModelStreamInfer: 32 are open")) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
    assert house.stub.ModelInfer(request()).model_version == "1"
    ends.set()
    assert [list(stream) for stream in streams] == [[]] * methods.MOST_STREAMS
    assert next(house.stub.ModelStreamInfer(iter([request()]))).infer_response.model_version == "1"


def test_a_stream_that_rests_does_not_hold_up_the_end_and_one_at_work_has_its_answer(house: House) -> None:
    began, go_on, asked = threading.Event(), threading.Event(), queue.Queue[Any]()

    def slowly(run: Any, given: Any) -> Any:
        began.set()
        go_on.wait(20)
        return run(given)

    resting = house.stub.ModelStreamInfer(iter(asked.get, None))
    asked.put(request())
    assert next(resting).error_message == ""
    house.runs_by(slowly)
    working = house.stub.ModelStreamInfer(iter([request()]))
    assert began.wait(20)
    ending = threading.Thread(target=house.server.stop, args=(20.0,))
    ending.start()
    status, said, _ = refused(lambda: next(resting))
    assert (status, said) == (grpc.StatusCode.UNAVAILABLE, "server: is shutting down; try another, or again")
    assert ending.is_alive()
    go_on.set()
    assert next(working).infer_response.model_version == "1"
    ending.join(10)
    assert not ending.is_alive()
    asked.put(None)


def test_a_stream_that_never_rests_ends_between_two_requests(house: House) -> None:
    def endless() -> Iterator[proto.ModelInferRequest]:
        while True:
            yield request()

    answers: list[str] = []

    def read() -> None:
        answers.extend(answer.error_message for answer in house.stub.ModelStreamInfer(endless()))

    reader = threading.Thread(target=lambda: refusals.append(refused(read)))
    refusals: list[Any] = []
    reader.start()
    until(lambda: len(answers) > 5)
    house.server.stop(20.0)
    reader.join(20)
    assert refusals[0][0] == grpc.StatusCode.UNAVAILABLE
    assert len(house.events()) == len(answers)
    assert set(answers) == {""}


def test_tritons_client_reads_metadata_index_and_statistics(client: Any, publishing: Callable[..., str]) -> None:
    publishing(3.0)
    assert client.is_server_live()
    assert client.is_model_ready("tiny")
    assert client.get_server_metadata(as_json=True)["extensions"] == EXTENSIONS
    assert client.infer("tiny", inputs()).as_numpy("total").tolist() == [[15.0]]
    with pytest.raises(InferenceServerException):
        client.infer("tiny", inputs()[:2])
    index = client.get_model_repository_index(as_json=True)["models"]
    assert index == [
        {"name": "tiny", "version": "1", "state": "READY"},
        {
            "name": "tiny",
            "version": "2",
            "state": "UNAVAILABLE",
            "reason": "is not in memory: loaded when it is named or promoted",
        },
    ]
    (told,) = client.get_inference_statistics("tiny").model_stats
    assert (told.name, told.version, told.inference_count, told.execution_count) == ("tiny", "1", 1, 1)
    assert (told.inference_stats.success.count, told.inference_stats.fail.count) == (1, 1)
    assert told.inference_stats.compute_infer.ns > 0
    assert [(one.batch_size, one.compute_infer.count) for one in told.batch_stats] == [(1, 1)]
    assert client.get_inference_statistics().model_stats == client.get_inference_statistics("tiny").model_stats
    with pytest.raises(InferenceServerException, match="is not served here"):
        client.get_inference_statistics("large")


def test_the_index_can_be_asked_for_what_answers(house: House, publishing: Callable[..., str]) -> None:
    publishing(3.0)
    told = house.stub.RepositoryIndex(proto.RepositoryIndexRequest(ready=True))
    assert [(one.version, one.state) for one in told.models] == [("1", "READY")]
    status, said, _ = refused(lambda: house.stub.RepositoryIndex(proto.RepositoryIndexRequest(repository_name="other")))
    assert (status, said.split(":")[0]) == (grpc.StatusCode.UNIMPLEMENTED, 'repository "other"')


def test_nobody_loads_or_unloads_where_there_are_no_keys(house: House, client: Any) -> None:
    for change in (client.load_model, client.unload_model):
        with pytest.raises(InferenceServerException, match="needs a key with scope admin, or the admin port"):
            change("tiny")
    assert house.stub.ModelInfer(request()).model_version == "1"


def test_who_has_the_scope_unloads_and_loads_and_brings_no_model_along(guarded: House) -> None:
    client: Any = triton.InferenceServerClient(guarded.address)
    admin = {"authorization": f"Bearer {SECRETS['admin']}"}
    predict = {"x-api-key": SECRETS["predict"]}
    client.unload_model("tiny", headers=admin)
    with pytest.raises(InferenceServerException, match="unloaded"):
        client.infer("tiny", inputs(), headers=predict)
    with pytest.raises(InferenceServerException, match='parameter "config": is not known here'):
        client.load_model("tiny", headers=admin, config="{}")
    with pytest.raises(InferenceServerException, match="is not served here"):
        client.load_model("large", headers=admin)
    client.load_model("tiny", headers=admin)
    assert client.infer("tiny", inputs(), headers=predict).as_numpy("total").tolist() == [[15.0]]
    client.close()


@pytest.mark.parametrize(
    ("method", "asked", "scope"),
    [
        ("ModelInfer", request(), "predict"),
        ("ModelReady", proto.ModelReadyRequest(name="tiny"), "predict"),
        ("ModelMetadata", proto.ModelMetadataRequest(name="tiny"), "predict"),
        ("ModelStatistics", proto.ModelStatisticsRequest(name="tiny"), "predict"),
        ("ModelStatistics", proto.ModelStatisticsRequest(), "metrics"),
        ("RepositoryIndex", proto.RepositoryIndexRequest(), "predict"),
        ("RepositoryModelLoad", proto.RepositoryModelLoadRequest(model_name="tiny"), "admin"),
        ("RepositoryModelUnload", proto.RepositoryModelUnloadRequest(model_name="tiny"), "admin"),
    ],
)
def test_each_method_wants_a_key_with_its_scope_before_it_reads(
    guarded: House, method: str, asked: Any, scope: str
) -> None:
    call = getattr(guarded.stub, method)
    assert refused(lambda: call(asked))[0] == grpc.StatusCode.UNAUTHENTICATED
    assert refused(lambda: call(asked, metadata=[("x-api-key", "st_no")]))[0] == grpc.StatusCode.UNAUTHENTICATED
    for name, secret in SECRETS.items():
        metadata = [("authorization", f"Bearer {secret}")]
        if name == scope:
            call(asked, metadata=metadata)
        else:
            status, said, _ = refused(lambda: call(asked, metadata=metadata))  # noqa: B023 - at once
            assert (status, said.split(",")[0]) == (
                grpc.StatusCode.PERMISSION_DENIED,
                f'key "{name}": expected scope {scope}',
            )
    unread = guarded.method(f"/{SERVICE}/{method}")
    if method != "ModelStatistics":
        assert refused(lambda: unread(b"\xff"))[0] == grpc.StatusCode.UNAUTHENTICATED


def test_every_method_is_either_open_or_wants_a_key(guarded: House) -> None:
    for method in proto.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods:
        if method.name == "ModelStreamInfer":
            status, said, _ = refused(lambda: list(guarded.stub.ModelStreamInfer(iter([request()]))))
            assert status == grpc.StatusCode.UNAUTHENTICATED
            assert said.startswith("header Authorization: expected Bearer KEY, got nothing")
        elif method.name in OPEN:
            guarded.method(f"/{SERVICE}/{method.name}")(b"")
        else:
            status, _, _ = refused(lambda: guarded.method(f"/{SERVICE}/{method.name}")(b""))  # noqa: B023
            assert status == grpc.StatusCode.UNAUTHENTICATED
    check = guarded.method("/grpc.health.v1.Health/Check")
    assert health_pb2.HealthCheckResponse.FromString(check(b"")).status == health_pb2.HealthCheckResponse.SERVING


def test_with_a_certificate_the_port_speaks_tls_and_lets_in_who_shows_one(store: Store, tmp_path: Path) -> None:
    ours, others = Paper(tmp_path, "ours"), Paper(tmp_path, "others")
    certificate, key = ours.issue("server")
    house = House(store, tmp_path, tls_certificate=certificate, tls_key=key, tls_client_ca=ours.ca)

    def ask(*pair: bytes) -> Any:
        credentials = grpc.ssl_channel_credentials(ours.ca.read_bytes(), *pair)
        with grpc.secure_channel(house.address, credentials) as channel:
            return GRPCInferenceServiceStub(channel).ModelInfer(request(), timeout=10)

    shown, its_key = ours.issue("caller")
    assert ask(its_key.read_bytes(), shown.read_bytes()).model_version == "1"
    stranger, strange_key = others.issue("stranger")
    for pair in ((), (strange_key.read_bytes(), stranger.read_bytes())):
        assert refused(lambda: ask(*pair))[0] == grpc.StatusCode.UNAVAILABLE  # noqa: B023 - at once
    assert refused(lambda: house.stub.ModelInfer(request(), timeout=10))[0] == grpc.StatusCode.UNAVAILABLE
    assert len(house.events()) == 1
    house.close()


def test_certificates_that_cannot_be_used_end_the_start(house: House, tmp_path: Path) -> None:
    paper = Paper(tmp_path, "ours")
    (one, key), (_, other_key) = paper.issue("one"), paper.issue("other")
    (tmp_path / "empty").write_bytes(b"")
    for certificate, its_key, ca, said in (
        (
            one,
            other_key,
            None,
            "serving.tls_key .*other.key: expected the key of serving.tls_certificate .*one.crt, got",
        ),
        (tmp_path / "missing", key, None, "serving.tls_certificate .*missing: cannot be read: No such file"),
        (one, tmp_path / "empty", None, "serving.tls_key .*empty: expected a private key in PEM, .*, got nothing"),
        (one, key, tmp_path / "empty", "serving.tls_client_ca .*empty: expected certificates in PEM, .*, got nothing"),
    ):
        wrong = {"tls_certificate": certificate, "tls_key": its_key, "tls_client_ca": ca}
        settings = house.settings.model_copy(update=wrong)
        with (
            listen("127.0.0.1", 0, insecure=False) as reserved,
            pytest.raises(InvalidConfig, match=said),
        ):
            Grpc(house.dataplane, settings, Access.open()).start(reserved)
