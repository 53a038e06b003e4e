"""Steps: a sequence or a text of each row as a series of vectors, and which of them are there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from training.models.layout import Piece

EMBEDDING = 32
"""Numbers that a token of a text becomes."""
TEXT_STRIDE = 8
"""Tokens of a text that share a step, unless a setting says otherwise: 1,000 bytes become 125 steps."""


class Steps(nn.Module):
    """A sequence's own steps or a text's embedded tokens; with a kernel, a convolution makes one step of each window.

    ``kernel`` is by default 1 less than twice the stride, so that windows overlap by half. What is not there counts as
    zeros, so however far a row is filled up, its steps are the same.

    Shapes: [N,layout.width] → vectors [N,count,size], there [N,count] of bool.
    """

    def __init__(self, piece: Piece, width: int, kernel: int | None = None, stride: int | None = None) -> None:
        super().__init__()
        text, length = piece.kind == "text", piece.shape[0]
        self.begin, self.middle, self.end = piece.begin, piece.end - length, piece.end
        self.shape = (length, math.prod(piece.shape[1:]))
        self.most = piece.vocabulary - 1
        self.table = nn.Embedding(piece.vocabulary, EMBEDDING) if text else None
        self.count, self.size = length, EMBEDDING if text else math.prod(piece.shape[1:])
        stride = stride or (min(TEXT_STRIDE, length) if text else 1)
        kernel = kernel or 2 * stride - 1
        self.join = self.any = None
        if kernel > 1:
            self.join = nn.Conv1d(self.size, width, kernel, stride, padding=kernel // 2)
            self.any = nn.MaxPool1d(kernel, stride, padding=kernel // 2)
            self.count, self.size = (length + 2 * (kernel // 2) - kernel) // stride + 1, width

    def forward(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """The columns of the piece, as vectors and mask."""
        numbers, there = matrix[:, self.begin : self.middle], matrix[:, self.middle : self.end]
        if self.table is None:
            vectors = numbers.reshape(-1, *self.shape)  # [N,T,C]
        else:
            vectors = self.table((numbers * self.most).round().long())  # [N,L,EMBEDDING]
        vectors = vectors * there.unsqueeze(2)
        if self.join is not None and self.any is not None:
            vectors = nn.functional.gelu(self.join(vectors.transpose(1, 2))).transpose(1, 2)  # [N,count,size]
            there = self.any(there.unsqueeze(1)).squeeze(1)  # [N,count]
        return vectors, there > 0
