"""Tokens: texts that a tokenizer takes apart, varied word by word before it does."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from training.augment.words import Words

    Tokenized = tuple[NDArray[Any], Callable[[NDArray[Any]], Tensor]]


@dataclasses.dataclass(frozen=True)
class Tokens:
    """What varies one column whose texts, [R] of the training rows, ``encode`` makes ids of: [n] → [n,L]."""

    words: Words
    texts: NDArray[Any]
    encode: Callable[[NDArray[Any]], Tensor]

    def __call__(self, ids: Tensor, places: NDArray[np.int64], epoch: int) -> Tensor:
        """The ids of some rows, varied; those of a text that nothing happens to stay. Shapes: [N,L] → the same."""
        given = self.texts[places]
        said = self.said(places, epoch)
        changed = np.array([other is not text for other, text in zip(said, given, strict=True)])
        if not changed.any():
            return ids
        made = ids.clone()
        made[torch.from_numpy(changed)] = self.encode(np.array(said, dtype=object)[changed]).to(ids)
        return made

    def said(self, places: NDArray[np.int64], epoch: int) -> list[str]:
        """The texts of some rows, varied."""
        return self.words(self.texts[places].tolist(), places, epoch)
