"""The whole model of quantiles as it is exported: raw features in, the target and its quantiles out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from training.models.model import Model

if TYPE_CHECKING:
    from torch import Tensor

    from training.data.encode.encoder import Encoder
    from training.models.regressor import Scale


class QuantileHead(nn.Module):
    """The body and its scale. Shapes: [N,inputs] → [N,Q], never falling along a row.

    The body's first number is the lowest quantile, each further one what lies between two, above zero by softplus:
    quantiles cannot cross, whatever the weights are.
    """

    def __init__(self, body: nn.Module, scale: Scale) -> None:
        super().__init__()
        self.body = body
        self.positive, self.location, self.spread = scale.link == "positive", scale.location, scale.spread

    def forward(self, matrix: Tensor) -> Tensor:
        """Encoded rows to quantiles in the target's unit."""
        numbers: Tensor = self.body(matrix)
        lowest, steps = numbers[:, :1], nn.functional.softplus(numbers[:, 1:])
        if self.positive:
            lowest = nn.functional.softplus(lowest)
        return self.location + self.spread * torch.cat([lowest, steps], dim=1).cumsum(dim=1)


class QuantileRegressor(Model):
    """Encoder and head. Shapes: one [N,1] tensor a feature → the quantile at ``place`` [N,1], all of them [N,Q]."""

    def __init__(self, encoder: Encoder, head: QuantileHead, place: int) -> None:
        super().__init__(encoder, head)
        self.place = place

    def told(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """The target and its quantiles."""
        return numbers[:, self.place : self.place + 1], numbers
