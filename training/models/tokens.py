"""Tokens: the pieces of a row, whatever their kinds, as vectors of one width that a Transformer can compare.

Sources: Gorishniy et al., 2021, "Revisiting deep learning models for tabular data", for numbers and categories;
Dosovitskiy et al., 2020, "An image is worth 16x16 words", for patches.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from training.models.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from training.models.layout import Piece

Positions = Literal["learnt", "sinusoidal", "none"]


class Numbers(nn.Module):
    """A token for each number: the number times a learnt vector, plus another.

    Shapes: [N,layout.width] → [N,numbers,width], there [N,numbers].
    """

    columns: Tensor

    def __init__(self, pieces: Sequence[Piece], width: int) -> None:
        super().__init__()
        columns = [column for piece in pieces for column in range(piece.begin, piece.end)]
        self.register_buffer("columns", torch.tensor(columns), persistent=False)
        self.weight = nn.Parameter(torch.empty(len(columns), width).uniform_(-1, 1) / math.sqrt(width))
        self.bias = nn.Parameter(torch.empty(len(columns), width).uniform_(-1, 1) / math.sqrt(width))

    def forward(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Each number by itself."""
        numbers = matrix[:, self.columns]  # [N,numbers]
        return numbers.unsqueeze(2) * self.weight + self.bias, torch.ones_like(numbers) > 0


class Category(nn.Module):
    """A token for a category: of one-hot columns, the vector of the value that is there.

    Shapes: [N,layout.width] → [N,1,width], there [N,1].
    """

    def __init__(self, piece: Piece, width: int) -> None:
        super().__init__()
        self.begin, self.end = piece.begin, piece.end
        self.values = nn.Linear(piece.end - piece.begin, width)

    def forward(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """The category's own columns together."""
        made = self.values(matrix[:, self.begin : self.end]).unsqueeze(1)
        return made, torch.ones_like(made[:, :, 0]) > 0


class Patches(nn.Module):
    """A token for each patch of a picture; its right and lower edge is filled up to whole patches.

    Shapes: [N,layout.width] → [N,rows*columns,width], there [N,rows*columns].
    """

    def __init__(self, piece: Piece, width: int, patch: int, positions: Positions) -> None:
        super().__init__()
        self.begin, self.end = piece.begin, piece.end
        channels, *size = self.shape = tuple(piece.shape)
        self.fill = (0, -size[1] % patch, 0, -size[0] % patch)
        self.cut = nn.Conv2d(channels, width, patch, stride=patch)
        self.places = Places(positions, math.prod(math.ceil(side / patch) for side in size), width)

    def forward(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Patches row by row."""
        pictures = matrix[:, self.begin : self.end].reshape(-1, *self.shape)  # [N,C,H,W]
        maps = self.cut(nn.functional.pad(pictures, self.fill))  # [N,width,rows,columns]
        made = self.places(maps.flatten(2).transpose(1, 2))
        return made, torch.ones_like(made[:, :, 0]) > 0


class Series(nn.Module):
    """A token for each step of a sequence or a text. Shapes: [N,layout.width] → [N,T,width], there [N,T]."""

    def __init__(self, piece: Piece, width: int, kernel: int | None, stride: int | None, positions: Positions) -> None:
        super().__init__()
        self.steps = Steps(piece, width, kernel, stride)
        self.linear = nn.Linear(self.steps.size, width)
        self.places = Places(positions, self.steps.count, width)

    def forward(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Steps and which are there."""
        vectors, there = self.steps(matrix)
        return self.places(self.linear(vectors)), there


class Places(nn.Module):
    """Tells tokens by where they stand: a learnt vector for each place, or waves. Shapes: [N,T,width] → the same.

    Source: Vaswani et al., 2017, "Attention is all you need", section 3.5, for the waves.
    """

    table: Tensor

    def __init__(self, positions: Positions, count: int, width: int) -> None:
        super().__init__()
        if positions == "learnt":
            self.table = nn.Parameter(torch.randn(count, width) * 0.02)
        else:
            made = waves(count, width) if positions == "sinusoidal" else torch.zeros(1, 1)
            self.register_buffer("table", made, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """The vector of its place added to each."""
        return tokens + self.table


def waves(count: int, width: int) -> Tensor:
    """Sine and cosine in turn, from a wave length of 2 pi to 10,000 times that. Shapes: → [count,width].

    >>> waves(2, 4)[0].tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    places, pairs = torch.arange(count).unsqueeze(1), torch.arange(0, width, 2)
    angles = places * 10_000.0 ** (-pairs / width)  # [count,ceil(width/2)]
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]
