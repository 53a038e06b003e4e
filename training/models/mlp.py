"""The multilayer perceptron: a stack of linear layers, each followed by a rectifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from training.models.layout import Layout


class MLP(nn.Module):
    """``depth`` hidden layers of ``width`` units, then ``outputs`` numbers a row.

    Shapes: [N,layout.width] → [N,outputs].
    """

    def __init__(
        self, layout: Layout, outputs: int = 1, *, width: int = 128, depth: int = 2, dropout: float = 0.0
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for size in [layout.width] + [width] * (depth - 1):
            layers += [nn.Linear(size, width), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers, nn.Linear(width, outputs))

    def forward(self, matrix: Tensor) -> Tensor:
        """Encoded rows to ``outputs`` numbers each."""
        out: Tensor = self.layers(matrix)
        return out
