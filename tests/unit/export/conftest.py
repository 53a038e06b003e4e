"""A small module with numbers that may be missing, whole numbers and text, and all that publishing needs.

An export takes a second, so versions that tests only read are published once a session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from export.publish import publish
from staytrue.bundle import Metric
from staytrue.checkpoint import Checkpoint
from staytrue.lineage import Lineage
from staytrue.profile import ReferenceColumn, ReferenceProfile
from staytrue.sections import ExportSection
from staytrue.signature import Signature, TensorSpec
from staytrue.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIGNATURE = Signature(
    inputs=[
        TensorSpec(name="size", datatype="FP32", shape=[-1, 1]),
        TensorSpec(name="rooms", datatype="INT64", shape=[-1, 1], categories=["1", "2", "3"]),
        TensorSpec(name="town", datatype="BYTES", shape=[-1, 1], categories=["north", "south"]),
    ],
    outputs=[TensorSpec(name="price", datatype="FP32", shape=[-1, 1])],
)
ROWS = 64


class Small(nn.Module):
    """price = 3 * size + rooms + 10 * code of town, missing size taken as 5."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[3.0, 1.0, 10.0]]))
            self.linear.bias.zero_()

    def forward(self, size: torch.Tensor, rooms: torch.Tensor, town: torch.Tensor) -> torch.Tensor:
        """Shapes: each [N,1] → [N,1]."""
        filled = torch.where(torch.isnan(size), torch.full_like(size, 5.0), size)
        return self.linear(torch.cat([filled, rooms.float(), town.float()], dim=1))  # type: ignore[no-any-return]


class Unfaithful(Small):
    """Gives another answer while it is traced or exported than it gives when it is called."""

    def forward(self, size: torch.Tensor, rooms: torch.Tensor, town: torch.Tensor) -> torch.Tensor:
        """Shapes: each [N,1] → [N,1]."""
        right = super().forward(size, rooms, town)
        tracing = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        return right + 1.0 if torch.compiler.is_exporting() or tracing else right


NAMED = Signature(
    inputs=[TensorSpec(name="size", datatype="FP32", shape=[-1, 1])],
    outputs=[
        TensorSpec(name="kind", datatype="BYTES", shape=[-1, 1], categories=["large", "small"]),
        TensorSpec(name="probabilities", datatype="FP32", shape=[-1, 2]),
    ],
)


class Named(nn.Module):
    """Sizes above a limit are large, others small; missing ones are small."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = nn.Parameter(torch.tensor(limit))

    def forward(self, size: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Shapes: [N,1] → codes [N,1], probabilities [N,2]."""
        over = torch.nan_to_num(size, nan=-10.0) - self.limit
        likely = torch.softmax(torch.cat([over, -over], dim=1), dim=1)
        return likely.argmax(dim=1, keepdim=True) + 1, likely


@pytest.fixture(scope="session")
def named(tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint, settings: ExportSection) -> Store:
    """A store to read: version 1 takes 5 for the limit, version 2 takes 6."""
    versions = Store(tmp_path_factory.mktemp("named"))
    sizes = np.linspace(0, 10, ROWS)
    truth = np.where(sizes > 5, "large", "small").tolist()
    reference = ReferenceProfile(
        columns=[ReferenceColumn(name="size", kind="numeric", values=sizes.tolist())],
        time=[float(i) for i in range(ROWS)],
        split=["train"] * ROWS,
        prediction=truth,
        truth=truth,
    )
    made = msgspec.structs.replace(
        checkpoint, task="classification", target="kind", signature=NAMED, classes=["large", "small"]
    )
    for limit in (5.0, 6.0):
        rows = {"size": sizes.astype(np.float32).reshape(-1, 1)}
        publish(versions, Named(limit), made, reference, rows, settings)
    return versions


@pytest.fixture(scope="session")
def rows() -> dict[str, NDArray[Any]]:
    """Real rows as callers send them."""
    draw = np.random.default_rng(0)
    return {
        "size": draw.normal(5, 2, (ROWS, 1)).astype(np.float32),
        "rooms": draw.integers(1, 4, (ROWS, 1)),
        "town": draw.choice(np.array(["north", "south"], dtype=object), (ROWS, 1)),
    }


@pytest.fixture(scope="session")
def checkpoint() -> Checkpoint:
    """The record of a run that never was."""
    return Checkpoint(
        run="run-1",
        name="houses",
        task="regression",
        target="price",
        signature=SIGNATURE,
        architecture="small",
        model={},
        preprocessing={},
        evaluation={"validation": {"mae": Metric(value=1.0, low=0.5, high=1.5)}},
        lineage=Lineage(run="run-1", data_fingerprint="d", project_fingerprint="p", trained_rows=64, test_openings=1),
        epochs=1,
        best_epoch=1,
        weights_sha256="0" * 64,
    )


@pytest.fixture(scope="session")
def profile(rows: dict[str, NDArray[Any]]) -> ReferenceProfile:
    """Reference rows whose target has a deviation of about six."""
    truth = 3 * rows["size"].ravel() + rows["rooms"].ravel()
    return ReferenceProfile(
        columns=[
            ReferenceColumn(name="size", kind="numeric", values=rows["size"].ravel().tolist()),
            ReferenceColumn(name="rooms", kind="category", values=[str(v) for v in rows["rooms"].ravel()]),
            ReferenceColumn(name="town", kind="category", values=rows["town"].ravel().tolist()),
        ],
        time=[float(i) for i in range(ROWS)],
        split=["train"] * ROWS,
        prediction=truth.tolist(),
        truth=truth.tolist(),
    )


@pytest.fixture(scope="session")
def settings() -> ExportSection:
    """Small batches."""
    return ExportSection(max_batch=32)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def published(
    tmp_path_factory: pytest.TempPathFactory,
    checkpoint: Checkpoint,
    profile: ReferenceProfile,
    rows: dict[str, NDArray[Any]],
    settings: ExportSection,
) -> Store:
    """A store to read: version 1 is right, version 2 the same, version 3 too high by 4, version 4 gives no number."""
    versions = Store(tmp_path_factory.mktemp("published"))
    for shift in (0.0, 0.0, 4.0, float("nan")):
        model = Small()
        with torch.no_grad():
            model.linear.bias.add_(shift)
        formats: list[Any] = ["onnx"] if versions.versions("houses") else ["onnx", "torchscript"]
        publish(versions, model, checkpoint, profile, rows, settings.model_copy(update={"formats": formats}))
    return versions
