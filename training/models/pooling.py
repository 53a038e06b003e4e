"""Pooling: a series of vectors becomes one, by those that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from torch import Tensor


class Pooling(nn.Module):
    """One vector of a series: its mean, its maximum, or a mean by learnt weights; zeros where nothing is there.

    Shapes: vectors [N,T,size], there [N,T] of bool → [N,size].
    """

    def __init__(self, kind: str, size: int) -> None:
        super().__init__()
        self.kind = kind
        self.score = nn.Linear(size, 1) if kind == "attention" else None

    def forward(self, vectors: Tensor, there: Tensor) -> Tensor:
        """One vector a row."""
        some = there.any(dim=1, keepdim=True)  # [N,1]
        if self.kind == "max":
            top = vectors.masked_fill(~there.unsqueeze(2), -torch.inf).amax(dim=1)
            return torch.where(some, top, torch.zeros_like(top))
        if self.score is not None:
            scores = self.score(vectors).squeeze(2).masked_fill(~seen(there), -torch.inf)  # [N,T]
            weights = scores.softmax(dim=1) * some
        else:
            weights = there / there.sum(dim=1, keepdim=True).clamp(min=1)  # [N,T]
        mean: Tensor = (weights.unsqueeze(2) * vectors).sum(dim=1)
        return mean


def seen(there: Tensor) -> Tensor:
    """What attention may look at: what is there, or all of it where nothing is, since a softmax of nothing is NaN.

    >>> seen(torch.tensor([[True, False], [False, False]])).tolist()
    [[True, False], [True, True]]
    """
    return there | ~there.any(dim=1, keepdim=True)


def check_pooling(kind: str, *known: str) -> None:
    """Refuse a pooling that an architecture does not know.

    Raises:
        InvalidConfig: it is none of those.
    """
    if kind not in known:
        raise InvalidConfig("model.pooling", expected=f"{', '.join(known[:-1])} or {known[-1]} here", got=kind)
