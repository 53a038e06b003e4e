"""Keys: a number for each row's features, the same for the same features and, in effect, for no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training.data.distinct import distinct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

_AT_ONCE = 1 << 20
"""Values of pictures in memory as 64 bits."""


def keys_of(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.uint64]:
    """Keys of rows. Missing values are alike, and so are 0 and -0. Shapes: {name: [N] or [N,…]} → [N].

    Each value's bits are mixed, weighted by place and added modulo 2⁶⁴, so that of ten million different rows two share
    a key with a probability of some millionths.

    >>> keys = keys_of({"a": np.array([1.0, 1.0, 2.0]), "b": np.array(["x", "x", "x"], dtype=object)})
    >>> bool(keys[0] == keys[1]), bool(keys[0] == keys[2])
    (True, False)
    """
    total = np.zeros(len(next(iter(columns.values()))), dtype=np.uint64)
    for _, part in parts_of(columns):
        total += part
    return total


def parts_of(columns: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[np.uint64]]]:
    """What each column adds to the keys of all, modulo 2⁶⁴: less it, they are keys by the others. Shapes: [N]."""
    draw = np.random.default_rng(0)
    for name, column in columns.items():
        flat = column.reshape(len(column), -1)
        weights = draw.integers(0, 2**63, flat.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        step = max(1, _AT_ONCE // flat.shape[1])
        coded = distinct(flat.ravel())[1].reshape(flat.shape) if flat.dtype == object else flat
        made = np.empty(len(flat), dtype=np.uint64)
        for begin in range(0, len(flat), step):
            made[begin : begin + step] = (mixed(_bits(coded[begin : begin + step])) * weights).sum(axis=1)
        yield name, made


def codes_of(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Keys as numbers from 0 on, by which rows are counted without sorting them again. Shapes: [N] → [N]."""
    return np.unique(keys, return_inverse=True)[1].astype(np.int64, copy=False)


def among(keys: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """What ``np.isin`` gives; it hashes the others, which takes many times as long where they are millions.

    Shapes: [N], [M], of which there is one at least → [N].

    >>> among(np.array([3, 4], np.uint64), np.array([4, 1], np.uint64)).tolist()
    [False, True]
    """
    known = np.sort(others)
    return np.asarray(known[np.minimum(np.searchsorted(known, keys), len(known) - 1)] == keys)


def _bits(values: NDArray[Any]) -> NDArray[np.uint64]:
    if values.dtype.kind != "f":
        return values.astype(np.int64).view(np.uint64)
    plain = np.where(np.isnan(values), np.nan, values).astype(np.float64) + 0.0  # one NaN, one zero
    return plain.view(np.uint64)


def mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Bits spread over the whole number, one to one.

    Source: Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014 (the finisher of SplitMix64).
    """
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
