"""Embeddings: categories become learnt numbers in front of a body, weights of the model like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from training.data.encode.encoder import is_embedded, seen_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from training.data.encode.categories import CategoryState
    from training.data.encode.encoder import ColumnState


class Embedding(nn.Module):
    """One category's table. Row 0 is the unknown value's, unless that counts as the average of the known ones.

    Shapes: places [N,1] → [N,width].
    """

    frequencies: Tensor

    def __init__(self, state: CategoryState) -> None:
        super().__init__()
        self.table = nn.Embedding(len(state.values) + 1, state.width)
        frequencies = torch.tensor([[0.0, *state.frequencies]], dtype=torch.float32)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.average = state.unknown == "average"

    def forward(self, places: Tensor) -> Tensor:
        """Places, whole numbers as floats, to the rows of the table."""
        which = places.squeeze(1).to(torch.int64)
        rows: Tensor = self.table(which)
        if self.average:
            mean = self.frequencies @ self.table.weight  # [1,K+1] by [K+1,width]
            rows = torch.where((which == 0).unsqueeze(1), mean, rows)
        return rows


class Embedded(nn.Module):
    """A body that sees embeddings in the place of their categories. Shapes: [N,encoder's width] → the body's."""

    def __init__(self, states: Sequence[ColumnState], body: nn.Module) -> None:
        super().__init__()
        self.tables = nn.ModuleDict()
        self.pieces: list[tuple[int, int, str]] = []
        """Columns from, to, and the table they are looked up in, or none."""
        at = 0
        for place, state in enumerate(states):
            wide = state.module().width
            if is_embedded(state):
                self.tables[str(place)] = Embedding(state)
                self.pieces.append((at, at + wide, str(place)))
            elif self.pieces and not self.pieces[-1][2]:
                self.pieces[-1] = (self.pieces[-1][0], at + wide, "")
            else:
                self.pieces.append((at, at + wide, ""))
            at += wide
        self.body = body

    def forward(self, matrix: Tensor) -> Tensor:
        """Encoded rows to what the body makes of them."""
        parts = [self.tables[name](matrix[:, a:b]) if name else matrix[:, a:b] for a, b, name in self.pieces]
        out: Tensor = self.body(torch.cat(parts, dim=1))
        return out


def embedded_width(states: Sequence[ColumnState]) -> int:
    """Columns that a body sees."""
    return sum(map(seen_width, states))
