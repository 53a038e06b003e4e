"""Shingles: which texts are nearly the same, by the runs of three words that they share, or of three characters."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING

import numpy as np

from training.data.keys import mixed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

RUN = 3
"""Words of a shingle."""
ALIKE = 0.8
"""Share of the hashes that agree in texts which are nearly the same: about that of the shingles they share."""
MOST = 256
"""Shingles of a text that are compared: those of the least hashes, which texts with the same shingles share."""
_HASHES, _BANDS = 64, 16
_AT_ONCE = 1 << 19
"""Characters that are looked at together."""
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Japanese kana
    (0x3400, 0x9FFF),  # Chinese characters
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
"""Characters that are written without spaces between words: each counts as a word."""
_ALONE = "".join(f"{chr(first)}-{chr(last)}" for first, last in _UNSPACED)
_WORD = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+")


def clusters(texts: Iterable[str]) -> NDArray[np.int64]:
    """Number of each text's cluster; texts of which one is nearly the same as the other share it. Shapes: [N].

    Upper and lower case, spaces and punctuation do not count. The whole of each text is looked at, some at once.

    Source: Broder, On the resemblance and containment of documents, 1997; of the minima's bands, texts that share one
    are compared with the first of them alone, so that thousand equal texts make no million pairs.

    >>> clusters(["One two three four.", "one two, three four", "something else"]).tolist()
    [0, 0, 1]
    """
    from scipy.sparse import coo_array  # noqa: PLC0415 - it takes long to import, and only texts need it
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    signatures = np.concatenate([_signatures(*_kept(some)) for some in _batches(texts)])
    edges = [np.empty((2, 0), dtype=np.int64)]
    for band in np.split(signatures, _BANDS, axis=1):
        keys = mixed((mixed(band) * _odd(band.shape[1])).sum(axis=1))
        _, first, place = np.unique(keys, return_index=True, return_inverse=True)
        pairs = np.stack([np.arange(len(signatures)), first[place]])
        near = (signatures[pairs[0]] == signatures[pairs[1]]).mean(axis=1) >= ALIKE
        edges.append(pairs[:, near])
    links = np.concatenate(edges, axis=1)
    graph = coo_array((np.ones(links.shape[1]), (links[0], links[1])), shape=(len(signatures), len(signatures)))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case; where no spaces are written between words, its characters.

    >>> words_of("No. 7, 東京")
    ['no', '7', '東', '京']
    """
    return _WORD.findall(text.lower())


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts that are looked at together; a longer one by itself."""
    some, size = list[str](), 0
    for text in texts:
        if some and size + len(text) > _AT_ONCE:
            yield some
            some, size = [], 0
        some.append(text)
        size += len(text)
    yield some


def _kept(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of at most :data:`MOST` shingles of each text, one text after the other, and how many of each."""
    if len(texts) == 1 and len(texts[0]) > _AT_ONCE:
        kept = np.empty(0, dtype=np.uint64)
        for begin in range(0, len(texts[0]), _AT_ONCE):
            found, _ = _shingles([texts[0][begin : begin + _AT_ONCE]])
            kept = np.unique(np.concatenate([kept, found]))[:MOST]
        return kept, np.array([len(kept)])
    found, lengths = _shingles(texts)
    parts = np.split(found, np.cumsum(lengths)[:-1])
    parts = [part if len(part) <= MOST else np.unique(part)[:MOST] for part in parts]
    return np.concatenate(parts), np.array([len(part) for part in parts])


def _shingles(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of the runs of words of each text, one text after the other, and how many of each; at least one."""
    lowered = [text.lower() for text in texts]
    words, starts = _hashed("\n".join(lowered))
    begins = np.cumsum([0, *(len(text) + 1 for text in lowered[:-1])])
    whose = np.searchsorted(begins, starts, side="right") - 1
    counts = np.bincount(whose, minlength=len(texts))
    lengths = np.maximum(counts, RUN)  # a shorter text is filled up
    ends = np.cumsum(lengths)
    padded = np.zeros(int(ends[-1]), dtype=np.uint64)
    padded[np.arange(len(words)) + (ends - lengths - (np.cumsum(counts) - counts))[whose]] = words
    runs = np.stack([np.roll(padded, -place) for place in range(RUN)], axis=1)
    inside = np.ones(len(padded), dtype=np.bool_)
    for place in range(1, RUN):
        inside[ends - place] = False  # a run that would go on into the next text
    return mixed((mixed(runs) * _odd(RUN)).sum(axis=1))[inside], lengths - RUN + 1


def _hashed(text: str) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """A number for each word of a text, and where it begins.

    A word is a polynomial of its characters, as differences of running sums, modulo 2⁶⁴.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    kinds = np.concatenate([[np.uint8(0)], _kinds()[codes], [np.uint8(0)]])
    alone, inside = kinds[1:-1] == 2, kinds == 1
    starts = np.flatnonzero(alone | (inside[1:-1] & ~inside[:-2]))
    ends = np.flatnonzero(alone | (inside[1:-1] & ~inside[2:])) + 1
    prime = np.uint64(0x9E3779B97F4A7C15)
    powers, inverse = (
        np.full(len(codes) + 1, factor, dtype=np.uint64).cumprod()
        for factor in (prime, np.uint64(pow(int(prime), -1, 2**64)))
    )
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(codes * powers[:-1])])
    return (sums[ends] - sums[starts]) * inverse[starts], starts


@functools.cache
def _kinds() -> NDArray[np.uint8]:
    """What each character is: 0 between words, 1 of a word, 2 a word by itself."""
    written = (character == "_" or character.isalnum() for character in map(chr, range(0x110000)))
    kinds = np.fromiter(written, dtype=np.uint8, count=0x110000)
    for first, last in _UNSPACED:
        for code in range(first, last + 1):
            kinds[code] = 2 if unicodedata.category(chr(code))[0] in "LMN" else 0
    return kinds


def _signatures(shingles: NDArray[np.uint64], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The least of each hash over the shingles of each text. Shapes: [S], [N] → [N,hashes]."""
    starts = np.cumsum(lengths) - lengths
    return np.stack([np.minimum.reduceat(mixed(shingles ^ seed), starts) for seed in _odd(_HASHES)], axis=1)


def _odd(count: int) -> NDArray[np.uint64]:
    return np.random.default_rng(1).integers(0, 2**63, count, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
