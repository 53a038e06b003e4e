"""Edges: rows at the edges of what callers may send a foreign model, and which of its rows no proof can be held to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from export.example import edges_of
from export.importing.rows import alike, joined
from export.pool import Pool
from staytrue.errors import CorruptData
from staytrue.signature import MISSING_TEXT, NUMPY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from export.importing.rows import Arrays
    from export.importing.scale import Scales
    from staytrue.sections import ExportSection
    from staytrue.signature import Signature, TensorSpec

MOST_RUNS = 64
"""Of single rows."""
MOST_BATCHES = 4
"""Of one size above: each holds other rows as long as there are any."""
LAST_DIGITS = 8
"""How far numbers are moved to see whether an answer hangs on their last digits: in steps of their datatype."""


@dataclass(frozen=True)
class Drawn:
    """Rows that a foreign model is proven on: a pool, for :class:`export.trial.Trial`."""

    signature: Signature
    rows: Sequence[Arrays]
    edge_rows: Sequence[Arrays]
    left_out: int
    """Edge rows and made-up ones that prove nothing."""

    def batches(self, batch: int, most: int = MOST_BATCHES) -> list[Pool]:
        """Edge rows and real ones in turn, so that every batch meets both; those of one shape where there are more."""
        each = self._in_turn()
        if batch == 1:
            some = each[: MOST_RUNS if most == MOST_BATCHES else most]
            return [Pool(joined(self.signature, [row]), np.array([real])) for row, real in some]
        real = {id(row): whether for row, whether in each}
        pool = alike([row for row, _ in each])
        count = max(1, min(most, len(pool) // batch))
        taken = [pool[place % len(pool)] for place in range(count * batch)]
        parts = [taken[at : at + batch] for at in range(0, len(taken), batch)]
        return [Pool(joined(self.signature, part), np.array([real[id(row)] for row in part])) for part in parts]

    def _in_turn(self) -> list[tuple[Arrays, bool]]:
        edge = [(place, 0, row, False) for place, row in enumerate(self.edge_rows)]
        own = [(place, 1, row, True) for place, row in enumerate(self.rows)]
        return [(row, real) for _, _, row, real in sorted(edge + own, key=lambda one: one[:2])]


def edge_rows(signature: Signature, base: Arrays) -> list[Arrays]:
    """Rows at the edges: all inputs together, then each by itself at its first edge, the others as in ``base``.

    What all rows of a request share stays as it is there. Whole numbers of 32 bits and more may count steps, or what is
    to be made room for: without a range or categories they are -1, 0 and 1.
    """
    own = {spec.name: _edges(spec, base[spec.name]) for spec in signature.inputs if _varies(signature, spec)}
    together = max(map(len, own.values()), default=0)
    made = [base | {name: each[place % len(each)] for name, each in own.items()} for place in range(together)]
    return made + ([base | {name: each[0]} for name, each in own.items()] if len(own) > 1 else [])


def steady(run: Callable[[Arrays], Arrays], row: Arrays, scales: Scales, settings: ExportSection) -> bool:
    """Whether a model answers alike, within the tolerances, where the last digits of its inputs are others.

    Where it does not, as recurrent cells on long noise, no two ways to compute it agree, and neither is right.
    """
    draw, moved = np.random.default_rng(0), dict(row)
    for name, array in row.items():
        if array.dtype.kind == "f":
            step = LAST_DIGITS * np.finfo(array.dtype).eps
            moved[name] = (array * (1 + step * draw.uniform(-1, 1, array.shape))).astype(array.dtype)
    try:
        scales.compare(run(row), run(moved), settings, "")
    except CorruptData:
        return False
    return True


def _varies(signature: Signature, spec: TensorSpec) -> bool:
    return signature.rows == "none" or signature.row_axis(spec) is not None


def _edges(spec: TensorSpec, base: NDArray[Any]) -> list[NDArray[Any]]:
    made = []
    for value in _values(spec, base.size):
        array = np.empty(base.shape, dtype=NUMPY[spec.datatype])
        array.ravel()[:] = value
        made.append(array if array.ndim else np.array(value, dtype=array.dtype))
    return made


def _values(spec: TensorSpec, size: int) -> list[Any]:
    kind = NUMPY[spec.datatype].kind
    if kind == "f":
        return [*dict.fromkeys([0.0, *map(float, spec.range)]), np.nan] if spec.range else edges_of(spec, size)
    if kind in "iu" and (spec.categories or spec.range or NUMPY[spec.datatype].itemsize > 2):
        told = [*spec.known(), *map(int, spec.range)]
        return list(dict.fromkeys(told or ([0, 1] if kind == "u" else [0, 1, -1])))
    return edges_of(spec, size) if spec.datatype != "BYTES" else [MISSING_TEXT, *edges_of(spec, size)[1:]]


def usable_edges(
    signature: Signature, rows: Sequence[Arrays], run: Callable[[Arrays], Arrays], fit: Callable[[Arrays], bool]
) -> tuple[list[Arrays], int]:
    """Edge rows that the model takes and that ``fit``, and how many others there are.

    Args:
        rows: the first of those that most resemble is what edges are put into.
    """
    kept, count = list[dict[str, Any]](), 0
    for row in edge_rows(signature, alike(rows)[0]):
        count += 1
        try:
            run(row)
        except Exception:  # noqa: BLE001, S112 - whatever runs it has its own classes
            continue
        if fit(row):
            kept.append(row)
    return kept, count - len(kept)
