"""Encoders for tests: learnt from made-up columns, exported, and run beside the module they come from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from export.example import eager_inputs
from export.onnx import to_onnx
from export.parity import eager
from export.torchscript import load, to_torchscript
from serving.runtimes.onnx import OnnxRuntime
from staytrue.signature import Signature, TensorSpec
from training.data.encode.encoder import Encoder, input_specs, learn
from training.data.rows import TrainingRows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from staytrue.feature import Feature
    from training.data.encode.encoder import ColumnState

Columns = dict[str, "NDArray[Any]"]


def learnt(columns: Columns, features: Mapping[str, Feature]) -> Encoder:
    """An encoder of these training rows."""
    rows = len(next(iter(columns.values())))
    states = learn(TrainingRows(np.arange(float(rows)), columns, np.zeros(rows)), dict(features))
    return Encoder(states).eval()


def encoded(encoder: Encoder, columns: Columns) -> NDArray[np.float32]:
    """What the encoder makes of raw columns. Shapes: {name: [N]} → [N,width]."""
    parts = [state.tensor(columns[state.name]) for state in encoder.states]
    matrix: NDArray[np.float32] = encoder(*parts).numpy()
    return matrix


def signature(states: list[ColumnState], width: int) -> Signature:
    """Of a module that gives so many numbers a row."""
    return Signature(inputs=input_specs(states), outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1, width])])


@dataclasses.dataclass(frozen=True)
class Exported:
    """A module beside its two exports, each taking rows as callers send them: {name: [N,1]} → [N,width]."""

    module: nn.Module
    signature: Signature
    runtime: OnnxRuntime
    script: nn.Module

    @classmethod
    def of(cls, module: nn.Module, signature: Signature, folder: Path) -> Exported:
        """Export it into a folder."""
        to_onnx(module, signature, folder / "model.onnx", 64)
        to_torchscript(module, signature, folder / "model.ts")
        return cls(module, signature, OnnxRuntime(folder / "model.onnx", signature), load(folder / "model.ts"))

    def eager(self, rows: Columns) -> NDArray[np.float32]:
        """By the module itself."""
        return eager(self.module, self.signature, rows)["y"]

    def onnx(self, rows: Columns) -> NDArray[np.float32]:
        """By the server's runtime."""
        return self.runtime.run(rows)["y"]

    def torchscript(self, rows: Columns) -> NDArray[np.float32]:
        """By TorchScript."""
        made: NDArray[np.float32] = self.script(*eager_inputs(self.signature, rows)).detach().numpy()
        return made
