"""The two models as versions in a store, exported and proven as any other, with requests and their right answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks import network
from benchmarks.peers.session import session
from export.publish import publish
from staytrue.checkpoint import Checkpoint
from staytrue.lineage import Lineage
from staytrue.profile import ReferenceColumn, ReferenceProfile
from staytrue.sections import ExportSection
from staytrue.signature import Signature, TensorSpec
from staytrue.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import nn

ROWS = 32
"""Rows to prove on and to ask for: each connection of a client asks for its own."""


@dataclass(frozen=True)
class Kind:
    """One of the networks."""

    title: str
    make: Callable[[], nn.Module]
    inputs: tuple[int, ...]
    outputs: int


KINDS = {
    "T": Kind("T, a tabular network, 30 inputs, one row a request", lambda: network.tabular(30), (30,), 2),
    "R": Kind("R, a ResNet-18, one picture of 3 x 64 x 64 a request", network.residual, (3, 64, 64), 10),
}


@dataclass(frozen=True)
class Model:
    """A model in a store of its own, as its champion."""

    kind: str
    folder: Path
    """Holds the store, and ``rows.npz``: inputs ``x``, one a row, and what ONNX Runtime makes of each alone, ``y``."""
    path: Path
    """The ONNX file in the store."""


def make(kind: str, folder: Path) -> Model:
    """Publish a network with random weights, and keep rows with their answers beside the store."""
    spec = KINDS[kind]
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(ROWS, *spec.inputs)).astype(np.float32)
    signature = Signature(
        inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, *spec.inputs])],
        outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1, spec.outputs])],
    )
    store = Store(folder / "store")
    settings = ExportSection(formats=["onnx"], max_batch=ROWS)
    bundle = publish(store, spec.make(), _checkpoint(signature), _profile(), {"x": x}, settings)
    store.promote("bench", bundle.version, reason="benchmark")
    path = store.path("bench", bundle.version) / bundle.artefacts["onnx"]
    runner = session(str(path))
    y = np.concatenate([runner.run(None, {"x": x[row : row + 1]})[0] for row in range(ROWS)])
    np.savez(folder / "rows.npz", x=x, y=y)
    return Model(kind, folder, path)


def _checkpoint(signature: Signature) -> Checkpoint:
    empty: dict[str, Any] = {}
    return Checkpoint(
        run="bench",
        name="bench",
        task="regression",
        target="y",
        signature=signature,
        architecture="bench",
        model=empty,
        preprocessing=empty,
        evaluation={},
        lineage=Lineage(run="bench", data_fingerprint="none", project_fingerprint="none"),
        epochs=0,
        best_epoch=0,
        weights_sha256="",
    )


def _profile() -> ReferenceProfile:
    times, numbers = [float(row) for row in range(ROWS)], list[float | str](range(ROWS))
    return ReferenceProfile(
        columns=[ReferenceColumn(name="x", kind="numeric", values=[*times])],
        time=times,
        split=["train"] * ROWS,
        prediction=numbers,
        truth=numbers,
    )
