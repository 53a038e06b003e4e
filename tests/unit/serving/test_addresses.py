"""What else is asked for over HTTP: other people's addresses, the extensions, headers, keys, canaries, and nonsense."""

from __future__ import annotations

import gzip
import http.client
import random
import socket
import threading
import time
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest
import tritonclient.http

from serving.keyring import Key, digest_of, write
from serving.rest import bodies
from serving.runtimes.fake import FakeRuntime
from tests.unit.serving.house import House

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import httpx
    from numpy.typing import NDArray

    from serving.runtimes.base import Runtime
    from staytrue.store import Store

INFER = "/v2/models/tiny/infer"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ROW = {"number": 1.5, "kind": "b", "count": 10}
BODY = orjson.dumps(
    {
        "inputs": [
            {"name": "number", "datatype": "FP32", "shape": [1, 1], "data": [1.5]},
            {"name": "kind", "datatype": "BYTES", "shape": [1, 1], "data": ["b"]},
            {"name": "count", "datatype": "INT64", "shape": [1, 1], "data": [10]},
        ]
    }
)
TOTAL = 15.0


def slowly(runtime: Runtime, inputs: Mapping[str, NDArray[Any]], seconds: float) -> dict[str, NDArray[Any]]:
    """Run a model, in its own time."""
    time.sleep(seconds)
    return runtime.run(inputs)


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """A server whose second port is open too: the same addresses, and loading by hand."""
    made = House(store, tmp_path, admin=True, max_body_bytes=10_000)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/v1/models/tiny:predict", {"instances": [ROW, ROW]}, {"predictions": [TOTAL, TOTAL]}),
        ("/v1/models/tiny/versions/1:predict", {"instances": [ROW]}, {"predictions": [TOTAL]}),
        (
            "/v1/models/tiny:predict",
            {"inputs": {"number": [[1.5]], "kind": [["b"]], "count": [[10]]}},
            {"outputs": [[TOTAL]]},
        ),
        ("/predictions/tiny", [ROW], [TOTAL]),
        ("/predictions/tiny/1", ROW, [TOTAL]),
        ("/invocations", {"dataframe_records": [ROW]}, {"predictions": [TOTAL]}),
        (
            "/invocations",
            {"dataframe_split": {"columns": ["number", "kind", "count"], "data": [[1.5, "b", 10]]}},
            {"predictions": [TOTAL]},
        ),
    ],
    ids=["rows", "version", "columns", "TorchServe", "one row", "records", "split"],
)
def test_what_people_already_call_is_answered_and_logged(house: House, path: str, body: Any, told: Any) -> None:
    answer = house.client.post(path, json=body)
    assert (answer.status_code, answer.json()) == (200, told)
    (event,) = house.events()
    assert event.id == answer.headers["x-event-id"]
    assert (event.status, event.model) == ("ok", "tiny")


def test_a_prediction_of_torchserve_may_be_put_as_curl_does_with_a_file(house: House) -> None:
    answer = house.client.put("/predictions/tiny", content=orjson.dumps([ROW]))
    assert (answer.status_code, answer.json()) == (200, [TOTAL])
    assert [event.status for event in house.events()] == ["ok"]


def test_a_table_in_csv_gives_one_in_csv(house: House) -> None:
    headers = {"Content-Type": "text/csv", "Accept": "text/csv"}
    answer = house.client.post("/invocations", content="number,kind,count\n1.5,b,10\n2,a,0\n", headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv")
    assert [float(line) for line in answer.text.split()] == [15.0, 5.0]
    assert house.client.post("/invocations", content="x", headers={"Content-Type": "text/xml"}).status_code == 400


def test_the_state_of_a_model_in_other_peoples_words(house: House) -> None:
    assert house.client.get("/ping").json() == {"status": "Healthy"}
    told = house.client.get("/v1/models/tiny").json()
    assert (told["name"], told["ready"], told["model_version_status"][0]["state"]) == ("tiny", True, "AVAILABLE")
    assert house.client.get("/v1/models/tinny").status_code == 404


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", zlib.compress(BODY)[2:-4]),
        ("identity", BODY),
    ],
    ids=["gzip", "deflate", "bare deflate", "identity"],
)
def test_compressed_bodies_are_read(house: House, encoding: str, packed: bytes) -> None:
    answer = house.client.post(INFER, content=packed, headers={"Content-Encoding": encoding})
    assert answer.json()["outputs"][0]["data"] == [TOTAL]


