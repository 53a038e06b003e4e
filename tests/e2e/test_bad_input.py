"""Bad input to a real server process: a 4xx that says where, expected, got and what to do; then the next succeeds."""

from __future__ import annotations

import contextlib
import copy
import http.client
import json
from typing import TYPE_CHECKING, Any

import pytest

from examples.bikeshare.demo.client import infer_body, wait_until
from examples.bikeshare.demo.stream import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from examples.bikeshare.demo.processes import Service

    Starter = Callable[..., Service]

pytestmark = pytest.mark.e2e
INFER = "/v2/models/bikes/infer"


def ask(address: str, path: str, body: bytes) -> tuple[int, Any]:
    """One request over a connection of its own; a server may answer and close before it has read all of it."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
    try:
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.send(body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def changed(good: dict[str, Any], name: str, **what: Any) -> bytes:
    """A good request with one tensor changed; without ``what`` it is taken out."""
    body = copy.deepcopy(good)
    if what:
        next(tensor for tensor in body["inputs"] if tensor["name"] == name).update(what)
    else:
        body["inputs"] = [tensor for tensor in body["inputs"] if tensor["name"] != name]
    return json.dumps(body).encode()


def test_each_bad_request_is_explained_and_the_next_succeeds(project: Path, start: Starter) -> None:
    server = start("serve", project)
    connection = http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=20)
    connection.request("GET", "/v2/models/bikes")
    inputs = json.loads(connection.getresponse().read())["inputs"]
    connection.close()
    good = infer_body(read()[0], inputs)
    cases: list[tuple[str, bytes, int, str]] = [
        (INFER, changed(good, "temp"), 400, 'input "temp": expected FP32 [-1,1], got nothing; add it to `inputs`'),
        (INFER, changed(good, "temp", data=["warm"]), 400, 'input "temp" data[0]: expected FP32, got a string'),
        (INFER, changed(good, "temp", datatype="FP64"), 400, 'input "temp": expected FP32 [-1,1], got FP64 [1,1]'),
        (INFER, changed(good, "temp", shape=[1, 1, 1]), 400, 'input "temp": expected FP32 [-1,1], got FP32 [1,1,1]'),
        ("/v2/models/cars/infer", json.dumps(good).encode(), 404, 'model "cars": is not served here; models: bikes'),
        (INFER, b'{"inputs": [', 400, "body, line 1 column 13: is not JSON"),
        (INFER, b"", 400, "body: expected an inference request in JSON, got nothing"),
        (INFER, b"x" * 20_000_000, 413, "body: expected at most 16777216 bytes, got 20000000; send fewer rows"),
    ]
    for path, body, status, said in cases:
        got, told = ask(server.address, path, body)
        assert (got, said in told["error"]) == (status, True), told
        assert ask(server.address, INFER, json.dumps(good).encode())[0] == 200
    assert server.stop() == 0


def test_the_sidecar_finds_the_log_that_the_server_was_told_to_write(project: Path, start: Starter) -> None:
    log = str(project.parent / "elsewhere")
    server = start("serve", project, "--log", log)
    sidecar = start("monitor", project, "--log", log)
    inputs = json.loads(get(server.address, "/v2/models/bikes"))["inputs"]
    assert ask(server.address, INFER, json.dumps(infer_body(read()[0], inputs)).encode())[0] == 200
    wait_until(lambda: json.loads(get(sidecar.address, "/v1/status"))["counts"]["events"] == 1, 20, "collecting", 0.1)


def get(address: str, path: str) -> bytes:
    """What an address answers."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body
