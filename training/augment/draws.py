"""Draws: random numbers that belong to a row and an epoch, whichever rows stand beside it and whoever asks first.

A generator that counts, instead of one that goes on from where it is: number and place are hashed to the draw.

Source: Salmon, Moraes, Dror and Shaw, 2011, "Parallel random numbers: as easy as 1, 2, 3": Philox 4x32, ten rounds.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUNDS = 10
_FACTORS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_STEPS = 0x9E3779B9, 0xBB67AE85
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_STREAM_BITS = 24
"""Of a counter's last word that number the blocks of a stream: 64 million draws a row."""


def philox(counter: tuple[NDArray[np.uint64], ...], key: int) -> NDArray[np.uint64]:
    """Four words of 32 random bits for each counter of four such words.

    Shapes: four that broadcast to […] → […,4].
    """
    first, second, third, fourth = np.broadcast_arrays(*counter)
    low, high = key & 0xFFFFFFFF, key >> 32 & 0xFFFFFFFF
    for _ in range(_ROUNDS):
        left, right = first * _FACTORS[0], third * _FACTORS[1]
        first, second = (right >> _HALF) ^ second ^ np.uint64(low), right & _LOW
        third, fourth = (left >> _HALF) ^ fourth ^ np.uint64(high), left & _LOW
        low, high = low + _STEPS[0] & 0xFFFFFFFF, high + _STEPS[1] & 0xFFFFFFFF
    return np.stack([first, second, third, fourth], axis=-1)


@dataclasses.dataclass(frozen=True)
class Draws:
    """Uniform numbers of one purpose, its ``stream`` (below 256), under a seed."""

    seed: int
    stream: int

    def rows(self, places: NDArray[np.int64], epoch: int, count: int) -> NDArray[np.float64]:
        """The first ``count`` numbers of each row. Shapes: [N] → [N,count], each above 0 and below 1.

        >>> draws = Draws(seed=0, stream=1)
        >>> both, one = (draws.rows(np.array(places), 3, 2) for places in ([7, 9], [9]))
        >>> bool((both[1] == one[0]).all())
        True
        """
        blocks = np.arange(-(-count // 4), dtype=np.int64)
        return self.blocks(places[:, None], epoch, blocks).reshape(len(places), -1)[:, :count]

    def blocks(self, places: NDArray[np.int64], epoch: int, blocks: NDArray[np.int64]) -> NDArray[np.float64]:
        """Four numbers of each row and block. Shapes: two that broadcast to […] → […,4]."""
        where = places.astype(np.uint64)
        last = blocks.astype(np.uint64) | np.uint64(self.stream << _STREAM_BITS)
        counter: tuple[Any, ...] = where & _LOW, where >> _HALF, np.uint64(epoch), last
        words = philox(counter, self.seed & 0xFFFFFFFFFFFFFFFF).astype(np.float64)
        return (words + 0.5) / 2.0**32