@pytest.mark.parametrize(
    ("encoding", "packed", "status", "said"),
    [
        ("br", BODY, 400, "header Content-Encoding: expected gzip, deflate or identity, got br"),
        ("gzip", BODY, 400, "is not what header Content-Encoding says"),
        ("gzip", gzip.compress(BODY)[:-9], 400, "is not what header Content-Encoding says"),
        ("gzip", gzip.compress(BODY) + b"more", 400, "is not what header Content-Encoding says"),
        ("gzip", gzip.compress(b" " * 1_000_000), 413, "expected at most 10000 bytes, unpacked"),
    ],
    ids=["unknown", "none", "broken off", "more", "bomb"],
)
def test_bad_compression_is_told_and_logged(house: House, encoding: str, packed: bytes, status: int, said: str) -> None:
    answer = house.client.post(INFER, content=packed, headers={"Content-Encoding": encoding})
    assert (answer.status_code, said in answer.json()["error"]) == (status, True)
    assert house.client.post(INFER, content=BODY).status_code == 200
    assert [event.status for event in house.events()] == [answer.json()["code"], "ok"]


def test_ids_and_traces_are_carried_to_event_and_answer(house: House) -> None:
    answer = house.client.post(INFER, content=BODY, headers={"X-Request-Id": "order-17", "traceparent": TRACE})
    (event,) = house.events()
    assert (event.request_id, event.trace_id) == ("order-17", TRACE)
    assert (answer.headers["x-request-id"], answer.headers["traceparent"]) == ("order-17", TRACE)
    assert "id" not in answer.json()
    assert house.client.post(INFER, content=BODY, headers={"X-Request-Id": "a b"}).status_code == 400
    assert "traceparent" not in house.client.post(INFER, content=BODY, headers={"traceparent": "00-abc"}).headers


def test_a_caller_says_how_long_it_waits(house: House) -> None:
    lane: Any = house.registry.model("tiny").champion.lane  # type: ignore[union-attr]
    runtime, lane._here = lane._runtime, False  # slow: not to be run in the loop
    free = threading.Event()
    lane._runtime = FakeRuntime(lambda inputs: runtime.run(inputs) if free.wait(20) else {})
    answer = house.client.post(INFER, content=BODY, headers={"Request-Timeout": "0.2"})  # while the model still runs
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
    free.set()
    for wrong in ("0", "-1", "soon", "nan"):
        assert house.client.post(INFER, content=BODY, headers={"Request-Timeout": wrong}).status_code == 400
    assert house.client.post(INFER, content=BODY, headers={"Request-Timeout": "5"}).status_code == 200


def test_a_caller_that_hangs_up_leaves_the_queue(house: House) -> None:
    lane: Any = house.registry.model("tiny").champion.lane  # type: ignore[union-attr]
    runtime, lane._here = lane._runtime, False
    lane._runtime = FakeRuntime(lambda inputs: slowly(runtime, inputs, 1.0))
    host, port = house.address.removeprefix("http://").split(":")
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (INFER.encode(), len(BODY))
    callers = [socket.create_connection((host, int(port))) for _ in range(5)]
    for caller in callers:
        caller.sendall(head + BODY)
        time.sleep(0.05)
    for caller in callers:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # hangs up by a reset
        caller.close()
    assert house.client.post(INFER, content=BODY).status_code == 200
    statuses = [event.status for event in house.events()]
    assert sorted(statuses) == ["cancelled"] * 5 + ["ok"]


