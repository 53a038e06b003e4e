"""A server process for each runtime, with a proven bundle of two versions, and its event log."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from examples.bikeshare.demo.processes import Service
from export.publish import publish
from staytrue.checkpoint import Checkpoint
from staytrue.events import Event, decode
from staytrue.lineage import Lineage
from staytrue.profile import ReferenceColumn, ReferenceProfile
from staytrue.readers import Reader
from staytrue.sections import ExportSection
from staytrue.signature import Signature, TensorSpec
from staytrue.store import Store
from tests.needs import needs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNTIMES = ["onnx", "torchserve"]
FORMATS: list[Any] = ["onnx", "mar"] if shutil.which("java") else ["onnx"]
"""Artefacts of the bundle: what the runtimes take."""
MAX_BATCH = 8
MAX_BYTES = 100_000
SIGNATURE = Signature(
    inputs=[
        TensorSpec(name="size", datatype="FP32", shape=[-1, 1]),
        TensorSpec(name="rooms", datatype="INT64", shape=[-1, 1], categories=["1", "2", "3"]),
        TensorSpec(name="town", datatype="BYTES", shape=[-1, 1], categories=["north", "süden"]),
        TensorSpec(name="photo", datatype="UINT8", shape=[-1, 1, 2, 2]),
    ],
    outputs=[
        TensorSpec(name="price", datatype="FP32", shape=[-1, 1]),
        TensorSpec(name="parts", datatype="FP32", shape=[-1, 4]),
        TensorSpec(name="street", datatype="BYTES", shape=[-1, 1], categories=["lane", "straße"]),
    ],
)
PROJECT = f"""\
name: houses
store: store
data: {{source: none.csv, time: t, target: price, features: {{size: {{kind: numeric}}}}}}
serving: {{log: events, event_time: request, max_body_bytes: {MAX_BYTES}}}
"""


class Small(nn.Module):
    """Parts of a price, their sum, and a street by its code; a missing size is taken as 5."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 1, bias=False)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[factor, 1.0, 10.0, 0.1]]))

    def forward(
        self, size: torch.Tensor, rooms: torch.Tensor, town: torch.Tensor, photo: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Shapes: [N,1], [N,1], [N,1], [N,1,2,2] → [N,1], [N,4], [N,1]."""
        filled = torch.where(torch.isnan(size), torch.full_like(size, 5.0), size)
        bright = photo.float().mean(dim=[1, 2, 3]).unsqueeze(1)
        parts = torch.cat([filled, rooms.float(), town.float(), bright], dim=1)
        return self.linear(parts), parts, 1 + (filled > 5).long()


def rows_of(count: int) -> dict[str, Any]:
    """Rows as callers send them, of numbers that no text of a few digits holds exactly."""
    draw = np.random.default_rng(count)
    return {
        "size": draw.normal(5, 2, (count, 1)).astype(np.float32),
        "rooms": draw.integers(1, 4, (count, 1)),
        "town": draw.choice(np.array(["north", "süden"], dtype=object), (count, 1)),
        "photo": draw.integers(0, 256, (count, 1, 2, 2)).astype(np.uint8),
    }


def make_store(folder: Path) -> None:
    """Version 2 answers, version 1 can be named."""
    rows = rows_of(32)
    times, numbers = [float(row) for row in range(32)], list[float | str](range(32))
    profile = ReferenceProfile(
        columns=[ReferenceColumn(name="size", kind="numeric", values=[*rows["size"].ravel().tolist()])],
        time=times,
        split=["train"] * 32,
        prediction=numbers,
        truth=numbers,
    )
    checkpoint = Checkpoint(
        run="contract",
        name="houses",
        task="regression",
        target="price",
        signature=SIGNATURE,
        architecture="small",
        model={},
        preprocessing={},
        evaluation={},
        lineage=Lineage(run="contract", data_fingerprint="none", project_fingerprint="none"),
        epochs=0,
        best_epoch=0,
        weights_sha256="",
    )
    store = Store(folder / "store")
    for factor in (2.0, 3.0):
        settings = ExportSection(formats=FORMATS, max_batch=MAX_BATCH)
        bundle = publish(store, Small(factor), checkpoint, profile, rows, settings)
    store.promote("houses", bundle.version, reason="test")


@dataclass
class Server:
    """A running server, and who reads its log."""

    service: Service
    reader: Reader

    def events(self) -> list[Event]:
        """What was logged since the last call."""
        found: list[Event] = []
        while batches := list(self.reader.batches()):
            for batch in batches:
                found += [entry for entry in map(decode, batch.payloads) if isinstance(entry, Event)]
                self.reader.acknowledge(batch)
        return found


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its store."""
    folder = tmp_path_factory.mktemp("contract")
    make_store(folder)
    (folder / "staytrue.yaml").write_text(PROJECT)
    return folder / "staytrue.yaml"


@pytest.fixture(scope="session", params=RUNTIMES)
def server(request: pytest.FixtureRequest, project: Path) -> Iterator[Server]:
    """A server process whose models run in one of the runtimes."""
    runtime = str(request.param)
    if runtime == "torchserve":
        needs("java")
    log = project.parent / runtime
    flags = ("--port", "0", "--grpc-port", "0", "--runtime", runtime, "--log", str(log / "events"))
    service = Service("serve", project, log / "out.log", *flags)
    yield Server(service, Reader(log / "events", "test"))
    assert service.stop() == 0
    assert "Traceback" not in (log / "out.log").read_text()
