"""Shingles: which texts are nearly the same, by the runs of three words that they share."""

from __future__ import annotations

import itertools
import re
import zlib
from typing import TYPE_CHECKING

import numpy as np

from training.data.keys import mixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MOST_CHARACTERS = 2000
"""Of a text, that are looked at."""
RUN = 3
"""Words of a shingle."""
ALIKE = 0.8
"""Share of the hashes that agree in texts which are nearly the same: about that of the shingles they share."""
_HASHES, _BANDS = 64, 16
_AT_ONCE = 4096


def clusters(texts: Sequence[str]) -> NDArray[np.int64]:
    """Number of each text's cluster; texts of which one is nearly the same as the other share it. Shapes: [N].

    Upper and lower case, spaces and punctuation do not count.

    Source: Broder, On the resemblance and containment of documents, 1997; of the minima's bands, texts that share one
    are compared with the first of them alone, so that thousand equal texts make no million pairs.

    >>> clusters(["One two three four.", "one two, three four", "something else"]).tolist()
    [0, 0, 1]
    """
    from scipy.sparse import coo_array  # noqa: PLC0415 - it takes long to import, and only texts need it
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    signatures = np.concatenate([_signatures(texts[at : at + _AT_ONCE]) for at in range(0, len(texts), _AT_ONCE)])
    edges = [np.empty((2, 0), dtype=np.int64)]
    for band in np.split(signatures, _BANDS, axis=1):
        keys = mixed((mixed(band) * _odd(band.shape[1])).sum(axis=1))
        _, first, place = np.unique(keys, return_index=True, return_inverse=True)
        pairs = np.stack([np.arange(len(texts)), first[place]])
        near = (signatures[pairs[0]] == signatures[pairs[1]]).mean(axis=1) >= ALIKE
        edges.append(pairs[:, near])
    links = np.concatenate(edges, axis=1)
    graph = coo_array((np.ones(links.shape[1]), (links[0], links[1])), shape=(len(texts), len(texts)))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return re.findall(r"\w+", text[:MOST_CHARACTERS].lower())


def _signatures(texts: Sequence[str]) -> NDArray[np.uint64]:
    """The least of each hash over the shingles of each text. Shapes: [N] → [N,hashes]."""
    hashed = [[zlib.crc32(word.encode()) for word in words_of(text)] for text in texts]
    padded = [words + [0] * (RUN - len(words)) for words in hashed]
    lengths = np.array([len(words) for words in padded])
    flat = np.fromiter(itertools.chain.from_iterable(padded), dtype=np.uint64, count=int(lengths.sum()))
    runs = np.stack([np.roll(flat, -place) for place in range(RUN)], axis=1)
    inside = np.ones(len(flat), dtype=np.bool_)
    for place in range(1, RUN):
        inside[np.cumsum(lengths) - place] = False  # a run that would go on into the next text
    shingles = mixed((mixed(runs) * _odd(RUN)).sum(axis=1))[inside]
    starts = np.cumsum(lengths - RUN + 1) - (lengths - RUN + 1)
    return np.stack([np.minimum.reduceat(mixed(shingles ^ seed), starts) for seed in _odd(_HASHES)], axis=1)


def _odd(count: int) -> NDArray[np.uint64]:
    return np.random.default_rng(1).integers(0, 2**63, count, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