def test_repository_and_statistics_are_told_as_tritons_client_asks(
    house: House, publishing: Callable[..., str]
) -> None:
    publishing(3.0)
    client = tritonclient.http.InferenceServerClient(house.address.removeprefix("http://"))
    house.client.post(INFER, content=BODY)
    index = client.get_model_repository_index()
    assert [(entry["name"], entry["version"], entry["state"]) for entry in index] == [
        ("tiny", "1", "READY"),
        ("tiny", "2", "UNAVAILABLE"),
    ]
    (stats,) = client.get_inference_statistics("tiny")["model_stats"]
    assert (stats["version"], stats["inference_count"], stats["execution_count"]) == ("1", 1, 1)
    assert stats["inference_stats"]["success"]["count"] == 1
    client.unload_model("tiny")
    assert house.client.post(INFER, content=BODY).status_code == 503
    assert "was unloaded" in house.client.post(INFER, content=BODY).json()["error"]
    client.load_model("tiny")
    assert house.client.post(INFER, content=BODY).status_code == 200
    client.close()
    assert house.client.post("/v2/repository/index", content=b"{").status_code == 400


def test_loading_by_hand_is_not_on_the_port_of_predictions(store: Store, tmp_path: Path) -> None:
    house = House(store, tmp_path)
    answer = house.client.post("/v2/repository/models/tiny/unload")
    assert (answer.status_code, "set serving.admin_port" in answer.json()["error"]) == (405, True)
    assert house.client.post(INFER, content=BODY).status_code == 200
    house.close()


