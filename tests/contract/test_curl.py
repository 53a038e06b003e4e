"""curl as people type it: JSON, tensors as bytes, compressed bodies, bodies that wait to be asked for, and refusals."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from staytrue.asking import ADDRESS
from staytrue.raw import to_raw
from tests.contract.conftest import MAX_BYTES, SIGNATURE, Server, rows_of
from tests.needs import needs

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.parametrize("server", ["onnx"], indirect=True),
]
INFER = "/v2/models/houses/infer"
LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class Told:
    """The last answer that curl was given, and what it did on the way."""

    status: int
    headers: dict[str, str]
    body: bytes
    heard: str
    """curl's own account: what went over the wire."""

    def said(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def curl(address: str, *arguments: str, body: bytes = b"") -> Told:
    """Run curl with a body on its input; its answer."""
    command = [needs("curl"), "-sS", "-v", "-i", "--max-time", "60", *arguments, address]
    done = subprocess.run(command, input=body, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    head, _, rest = done.stdout.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head, _, rest = rest.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Told(int(first.split()[1]), headers, rest, done.stderr.decode(errors="replace"))


def asked(count: int, **more: Any) -> bytes:
    """A request in JSON."""
    rows = rows_of(count)
    inputs = [
        {"name": spec.name, "datatype": spec.datatype, "shape": list(rows[spec.name].shape)}
        | {"data": rows[spec.name].ravel().tolist()}
        for spec in SIGNATURE.inputs
    ]
    return json.dumps({"inputs": inputs, **more}).encode()


def as_bytes(count: int) -> tuple[bytes, int]:
    """A request with its tensors behind the JSON, which asks for such an answer; the JSON's length."""
    rows = rows_of(count)
    tensors = {spec.name: bytes(to_raw(rows[spec.name], spec.datatype)) for spec in SIGNATURE.inputs}
    inputs = [
        {"name": spec.name, "datatype": spec.datatype, "shape": list(rows[spec.name].shape)}
        | {"parameters": {"binary_data_size": len(tensors[spec.name])}}
        for spec in SIGNATURE.inputs
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    return head + b"".join(tensors.values()), len(head)


def price(count: int) -> list[float]:
    """What version 2 makes of the rows: three times the size, and the parts beside it as the model weighs them."""
    rows = rows_of(count)
    towns = {"north": 1, "süden": 2}
    codes = np.array([towns[town] for town in rows["town"].ravel()])
    bright = rows["photo"].astype(np.float32).mean(axis=(1, 2, 3))
    return list(3 * rows["size"].ravel() + rows["rooms"].ravel() + 10 * codes + 0.1 * bright)


def check(server: Server, told: Told, count: int) -> None:
    """It holds the right price, and one event knows of it."""
    assert told.status == 200, told.body
    assert told.said()["model_version"] == "2"
    found = {output["name"]: output["data"] for output in told.said()["outputs"]}
    assert found["price"] == pytest.approx(price(count), rel=1e-4)
    (event,) = server.events()
    assert event.id == told.said()["parameters"]["event_id"] == told.headers["x-event-id"]
    assert (event.rows, event.status) == (count, "ok")


def test_json_without_any_header_is_answered(server: Server) -> None:
    server.events()
    told = curl(server.service.address + INFER, "--data-binary", "@-", body=asked(2, id="order-17"))
    check(server, told, 2)
    assert told.said()["id"] == "order-17"


def test_the_request_in_the_model_card_is_answered_as_it_is_printed(server: Server, project: Path) -> None:
    server.events()
    text = (project.parent / "store" / "houses" / "2" / "MODEL_CARD.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"```sh\n(.*?)\n```", text, re.DOTALL)
    needs("curl")
    command = line.replace(ADDRESS, server.service.address)
    assert command != line
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True, timeout=60)  # noqa: S607
    found = {output["name"]: output["data"] for output in json.loads(done.stdout)["outputs"]}
    assert found["price"] == pytest.approx([0 + 1 + 10])
    assert [event.status for event in server.events()] == ["ok"]


@pytest.mark.parametrize("how", ["chunked", "HTTP/1.0", "asks for gzip"])
def test_other_ways_of_sending_json_are_answered_alike(server: Server, how: str) -> None:
    server.events()
    flags = {"chunked": ["-H", "Transfer-Encoding: chunked"], "HTTP/1.0": ["--http1.0"], "asks for gzip": []}[how]
    more = ["--compressed"] if how == "asks for gzip" else []
    check(server, curl(server.service.address + INFER, *flags, *more, "--data-binary", "@-", body=asked(1)), 1)


def test_tensors_as_bytes_come_back_as_bytes(server: Server, tmp_path: Path) -> None:
    server.events()
    body, length = as_bytes(3)
    (tmp_path / "body").write_bytes(body)
    told = curl(
        server.service.address + INFER,
        *("-H", f"{LENGTH}: {length}", "-H", "Content-Type: application/octet-stream"),
        *("--data-binary", f"@{tmp_path / 'body'}"),
    )
    assert told.status == 200, told.body
    end = int(told.headers[LENGTH.lower()])
    said, at, found = json.loads(told.body[:end]), end, {}
    for output in said["outputs"]:
        size = output["parameters"]["binary_data_size"]
        found[output["name"]], at = told.body[at : at + size], at + size
    assert at == len(told.body)
    assert np.frombuffer(found["price"], "<f4").tolist() == pytest.approx(price(3), rel=1e-4)
    texts = [{True: "straße", False: "lane"}[bool(size > 5)].encode() for size in rows_of(3)["size"].ravel()]
    assert found["street"] == b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    assert [event.id for event in server.events()] == [told.headers["x-event-id"]]


@pytest.mark.parametrize(("coding", "packed"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body_is_unpacked(server: Server, coding: str, packed: Any) -> None:
    server.events()
    flags = ("-H", f"Content-Encoding: {coding}", "--data-binary", "@-")
    check(server, curl(server.service.address + INFER, *flags, body=packed(asked(4))), 4)


def test_a_body_that_waits_to_be_asked_for_is_asked_for(server: Server) -> None:
    server.events()
    flags = ("-H", "Expect: 100-continue", "--expect100-timeout", "50", "--data-binary", "@-")
    told = curl(server.service.address + INFER, *flags, body=asked(2))
    check(server, told, 2)
    assert "< HTTP/1.1 100" in told.heard


def test_a_body_too_long_is_refused_before_it_is_asked_for(server: Server) -> None:
    server.events()
    flags = ("-H", "Expect: 100-continue", "--expect100-timeout", "50", "--data-binary", "@-")
    told = curl(server.service.address + INFER, *flags, body=b" " * (MAX_BYTES + 1))
    assert told.status == 413
    assert told.said()["code"] == "too_large"
    assert "< HTTP/1.1 100" not in told.heard
    assert [event.status for event in server.events()] == ["too_large"]


def test_a_refusal_says_what_was_expected(server: Server) -> None:
    server.events()
    wrong = json.loads(asked(2))
    wrong["inputs"][0]["shape"] = [2]
    told = curl(server.service.address + INFER, "-d", json.dumps(wrong))
    assert told.status == 400
    assert told.said()["error"].startswith('input "size": expected FP32 [-1,1], got FP32 [2]')
    failed = subprocess.run(
        [needs("curl"), "-s", "--fail-with-body", server.service.address + INFER, "-d", "{}"],
        capture_output=True,
        check=False,
    )
    assert (failed.returncode, json.loads(failed.stdout)["code"]) == (22, "invalid_input")
    assert [event.status for event in server.events()] == ["invalid_input"] * 2
