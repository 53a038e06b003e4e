"""Regression: one number a row, in the target's own unit."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import numpy as np
import torch

from staytrue.signature import TensorSpec
from training.evaluate.regression import NumberJudge
from training.models.regressor import Head, Regressor, Scale
from training.objectives import distance, regression_loss

if TYPE_CHECKING:
    from torch import Tensor, nn

    from staytrue.profile import ReferenceColumn
    from staytrue.sections import TrainingSection
    from training.data.encode.encoder import Encoder
    from training.data.rows import Rows
    from training.models.model import Model
    from training.objectives import Objective


@dataclasses.dataclass(frozen=True)
class Regression:
    """A number. An epoch is judged by the mean absolute error, in the target's unit: it means the same for any loss."""

    target: str
    scale: Scale
    measure: ClassVar[str] = "validation_mae"
    outputs: ClassVar[int] = 1
    classes: ClassVar[tuple[str, ...]] = ()

    def model(self, encoder: Encoder, body: nn.Module) -> Model:
        """A regressor, which knows the scale."""
        return Regressor(encoder, Head(body, self.scale))

    def truth(self, rows: Rows) -> Tensor:
        """The target. Shapes: [N,1]."""
        return torch.from_numpy(rows.target.astype(np.float32)).unsqueeze(1)

    def loss(self, settings: TrainingSection) -> Objective:
        """In units that do not depend on the target's own."""
        return regression_loss(settings, self.scale)

    def miss(self, made: Tensor, truth: Tensor) -> Tensor:
        """Absolute error."""
        return distance(made, truth)

    def specs(self) -> list[TensorSpec]:
        """The target alone."""
        return [TensorSpec(name=self.target, datatype="FP32", shape=[-1, 1])]

    def judge(self, model: Model, rows: Rows, *, seed: int) -> NumberJudge:
        """The predicted number."""
        del seed
        return NumberJudge(self.target, rows.target, _predict(model, rows), rows.time)

    def told(self, rows: Rows) -> list[float | str]:
        """The target."""
        return list(rows.target.tolist())

    def predictions(self, model: Model, rows: Rows) -> tuple[list[float | str], list[ReferenceColumn]]:
        """The predicted number."""
        return _predict(model, rows).tolist(), []

    def described(self) -> dict[str, Any]:
        """The scale."""
        return {"scale": msgspec.to_builtins(self.scale)}


def _predict(model: Model, rows: Rows) -> np.ndarray[Any, np.dtype[np.float64]]:
    return model.answers(rows.columns)[0].squeeze(1).astype(np.float64)
