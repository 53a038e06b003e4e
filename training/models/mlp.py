"""The multilayer perceptron: linear layers behind each other, or linked past each other.

Sources: He et al., 2016, "Identity mappings in deep residual networks", and Gorishniy et al., 2021, "Revisiting deep
learning models for tabular data", for residual links; Huang et al., 2017, "Densely connected convolutional networks",
for dense ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from training.models.layers import Layers, one_of

if TYPE_CHECKING:
    from torch import Tensor

    from training.models.layout import Layout


class Residual(nn.Module):
    """Adds what two layers make of the input to it. Shapes: [N,width] → [N,width]."""

    def __init__(self, width: int, layers: Layers, dropout: float) -> None:
        super().__init__()
        first = [nn.Linear(width, width), layers.active(), nn.Dropout(dropout)]
        self.inner = nn.Sequential(*_norm(width, layers), *first, nn.Linear(width, width))

    def forward(self, units: Tensor) -> Tensor:
        """What came in, and what the block changes."""
        out: Tensor = units + self.inner(units)
        return out


class Dense(nn.Module):
    """Puts ``width`` new units beside the input. Shapes: [N,inputs] → [N,inputs+width]."""

    def __init__(self, inputs: int, width: int, layers: Layers, dropout: float) -> None:
        super().__init__()
        self.inner = nn.Sequential(*_hidden(inputs, width, layers, dropout))

    def forward(self, units: Tensor) -> Tensor:
        """What came in, and beside it what is new."""
        return torch.cat([units, self.inner(units)], dim=1)


class MLP(nn.Module):
    """``depth`` hidden layers of ``width`` units, then ``outputs`` numbers a row.

    ``links``: plain; residual, where ``depth`` counts blocks of two layers behind a first one; dense, where each layer
    sees the input and all layers before it.

    Shapes: [N,layout.width] → [N,outputs].
    """

    def __init__(
        self,
        layout: Layout,
        outputs: int = 1,
        *,
        width: int = 128,
        depth: int = 2,
        dropout: float = 0.0,
        activation: str = "relu",
        normalisation: str = "none",
        links: str = "plain",
    ) -> None:
        super().__init__()
        one_of("links", links, ("plain", "residual", "dense"))
        layers = Layers(activation, normalisation)
        units = layout.width
        made: list[nn.Module]
        if links == "residual":
            made = [nn.Linear(units, width), *(Residual(width, layers, dropout) for _ in range(depth))]
            made += [*_norm(width, layers), layers.active()]
            units = width
        elif links == "dense":
            made = [Dense(units + place * width, width, layers, dropout) for place in range(depth)]
            units += depth * width
        else:
            sizes = [units] + [width] * (depth - 1)
            made = [layer for size in sizes for layer in _hidden(size, width, layers, dropout)]
            units = width
        self.layers = nn.Sequential(*made, nn.Linear(units, outputs))

    def forward(self, matrix: Tensor) -> Tensor:
        """Encoded rows to ``outputs`` numbers each."""
        out: Tensor = self.layers(matrix)
        return out


def _hidden(inputs: int, width: int, layers: Layers, dropout: float) -> list[nn.Module]:
    dropped = [nn.Dropout(dropout)] if dropout else []
    return [nn.Linear(inputs, width), *_norm(width, layers), layers.active(), *dropped]


def _norm(width: int, layers: Layers) -> list[nn.Module]:
    return [] if layers.normalisation == "none" else [layers.norm(width, maps=False)]
