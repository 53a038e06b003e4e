"""Quantiles: a monotone curve of straight pieces from a column's own quantiles to an even spread over [0, 1]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import torch
from torch import nn

from training.data.encode.moments import HUGE, SHRUNK

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


class Knots(msgspec.Struct, frozen=True, kw_only=True):
    """Where the pieces meet: values in ascending order, and the level left of, at and right of each.

    Many rows of one value make the curve jump there: the value itself gets the middle of the jump. The lowest value
    gets 0 and the highest 1, whatever the jump.
    """

    values: list[float]
    left: list[float]
    at: list[float]
    right: list[float]

    @classmethod
    def of(cls, numbers: NDArray[np.float64], count: int) -> Knots:
        """Of ``count`` quantiles, or as many as there are numbers. Shapes: [N]."""
        levels = np.linspace(0, 1, max(2, min(count, len(numbers))))
        # As the graph sees them: its numbers are float32.
        found = np.quantile(numbers.astype(np.float32).astype(np.float64), levels).astype(np.float32)
        values, first, counts = np.unique(found, return_index=True, return_counts=True)
        left, right = levels[first], levels[first + counts - 1]
        at = (left + right) / 2
        at[-1], at[0] = 1.0, 0.0
        return cls(values=values.tolist(), left=left.tolist(), at=at.tolist(), right=right.tolist())


class QuantileScale(nn.Module):
    """The curve by comparisons with all knots, which every runtime has. Shapes: [N,1] → [N,1].

    Source: the same map as scikit-learn's ``QuantileTransformer`` to a uniform distribution.
    """

    values: Tensor
    left: Tensor
    at: Tensor
    right: Tensor
    slope: Tensor

    def __init__(self, knots: Knots) -> None:
        super().__init__()
        values, left, at, right = (
            np.array(part, dtype=np.float64) for part in (knots.values, knots.left, knots.at, knots.right)
        )
        self.shrunk = bool(values[-1] - values[0] > HUGE)
        values = values * SHRUNK if self.shrunk else values
        rise, run = left[1:] - right[:-1], values[1:] - values[:-1]
        slope = np.append(rise / run, 0.0)
        following = np.append(left[1:], 1.0)
        for name, part in (("values", values), ("left", following), ("at", at), ("right", right), ("slope", slope)):
            self.register_buffer(name, torch.tensor(part, dtype=torch.float32), persistent=False)
        self.first, self.last = knots.values[0], knots.values[-1]

    def forward(self, numbers: Tensor) -> Tensor:
        """Numbers to their level; none is missing."""
        inside = torch.clamp(numbers, self.first, self.last)
        if self.shrunk:
            inside = inside * SHRUNK
        reached = (inside >= self.values).sum(dim=1)  # [N,1] against [Q]: at least 1
        passed = (inside > self.values).sum(dim=1)
        piece = reached - 1
        level = self.right[piece] + (inside[:, 0] - self.values[piece]) * self.slope[piece]
        between = torch.minimum(level, self.left[piece])
        return torch.where(reached == passed, between, self.at[piece]).unsqueeze(1)
