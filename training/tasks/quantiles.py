"""Quantiles: of each row the numbers that the target stays below with given probabilities."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import numpy as np
import torch

from staytrue.errors import InvalidConfig
from staytrue.signature import TensorSpec
from training.data.classes import QUANTILES
from training.evaluate.quantiles import QuantileJudge
from training.evaluate.regression import NumberJudge
from training.models.quantiles import QuantileHead, QuantileRegressor

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
class Quantiles:
    """Quantiles of a number, levels ascending; the one nearest to the median is what the model answers as the target.

    An epoch is judged by the pinball loss in the target's unit, the mean over the levels.
    """

    target: str
    scale: Scale
    levels: tuple[float, ...]
    measure: ClassVar[str] = "validation_pinball"
    classes: ClassVar[tuple[str, ...]] = ()

    @property
    def outputs(self) -> int:
        """One a level."""
        return len(self.levels)

    @property
    def middle(self) -> int:
        """Place of the level nearest to 0.5, the lower of two."""
        return min(range(len(self.levels)), key=lambda place: abs(self.levels[place] - 0.5))

    def model(self, encoder: Encoder, body: nn.Module) -> Model:
        """A model whose quantiles cannot cross."""
        return QuantileRegressor(encoder, QuantileHead(body, self.scale), self.middle)

    def truth(self, rows: Rows) -> Tensor:
        """The target. Shapes: [N,1]."""
        return torch.from_numpy(rows.target.astype(np.float32)).unsqueeze(1)

    def loss(self, settings: TrainingSection) -> Objective:
        """The pinball loss, one deviation of the target being the unit.

        Raises:
            InvalidConfig: another loss.
        """
        if settings.loss not in (None, "pinball"):
            raise InvalidConfig("training.loss", expected="pinball for model.quantiles", got=settings.loss)
        return lambda made, truth: self.miss(made, truth) / self.scale.spread

    def miss(self, made: Tensor, truth: Tensor) -> Tensor:
        """The pinball loss: what lies above a level's quantile counts by the level, what lies below by the rest.

        Source: Koenker and Bassett, 1978, "Regression quantiles". Shapes: [N,Q], [N,1] → [N,1].
        """
        above = truth - made
        levels = torch.tensor(self.levels, dtype=made.dtype, device=made.device)
        return torch.maximum(levels * above, (levels - 1) * above).mean(dim=1, keepdim=True)

    def specs(self) -> list[TensorSpec]:
        """The target, then all quantiles."""
        return [
            TensorSpec(name=self.target, datatype="FP32", shape=[-1, 1]),
            TensorSpec(name=QUANTILES, datatype="FP32", shape=[-1, self.outputs]),
        ]

    def judge(self, model: Model, rows: Rows, *, seed: int) -> QuantileJudge:
        """The quantiles, and the one that is answered."""
        del seed
        answer, made = (out.astype(np.float64) for out in model.answers(rows.columns))
        answered = NumberJudge(self.target, rows.target, answer.squeeze(1), rows.time)
        return QuantileJudge(answered, made, self.levels)

    def told(self, rows: Rows) -> list[float | str]:
        """The target."""
        return list(rows.target.tolist())

    def predictions(self, model: Model, rows: Rows) -> tuple[list[float | str], list[ReferenceColumn]]:
        """The quantile that is answered."""
        return model.answers(rows.columns)[0].squeeze(1).astype(np.float64).tolist(), []

    def described(self) -> dict[str, Any]:
        """The scale and the levels."""
        return {"scale": msgspec.to_builtins(self.scale), "quantiles": list(self.levels)}
