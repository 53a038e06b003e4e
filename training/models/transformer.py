"""The Transformer's encoder over tokens: of texts, sequences, patches of pictures, features of a table, or all of them.

Sources: Vaswani et al., 2017, "Attention is all you need"; Xiong et al., 2020, "On layer normalization in the
Transformer architecture", for the norm in front of each part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from staytrue.errors import InvalidConfig
from training.models.layers import ACTIVATIONS, one_of
from training.models.pooling import Pooling, check_pooling, seen
from training.models.tokens import Category, Numbers, Patches, Positions, Series

if TYPE_CHECKING:
    from torch import Tensor

    from training.models.layout import Layout


class Block(nn.Module):
    """Each token looks at all, then goes through two layers of its own; both change it by adding to it.

    Shapes: tokens [N,T,width], seen [N,1,1,T] of bool → [N,T,width].
    """

    def __init__(self, width: int, heads: int, feed_forward: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before_look, self.before_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.questions_keys_values = nn.Linear(width, 3 * width)
        self.joined = nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.Linear(width, feed_forward),
            ACTIVATIONS[activation](),
            nn.Dropout(dropout),
            nn.Linear(feed_forward, width),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """Attention, then the layers."""
        tokens = tokens + self.dropout(self._look(self.before_look(tokens), seen))
        out: Tensor = tokens + self.dropout(self.feed(self.before_feed(tokens)))
        return out

    def _look(self, tokens: Tensor, seen: Tensor) -> Tensor:
        three = self.questions_keys_values(tokens).unflatten(2, (3, self.heads, -1))  # [N,T,3,heads,width/heads]
        q, k, v = three.permute(2, 0, 3, 1, 4).unbind(0)  # [N,heads,T,width/heads] each
        found = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        made: Tensor = self.joined(found.transpose(1, 2).flatten(2))  # [N,T,width]
        return made


class Transformer(nn.Module):
    """``depth`` blocks of ``heads`` heads over tokens of ``width`` numbers, a pooling, then ``outputs`` numbers a row.

    Which tokens a row has: one for each number and each category; for each ``patch`` by ``patch`` pixels of a picture;
    for each step of a sequence; for each ``stride`` bytes of a text (:mod:`training.models.steps`). ``pooling`` token
    reads the answer off one more, learnt token.

    Shapes: [N,layout.width] → [N,outputs].
    """

    READ_OF: ClassVar[dict[str, tuple[str, ...]]] = {
        "patch": ("image",),
        "kernel": ("sequence", "text"),
        "stride": ("sequence", "text"),
        "positions": ("image", "sequence", "text"),
    }
    """Setting → kinds of features without which nothing reads it."""

    def __init__(
        self,
        layout: Layout,
        outputs: int,
        *,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        feed_forward: int | None = None,
        dropout: float = 0.1,
        activation: str = "gelu",
        positions: Positions = "learnt",
        pooling: str = "token",
        patch: int = 4,
        kernel: int | None = None,
        stride: int | None = None,
    ) -> None:
        super().__init__()
        check_pooling(pooling, "token", "mean", "max", "attention")
        one_of("activation", activation, ACTIVATIONS)
        if width % heads:
            raise InvalidConfig("model.heads", expected=f"a divisor of width {width}", got=str(heads))
        numbers = [piece for piece in layout.pieces if piece.kind == "numbers"]
        kinds: list[nn.Module] = [Numbers(numbers, width)] if numbers else []
        for piece in layout.pieces:
            if piece.kind == "category":
                kinds.append(Category(piece, width))
            elif piece.kind == "image":
                kinds.append(Patches(piece, width, patch, positions))
            elif piece.kind != "numbers":
                kinds.append(Series(piece, width, kernel, stride, positions))
        self.kinds = nn.ModuleList(kinds)
        self.token = nn.Parameter(torch.randn(1, 1, width) * 0.02) if pooling == "token" else None
        self.dropout = nn.Dropout(dropout)
        blocks = [Block(width, heads, feed_forward or 2 * width, activation, dropout) for _ in range(depth)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width)
        self.pooling = Pooling(pooling, width) if pooling != "token" else None
        self.last = nn.Linear(width, outputs)

    def forward(self, matrix: Tensor) -> Tensor:
        """Encoded rows to ``outputs`` numbers each."""
        made = [tokens(matrix) for tokens in self.kinds]
        if self.token is not None:
            everywhere = torch.zeros_like(matrix[:, :1])  # [N,1]
            made.insert(0, (self.token + everywhere.unsqueeze(2), everywhere == 0))
        tokens, there = (torch.cat(parts, dim=1) for parts in zip(*made, strict=True))  # [N,T,width], [N,T]
        tokens, mask = self.dropout(tokens), seen(there)[:, None, None, :]
        for block in self.blocks:
            tokens = block(tokens, mask)
        tokens = self.norm(tokens)
        pooled = tokens[:, 0] if self.pooling is None else self.pooling(tokens, there)  # [N,width]
        out: Tensor = self.last(pooled)
        return out
