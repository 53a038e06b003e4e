"""Regression of several targets: a number each, in its own unit."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import numpy as np
import torch

from staytrue.signature import TensorSpec
from training.evaluate.regression import NumberJudge
from training.evaluate.targets import TargetsJudge
from training.models.targets import TargetsHead, TargetsRegressor
from training.objectives import regression_loss

if TYPE_CHECKING:
    from torch import Tensor, nn

    from staytrue.profile import ReferenceColumn
    from staytrue.sections import TrainingSection
    from training.data.encode.encoder import Encoder
    from training.data.rows import Rows
    from training.models.model import Model
    from training.models.regressor import Scale
    from training.objectives import Objective


@dataclasses.dataclass(frozen=True)
class Targets:
    """Several numbers, each counting alike.

    An epoch is judged by the mean over them of the absolute error in deviations of the target.
    """

    targets: tuple[str, ...]
    scales: tuple[Scale, ...]
    measure: ClassVar[str] = "validation_scaled_mae"
    classes: ClassVar[tuple[str, ...]] = ()

    @property
    def outputs(self) -> int:
        """One a target."""
        return len(self.targets)

    def model(self, encoder: Encoder, body: nn.Module) -> Model:
        """A regressor, which knows the scales."""
        return TargetsRegressor(encoder, TargetsHead(body, self.scales))

    def truth(self, rows: Rows) -> Tensor:
        """The targets. Shapes: [N,K]."""
        return torch.from_numpy(rows.target.astype(np.float32))

    def loss(self, settings: TrainingSection) -> Objective:
        """The sum over the targets, each in units that do not depend on its own."""
        losses = [regression_loss(settings, scale) for scale in self.scales]

        def total(made: Tensor, truth: Tensor) -> Tensor:
            columns = zip(losses, made.T, truth.T, strict=True)
            return torch.stack([loss(some, true) for loss, some, true in columns], dim=1).sum(dim=1, keepdim=True)

        return total

    def miss(self, made: Tensor, truth: Tensor) -> Tensor:
        """Absolute error in deviations, the mean over the targets."""
        spread = torch.tensor([scale.spread for scale in self.scales], device=made.device)
        return ((made - truth).abs() / spread).mean(dim=1, keepdim=True)

    def specs(self) -> list[TensorSpec]:
        """Each target, in the order of the settings."""
        return [TensorSpec(name=name, datatype="FP32", shape=[-1, 1]) for name in self.targets]

    def judge(self, model: Model, rows: Rows, *, seed: int) -> TargetsJudge:
        """The predicted number of each target."""
        del seed
        made = [some.squeeze(1).astype(np.float64) for some in model.answers(rows.columns)]
        named = zip(self.targets, rows.target.T, made, strict=True)
        return TargetsJudge([NumberJudge(name, truth, some, rows.time) for name, truth, some in named])

    def told(self, rows: Rows) -> list[float | str]:
        """The first target."""
        return list(rows.target[:, 0].tolist())

    def predictions(self, model: Model, rows: Rows) -> tuple[list[float | str], list[ReferenceColumn]]:
        """The first target's prediction: one label a row is compared with it."""
        return model.answers(rows.columns)[0].squeeze(1).astype(np.float64).tolist(), []

    def described(self) -> dict[str, Any]:
        """The scales; the checkpoint names the targets."""
        return {"scales": msgspec.to_builtins(self.scales)}
