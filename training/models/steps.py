"""Steps: a sequence or a text of each row as a series of vectors, and which of them are there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from training.models.layout import Piece

EMBEDDING = 16
"""Numbers that a token of a text becomes."""
KERNEL, TEXT_STRIDE = 7, 8
"""Of texts unless settings say otherwise: 1,000 bytes become 125 steps."""


class Steps(nn.Module):
    """A sequence's own steps, or a text's embedded tokens; or of both, what a convolution finds in them.

    ``kernel`` steps are looked at around each, and of every ``stride`` the strongest signs are kept: what is found does
    not depend on where in these it stands. Sequences are left as they are unless a setting says so. What is not there
    counts as zeros, so however far a row is filled up, its steps are the same.

    Shapes: [N,layout.width] → vectors [N,count,size], there [N,count] of bool.
    """

    def __init__(self, piece: Piece, width: int, kernel: int | None = None, stride: int | None = None) -> None:
        super().__init__()
        text, length = piece.kind == "text", piece.shape[0]
        self.begin, self.middle, self.end = piece.begin, piece.end - length, piece.end
        self.shape = (length, math.prod(piece.shape[1:]))
        self.most = piece.vocabulary - 1
        self.table = nn.Embedding(piece.vocabulary, EMBEDDING) if text else None
        self.count, self.size = length, EMBEDDING if text else self.shape[1]
        stride = stride or (TEXT_STRIDE if text else 1)
        kernel = kernel or (KERNEL if text or stride > 1 else 1)
        self.find = self.keep = None
        if kernel > 1 or stride > 1:
            self.find = nn.Conv1d(self.size, width, kernel, padding=kernel // 2)
            self.keep = nn.MaxPool1d(stride, ceil_mode=True)
            self.count, self.size = math.ceil(length / stride), width

    def forward(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """The columns of the piece, as vectors and mask."""
        numbers, there = matrix[:, self.begin : self.middle], matrix[:, self.middle : self.end]
        if self.table is None:
            vectors = numbers.reshape(-1, *self.shape)  # [N,T,C]
        else:
            vectors = self.table((numbers * self.most).round().long())  # [N,L,EMBEDDING]
        vectors = vectors * there.unsqueeze(2)
        if self.find is not None and self.keep is not None:
            there = there.unsqueeze(1)  # [N,1,T]
            found = self.find(vectors.transpose(1, 2))[:, :, : self.shape[0]].relu() * there  # [N,size,T]
            vectors, there = self.keep(found).transpose(1, 2), self.keep(there).squeeze(1)  # [N,count,size], [N,count]
        return vectors, there > 0
