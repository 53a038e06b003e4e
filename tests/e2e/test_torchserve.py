"""TorchServe as people run it themselves, with our archive, called directly: the sidecar's collector sees each call."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import torch
from prometheus_client import CollectorRegistry
from torch import nn

from export.archive import to_archive
from export.torchscript import to_torchscript
from monitoring.display.vitals import Vitals
from monitoring.ingest.collector import EVENTS, Collector
from monitoring.ingest.lake import Lake
from monitoring.state import State
from staytrue.signature import Signature, TensorSpec
from tests.needs import needs
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.e2e
LONGEST = 60.0
SIGNATURE = Signature(
    inputs=[
        TensorSpec(name="size", datatype="FP32", shape=[-1, 1]),
        TensorSpec(name="town", datatype="BYTES", shape=[-1, 1], categories=["north", "south"]),
    ],
    outputs=[TensorSpec(name="price", datatype="FP32", shape=[-1, 1])],
)
CONFIG = """\
inference_address=http://127.0.0.1:{0}
management_address=http://127.0.0.1:{1}
metrics_address=http://127.0.0.1:{2}
grpc_inference_port={3}
grpc_management_port={4}
default_workers_per_model=2
"""


class Price(nn.Module):
    """price = size + 10 * code of town."""

    def forward(self, size: torch.Tensor, town: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,1], [N,1] → [N,1]."""
        return size + 10 * town.float()


@pytest.fixture
def torchserve(tmp_path: Path) -> Iterator[str]:
    """Address of a TorchServe that was started as its documentation says, with our archive and an event log."""
    needs("java")
    (tmp_path / "models").mkdir()
    to_torchscript(Price().eval(), SIGNATURE, tmp_path / "model.ts")
    mar = tmp_path / "models" / "houses.mar"
    to_archive(tmp_path / "model.ts", "torchscript", SIGNATURE, mar, name="houses", version="7", max_batch=8)
    ports = [free_port() for _ in range(5)]
    (tmp_path / "config.properties").write_text(CONFIG.format(*ports))
    command = ["torchserve", "--start", "--foreground", "--ncs", "--disable-token-auth", "--model-store", "models"]
    command += ["--models", "houses.mar", "--ts-config", "config.properties"]
    given = {"STAYTRUE_SERVING_LOG": str(tmp_path / "events"), "TEMP": str(tmp_path), "TMPDIR": str(tmp_path)}
    surroundings = {**os.environ, **given}  # noqa: TID251 - of a program that is not ours
    with (tmp_path / "torchserve.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ts.model_server", *command[1:]],
            cwd=tmp_path,
            env=surroundings,
            stdout=log,
            stderr=log,
            process_group=0,
        )
    try:
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its launcher would leave Java behind
        process.wait()


def call(address: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """One request as anybody may send it."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data, {"Content-Type": "application/json", **headers})  # noqa: S310 - http, ours
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def until_it_answers(address: str, body: Any) -> tuple[int, Any]:
    """The first answer of the model."""
    end = time.monotonic() + LONGEST
    while True:
        with contextlib.suppress(OSError):
            status, answer = call(address, "/predictions/houses", body)
            if status not in {404, 500, 503, 507}:
                return status, answer
        assert time.monotonic() < end
        time.sleep(0.1)


def request(*sizes: float) -> dict[str, Any]:
    """Rows of the south."""
    shape = [len(sizes), 1]
    return {
        "id": "mine",
        "inputs": [
            {"name": "size", "datatype": "FP32", "shape": shape, "data": list(sizes)},
            {"name": "town", "datatype": "BYTES", "shape": shape, "data": ["south"] * len(sizes)},
        ],
    }


def test_direct_calls_are_answered_in_the_protocols_form_and_reach_the_lake(torchserve: str, tmp_path: Path) -> None:
    first = until_it_answers(torchserve, request(1.0))
    second = call(torchserve, "/predictions/houses", request(2.0, 3.0))
    status, refused = call(torchserve, "/predictions/houses", {"inputs": request(1.0)["inputs"][:1]})
    assert status == 400
    assert refused["error"].startswith('input "town": expected BYTES [-1,1], got nothing')
    status, refused = call(torchserve, "/predictions/houses", {**request(1.0), "id": "\ud83d"})
    assert status == 400
    assert refused["error"].startswith('body "id": expected text that UTF-8 can write')
    status, forged = call(torchserve, "/predictions/houses", request(4.0), **{"X-Staytrue-Gateway": "1"})
    assert status == 200
    told = [answer["parameters"]["event_id"] for answer in (first[1], second[1], forged)]
    assert second[1] == {
        "model_name": "houses",
        "model_version": "7",
        "id": "mine",
        "parameters": {"event_id": told[1]},
        "outputs": [{"name": "price", "datatype": "FP32", "shape": [2, 1], "data": [22.0, 23.0]}],
    }

    state, lake = State(tmp_path / "state.sqlite"), Lake(tmp_path / "lake")
    vitals = Vitals(state, CollectorRegistry())
    collected = Collector(EVENTS, tmp_path / "events", lake, state, vitals).collect()
    assert collected == 5  # answered = logged = collected
    assert vitals.by_status() == {("houses", "ok"): 3, ("houses", "invalid_input"): 2}
    files = f"{lake.root}/events/model=houses/*/*.parquet"
    rows = duckdb.sql(
        "SELECT event_id, version, protocol, input_size, input_town, output_price "  # noqa: S608 - ours
        f"FROM read_parquet('{files}', union_by_name = true) "  # each worker has a file of its own
        "WHERE status = 'ok' ORDER BY input_size"
    ).fetchall()
    assert rows == [
        (told[0], "7", "torchserve", 1.0, "south", 21.0),
        (told[1], "7", "torchserve", 2.0, "south", 22.0),
        (told[1], "7", "torchserve", 3.0, "south", 23.0),
        (told[2], "7", "torchserve", 4.0, "south", 24.0),
    ]
    window = lake.window("houses", SIGNATURE, time.time() - 3600, time.time() + 3600)
    assert sorted(window.columns["size"].tolist()) == [1.0, 2.0, 3.0, 4.0]
