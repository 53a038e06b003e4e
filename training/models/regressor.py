"""The whole model as it is exported: raw features in, the target in its own unit out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from torch import nn

from training.data.rows import learnable
from training.models.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from training.data.rows import TrainingRows


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How the body's plain number becomes the target: ``location + spread * link(number)``."""

    link: Literal["linear", "positive"]
    location: float
    spread: float

    @classmethod
    def of(
        cls, rows: TrainingRows, weight: NDArray[np.float64], link: Literal["linear", "positive"], place: int = 0
    ) -> Scale:
        """Learn it from the target of training rows: linear by mean and deviation, positive by the mean alone.

        ``place`` is which target, where there are several.
        """
        target = learnable(rows).target.reshape(len(rows), -1)[:, place]
        mean = float(np.average(target, weights=weight))
        if link == "positive":
            return cls(link=link, location=0.0, spread=abs(mean) or 1.0)
        deviation = float(np.sqrt(np.average((target - mean) ** 2, weights=weight)))
        return cls(link=link, location=mean, spread=deviation or 1.0)


class Head(nn.Module):
    """The body and its scale. Shapes: [N,inputs] → [N,1]."""

    def __init__(self, body: nn.Module, scale: Scale) -> None:
        super().__init__()
        self.body = body
        self.positive, self.location, self.spread = scale.link == "positive", scale.location, scale.spread

    def forward(self, matrix: Tensor) -> Tensor:
        """Encoded rows to the target's unit."""
        number: Tensor = self.body(matrix)
        if self.positive:
            number = nn.functional.softplus(number)
        return self.location + self.spread * number


class Regressor(Model):
    """Encoder and head. Shapes: one [N,1] tensor a feature → [N,1]."""

    head: Head

    def predict(self, columns: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Predictions of raw columns. Shapes: {name: [N]} → [N]."""
        return self.answers(columns)[0].squeeze(1).astype(np.float64)
