"""Texts: those of a column of UTF-8 bytes varied word by word, and cut to its length again."""

from __future__ import annotations

import codecs
import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from training.augment.words import Words

_KEPT = "surrogateescape"
"""How bytes that are no UTF-8 come through unchanged."""


@dataclasses.dataclass(frozen=True)
class Texts:
    """What varies one column of texts."""

    words: Words

    def __call__(self, texts: Tensor, places: NDArray[np.int64], epoch: int) -> Tensor:
        """The texts of some rows, varied. Shapes: [N,L] of bytes, filled up with zeros → the same."""
        given = texts.cpu().numpy()
        said = [text_of(row) for row in given]
        made = given.copy()
        for row, (text, other) in enumerate(zip(said, self.words(said, places, epoch), strict=True)):
            if other is not text:
                made[row] = bytes_of(other, given.shape[1])
        return torch.from_numpy(made).to(texts.device)


def text_of(row: NDArray[np.uint8]) -> str:
    """What the bytes say, without the filling and without a last character that was cut in two.

    >>> text_of(np.frombuffer("né".encode()[:2], np.uint8))
    'n'
    """
    data = row.tobytes().rstrip(b"\0")
    return codecs.utf_8_decode(data, _KEPT, False)[0]  # noqa: FBT003 - not final: what is cut in two is left


def readable(row: NDArray[np.uint8]) -> str:
    """The same for people: a mark stands where bytes are no UTF-8."""
    return text_of(row).encode(errors=_KEPT).decode(errors="replace")


def bytes_of(text: str, length: int) -> NDArray[np.uint8]:
    """So many bytes of a text, whole characters alone, filled up with zeros.

    >>> bytes_of("né", 2).tolist(), bytes_of("né", 4).tolist()
    ([110, 0], [110, 195, 169, 0])
    """
    data = text.encode(errors=_KEPT)[:length]
    whole = codecs.utf_8_decode(data, _KEPT, False)[1]  # noqa: FBT003 - as above
    made = np.zeros(length, np.uint8)
    made[:whole] = np.frombuffer(data[:whole], np.uint8)
    return made
