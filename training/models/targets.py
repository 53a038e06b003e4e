"""The whole model of several numbers as it is exported: raw features in, each target in its own unit out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from training.models.model import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from training.models.regressor import Scale


class TargetsHead(nn.Module):
    """The body and the scale of each target. Shapes: [N,inputs] → [N,K]."""

    def __init__(self, body: nn.Module, scales: Sequence[Scale]) -> None:
        super().__init__()
        self.body, self.positive = body, scales[0].link == "positive"
        self.location: Tensor
        self.spread: Tensor
        self.register_buffer("location", torch.tensor([one.location for one in scales]), persistent=False)
        self.register_buffer("spread", torch.tensor([one.spread for one in scales]), persistent=False)

    def forward(self, matrix: Tensor) -> Tensor:
        """Encoded rows to the targets' units."""
        numbers: Tensor = self.body(matrix)
        if self.positive:
            numbers = nn.functional.softplus(numbers)
        return self.location + self.spread * numbers


class TargetsRegressor(Model):
    """Encoder and head. Shapes: one [N,1] tensor a feature → [N,1] a target."""

    def told(self, numbers: Tensor) -> tuple[Tensor, ...]:
        """Each target by itself."""
        return tuple(numbers[:, place : place + 1] for place in range(numbers.shape[1]))
