"""Pool: the rows that an artefact is proven on, edge rows and real ones mixed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from staytrue.signature import Signature

    Arrays = dict[str, NDArray[Any]]

MOST_RUNS = 32
"""Of one batch size: enough for many edge rows and real ones even one by one."""


class Pool(NamedTuple):
    """Rows as callers send them, and which of them are real. Shapes: ``rows[name]`` [N,…], ``real`` [N]."""

    rows: Arrays
    real: NDArray[np.bool_]

    @classmethod
    def of(cls, edges: Mapping[str, NDArray[Any]], rows: Mapping[str, NDArray[Any]], signature: Signature) -> Pool:
        """Edge rows and real ones in turn, so that every batch size meets both, then the rest."""
        first, second = (np.arange(len(next(iter(part.values())))) for part in (edges, rows))
        order = np.argsort(np.concatenate([2 * first, 2 * second + 1]))
        mixed = {spec.name: np.concatenate([edges[spec.name], rows[spec.name]])[order] for spec in signature.inputs}
        return cls(mixed, (np.arange(len(order)) >= len(first))[order])

    def __len__(self) -> int:
        return len(self.real)

    def take(self, index: NDArray[np.int64]) -> Pool:
        """The rows of an index."""
        return Pool({name: array[index] for name, array in self.rows.items()}, self.real[index])

    def batches(self, batch: int, most: int = MOST_RUNS) -> list[Pool]:
        """Batches of a size, the rows repeated where there are too few."""
        parts = max(1, min(most, len(self) // batch))
        index = np.arange(parts * batch) % len(self)
        return [self.take(index[p * batch : (p + 1) * batch]) for p in range(parts)]


def sha256_of(parts: Iterable[Mapping[str, NDArray[Any]]]) -> str:
    """Of rows, as they are sent one batch after the other."""
    hasher = hashlib.sha256()
    for part in parts:
        for name, array in part.items():
            hasher.update(f"{name}:{array.dtype}:{list(array.shape)};".encode())
            flat = "\x1f".join(map(str, array.ravel())).encode() if array.dtype == object else array.tobytes()
            hasher.update(flat)
    return hasher.hexdigest()
