"""Distinct values of a column, and the place of each row's among them; texts by way of Arrow's dictionaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray


def distinct(column: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """What ``np.unique`` gives with ``return_inverse``; it would sort a million texts, this the different ones alone.

    Shapes: [N] → [K] in order, [N].

    >>> values, places = distinct(np.array(["b", "a", "b"], dtype=object))
    >>> values.tolist(), places.tolist()
    (['a', 'b'], [1, 0, 1])
    """
    coded = _coded(column) if column.dtype == object else None
    if coded is None:
        values, places = np.unique(column, return_inverse=True)
        return values, places.astype(np.int64, copy=False)
    found = coded.dictionary.to_numpy(zero_copy_only=False)
    order = np.argsort(found)
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return found[order], ranks[coded.indices.to_numpy()]


def counted(column: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """What ``np.unique`` gives with ``return_counts``. Shapes: [N] → [K] in order, [K]."""
    if column.dtype != object:
        return np.unique(column, return_counts=True)
    values, places = distinct(column)
    return values, np.bincount(places, minlength=len(values))


def _coded(column: NDArray[Any]) -> pa.DictionaryArray | None:
    """Its dictionary; None where not all of it are texts that can be written."""
    try:
        coded = pa.array(column, type=pa.large_string()).dictionary_encode()
    except (pa.ArrowException, UnicodeError):
        return None
    return None if coded.null_count else coded
