"""The multilayer perceptron: a stack of linear layers, each followed by a rectifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class MLP(nn.Module):
    """``depth`` hidden layers of ``width`` units, then one number a row. Shapes: [N,inputs] → [N,1]."""

    def __init__(self, inputs: int, *, width: int, depth: int, dropout: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for size in [inputs] + [width] * (depth - 1):
            layers += [nn.Linear(size, width), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, matrix: Tensor) -> Tensor:
        """Encoded rows to one number each."""
        out: Tensor = self.layers(matrix)
        return out
