"""Layout: which numbers of an encoded row come from which feature, and what they stand for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from staytrue.errors import InvalidInput
from training.data.encode.categories import CategoryState
from training.data.encode.encoder import seen_width
from training.data.encode.pictures import ImageState
from training.data.encode.sequences import SequenceState
from training.data.encode.texts import TextState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from staytrue.feature import Feature
    from training.data.encode.encoder import ColumnState

BYTES = 256
"""Different bytes that a text may hold; 0 fills it up."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of one feature: columns ``begin`` to ``end`` of the matrix that a body sees.

    ``shape`` says how they are read: numbers [width]; a category's own numbers, one-hot, ordinal or embedded [width];
    a picture [C,H,W]; a sequence [T,C], and behind its T*C numbers T more, 1 where the step is there; a text [L], each
    its place among ``vocabulary`` tokens divided by ``vocabulary - 1``, and behind them L more, 1 where the token is.
    """

    name: str
    kind: Literal["numbers", "category", "image", "sequence", "text"]
    begin: int
    end: int
    shape: list[int]
    vocabulary: int = 0


class Layout(msgspec.Struct, frozen=True):
    """All pieces of a row, in the order of the features."""

    pieces: list[Piece]

    @classmethod
    def of(cls, states: Sequence[ColumnState]) -> Layout:
        """As a body sees what an encoder of these states makes, embeddings in place of their categories."""
        pieces, at = [], 0
        for state in states:
            width = seen_width(state)
            pieces.append(_piece(state, at, width))
            at += width
        return cls(pieces)

    @classmethod
    def stand_in(cls, features: Mapping[str, Feature]) -> Layout:
        """As one may be before any state is learnt: with categories of two values, and dates of one number."""
        pieces, at = [], 0
        for name, feature in features.items():
            kind = "numbers" if feature.kind == "numeric" or feature.kind == "date" else feature.kind  # noqa: PLR1714 - mypy
            shape = feature.encoded_shape if kind == "image" else feature.shape or [2 if kind == "category" else 1]
            end = at + math.prod(shape) + (shape[0] if kind in ("sequence", "text") else 0)
            vocabulary = BYTES if kind == "text" else 0
            pieces.append(Piece(name=name, kind=kind, begin=at, end=end, shape=shape, vocabulary=vocabulary))
            at = end
        return cls(pieces)

    @classmethod
    def numbers(cls, width: int) -> Layout:
        """So many plain numbers, as one piece.

        >>> Layout.numbers(3).width
        3
        """
        return cls([Piece(name="numbers", kind="numbers", begin=0, end=width, shape=[width])])

    @property
    def width(self) -> int:
        """Numbers a row."""
        return self.pieces[-1].end if self.pieces else 0

    def one(self, *kinds: str) -> Piece:
        """The only piece, for a body that takes one feature of these kinds and nothing beside it.

        Raises:
            InvalidInput: there are others.
        """
        if len(self.pieces) != 1 or self.pieces[0].kind not in kinds:
            got = ", ".join(f"{piece.name} ({piece.kind})" for piece in self.pieces)
            raise InvalidInput("the encoded row", expected=f"one {' or '.join(kinds)} alone", got=got[:200])
        return self.pieces[0]


def _piece(state: ColumnState, begin: int, width: int) -> Piece:
    placed: dict[str, Any] = {"name": state.name, "begin": begin, "end": begin + width}
    if isinstance(state, ImageState):
        size = state.crop or state.uncut()
        return Piece(kind="image", shape=[len(state.mean), *size], **placed)
    if isinstance(state, SequenceState):
        return Piece(kind="sequence", shape=list(state.shape), **placed)
    if isinstance(state, TextState):
        return Piece(kind="text", shape=[state.length], vocabulary=state.vocabulary or BYTES, **placed)
    return Piece(kind="category" if isinstance(state, CategoryState) else "numbers", shape=[width], **placed)
