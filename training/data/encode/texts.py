"""Texts: UTF-8 bytes of a fixed length, or token ids, become numbers from 0 to 1 and a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from torch import nn

from staytrue.signature import TensorSpec
from training.data import mapped
from training.data.encode.tokens import learn_tokenizer, tokenizer_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.feature import Feature


class TextState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="text", tag_field="kind"):
    """What is known of a column of texts: how many bytes of each are sent, or tokens made."""

    name: str
    unit: str
    length: int
    mean_bytes: float
    """Of the texts in training, for people."""
    tokenizer: str = ""
    """File beside the checkpoint that makes tokens of the texts; nothing where they are bytes."""
    sha256: str = ""
    """Of that file."""
    content: str = ""
    """What stands in it; not written with the state."""
    vocabulary: int = 0
    """1 + the largest token id: the model sees ids divided by that."""
    padding: int = 0
    """Token id that fills up."""
    mean_tokens: float = 0.0
    cut_share: float = 0.0
    unknown_share: float = 0.0
    """Of tokens; for people, as are the two before it: of a sample of the texts in training."""

    def spec(self) -> TensorSpec:
        """What callers send."""
        if not self.tokenizer:
            return TensorSpec(name=self.name, datatype="UINT8", shape=[-1, self.length], unit=self.unit)
        tokens: dict[str, Any] = {"tokenizer": self.tokenizer, "tokens": self.length}
        return TensorSpec(name=self.name, datatype="BYTES", shape=[-1, 1], unit=self.unit, **tokens)

    def module(self) -> TextColumn | TokenColumn:
        """What encodes it."""
        return TokenColumn(self) if self.tokenizer else TextColumn(self)

    def tensor(self, column: NDArray[Any]) -> Tensor:
        """A raw column as the module takes it: bytes as they are, of texts the token ids. Shapes: [N] → [N,L]."""
        if self.tokenizer:
            return torch.from_numpy(tokenizer_of(self.content).encode(column, f'column "{self.name}"'))
        return torch.from_numpy(np.ascontiguousarray(column, dtype=np.uint8))


def learn_texts(name: str, present: NDArray[Any], feature: Feature) -> TextState:
    """The state of a column of texts: nothing in it is learnt but how long they are, and maybe a tokenizer."""
    length = feature.shape[0]
    if not feature.tokenizer:
        mean = float(mapped.by_parts(lambda some: (some != 0).sum(axis=1), present).mean())
        return TextState(name=name, unit=feature.unit, length=length, mean_bytes=mean)
    made = learn_tokenizer(name, present, feature)
    return TextState(
        name=name,
        unit=feature.unit,
        length=length,
        mean_bytes=float(np.mean([len(text.encode()) for text in present])),
        **msgspec.structs.asdict(made),
    )


class TextColumn(nn.Module):
    """Bytes as shares of 255, then which of them are there. Shapes: [N,L] → [N,2L]."""

    def __init__(self, state: TextState) -> None:
        super().__init__()
        self.width = 2 * state.length

    def forward(self, texts: Tensor) -> Tensor:
        """Bytes to numbers and mask, side by side; a byte of 0 is filling."""
        numbers = texts.to(torch.float32) / 255.0
        return torch.cat([numbers, (numbers > 0).to(torch.float32)], dim=1)


class TokenColumn(nn.Module):
    """Token ids as shares of the vocabulary, then which of them are there. Shapes: [N,L] → [N,2L].

    ``round(share * (vocabulary - 1))`` is the id again.
    """

    def __init__(self, state: TextState) -> None:
        super().__init__()
        self.width = 2 * state.length
        self.largest, self.padding = max(1.0, state.vocabulary - 1.0), state.padding

    def forward(self, ids: Tensor) -> Tensor:
        """Ids to numbers and mask, side by side."""
        numbers = ids.to(torch.float32) / self.largest
        return torch.cat([numbers, (ids != self.padding).to(torch.float32)], dim=1)