def test_tensors_as_bytes_by_tritons_client_are_those_in_json(house: House) -> None:
    client = tritonclient.http.InferenceServerClient(house.address.removeprefix("http://"))
    inputs = []
    for name, datatype, array in (
        ("number", "FP32", np.array([[1.5], [2.5]], np.float32)),
        ("kind", "BYTES", np.array([["b"], ["a"]], object)),
        ("count", "INT64", np.array([[10], [0]], np.int64)),
    ):
        inputs.append(tritonclient.http.InferInput(name, list(array.shape), datatype))
        inputs[-1].set_data_from_numpy(array, binary_data=True)
    for compression in (None, "gzip", "deflate"):
        told = client.infer("tiny", inputs, request_compression_algorithm=compression)
        assert told.as_numpy("total").tolist() == [[15.0], [6.0]]
    wanted = [tritonclient.http.InferRequestedOutput("total", class_count=1)]
    assert client.infer("tiny", inputs, outputs=wanted).as_numpy("total").tolist() == [[b"15.0:0"], [b"6.0:0"]]
    client.close()


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_long_answer_is_compressed_for_who_takes_it_so(
    house: House, coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(accepted: str) -> httpx.Response:
        return house.client.post(INFER, content=BODY, headers={"Accept-Encoding": accepted})

    assert "content-encoding" not in ask(coding).headers  # too short to be worth it
    monkeypatch.setattr(bodies, "PACKED_FROM", 1)
    told = ask(coding)
    assert (told.headers["content-encoding"], told.headers["vary"]) == (coding, "Accept-Encoding")
    assert told.json()["outputs"][0]["data"] == [TOTAL]
    assert [ask(accepted).headers.get("content-encoding") for accepted in ("br", f"{coding};q=0", "")] == [None] * 3
    client = tritonclient.http.InferenceServerClient(house.address.removeprefix("http://"))
    given = tritonclient.http.InferInput("number", [1, 1], "FP32")
    given.set_data_from_numpy(np.array([[1.5]], np.float32))
    kind = tritonclient.http.InferInput("kind", [1, 1], "BYTES")
    kind.set_data_from_numpy(np.array([["b"]], object))
    count = tritonclient.http.InferInput("count", [1, 1], "INT64")
    count.set_data_from_numpy(np.array([[10]], np.int64))
    answer = client.infer("tiny", [given, kind, count], response_compression_algorithm=coding)
    assert answer.as_numpy("total").tolist() == [[15.0]]
    client.close()


def test_a_key_opens_what_its_scopes_say(store: Store, tmp_path: Path) -> None:
    shop = Key(name="shop", digest=digest_of("st_shop"), scopes=frozenset({"predict"}), limit=None)
    write(tmp_path / "keys.yaml", (shop,))
    house = House(store, tmp_path, admin=True, keys=tmp_path / "keys.yaml")
    bearer = {"Authorization": "Bearer st_shop"}
    assert house.client.get("/v2/health/ready").status_code == 200
    for headers, status in (({}, 401), ({"X-Api-Key": "other"}, 401), (bearer, 200)):
        assert house.client.post(INFER, content=BODY, headers=headers).status_code == status
        assert house.client.get("/v2/models/tiny", headers=headers).status_code == status
    assert house.client.get("/v2/models/stats", headers=bearer).status_code == 403
    assert house.client.post("/v2/repository/models/tiny/unload", headers=bearer).status_code == 403
    assert house.client.post(INFER, content=BODY, headers=bearer).status_code == 200
    assert house.server.known.known  # health's head is
    assert not any(b"st_shop" in head for head in house.server.known.known)
    house.close()


def test_a_canary_gets_its_share_and_a_sticky_caller_always_meets_the_same(
    store: Store, tmp_path: Path, publishing: Callable[..., str]
) -> None:
    store.set_canary("tiny", publishing(3.0), 0.5, reason="test")
    house = House(store, tmp_path)
    versions: dict[str, set[str]] = {}
    for number in range(60):
        caller = f"caller-{number % 20}"
        answer = house.client.post(INFER, content=BODY, headers={"X-Sticky-Id": caller})
        versions.setdefault(caller, set()).add(answer.json()["model_version"])
    assert all(len(met) == 1 for met in versions.values())
    assert set().union(*versions.values()) == {"1", "2"}
    assert {(event.version, event.role) for event in house.events()} == {("1", "champion"), ("2", "challenger")}
    house.close()


def test_more_bytes_than_all_requests_may_hold_are_an_overload_in_answer_and_event(
    store: Store, tmp_path: Path
) -> None:
    house = House(store, tmp_path, max_inflight_bytes=len(BODY))
    answer = house.client.post(INFER, content=BODY + b" ")
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (429, "overloaded", "1")
    assert house.client.post(INFER, content=BODY).status_code == 200
    assert [event.status for event in house.events()] == ["overloaded", "ok"]
    house.close()


def test_twenty_thousand_random_paths_are_no_fault_and_leave_no_series(house: House) -> None:
    drawn = random.Random(0)  # noqa: S311 - no secret
    parts = [
        "v1",
        "v2",
        "models",
        "tiny",
        "infer",
        "versions",
        "1",
        "..",
        "",
        "%2e%2e",
        "%00",
        "ready",
        ":predict",
        "é",
    ]
    host, port = house.address.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    for _ in range(20_000):
        made = "/".join(
            drawn.choice(parts) if drawn.random() < 0.7 else drawn.randbytes(4).hex()
            for _ in range(drawn.randint(1, 6))
        )
        path = "/" + "".join(char if char.isascii() else "%C3%A9" for char in made)
        connection.request(drawn.choice(["GET", "POST", "PUT"]), path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status in (200, 400, 404, 405), (path, answer.status)
    connection.close()
    assert house.client.post(INFER, content=BODY).status_code == 200
    assert {event.model for event in house.events()} <= {"", "tiny"}
    assert {told["name"] for told in house.dataplane.statistics.told()} == {"tiny"}
    assert len(house.rest._routes._known) < 100
