"""Neighbours: rows that differ from one of another part in one column; chance makes more of them than of copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training.data.distinct import distinct
from training.data.keys import keys_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data.rows import Rows

WIDE = 64
"""Columns beyond which rows that nearly meet are not counted: it is done for each column."""
MANY = 8
"""What stands in the data more often is a value that rows take, as a station's place is, and not somebody's copy."""
MOST = 5000
"""Rows by which columns that say the same are recognised."""
SAME = 0.999
"""Rank correlation of two numbers that say the same, such as degrees Celsius and Fahrenheit."""


def explained(
    rows: Rows,
    keys: NDArray[np.uint64],
    pair: tuple[NDArray[np.int64], NDArray[np.int64]],
    shared: NDArray[np.bool_],
    *,
    few: int,
    chance: float,
) -> float | None:
    """How many duplicates chance explains at most, where there are more.

    As many as rows that differ in one column, or as those columns that determine the others would give if they had
    nothing to do with each other. Of values that very many rows have nothing is told.

    Shapes: ``pair`` indices of held rows [H] and of others, ``shared`` [H].
    """
    from scipy import stats  # noqa: PLC0415 - it takes seconds to import

    copies = int((shared & rare(keys, *pair)).sum())
    if copies <= few or len(rows.columns) > WIDE:
        return None

    def too_many(most: float) -> bool:
        return copies > most and float(stats.poisson.sf(copies - 1, most)) < chance

    most = coincidences(rows, *pair)
    if too_many(most):
        most = max(most, float(neighbours(rows, keys, *pair).sum()))
    return most if too_many(most) else None


def neighbours(
    rows: Rows, keys: NDArray[np.uint64], held: NDArray[np.int64], others: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which rows of ``held`` have one among ``others`` that differs in one column, or in columns that say the same.

    Whatever columns have to do with each other, rows that take few values meet in all columns but one more often than
    in all of them, unless the one is nearly constant; a copy adds nothing to the former.

    Shapes: ``keys`` [N] of all rows, ``held`` [H] and ``others`` [O] indices → [H].
    """
    has = np.zeros(len(held), dtype=np.bool_)
    alike = _saying_the_same(rows)
    for group in set(alike):
        left = {name: column for name, column in rows.columns.items() if alike[list(rows.columns).index(name)] != group}
        rest = keys_of(left) if left else np.zeros(len(rows), dtype=np.uint64)
        has |= _meets_another(rest[held], keys[held], rest[others], keys[others])
    return has


def coincidences(rows: Rows, held: NDArray[np.int64], others: NDArray[np.int64]) -> float:
    """How many of ``held`` would meet one of ``others`` in all columns by chance, if columns were independent.

    Not all columns count, but so many as determine the others: a sum beside its terms, a date's sine and cosine beside
    it or a station's name beside its place make no row any rarer. Those that tell most are taken first, then those that
    tell least, and the larger of both numbers is it.

    Shapes: ``held`` [H] and ``others`` [O] indices.
    """
    some = rows.take(np.arange(0, len(rows), -(-len(rows) // MOST)))
    codes = [distinct(column)[1] for column in some.columns.values()]
    counts = [np.bincount(code).astype(np.float64) for code in codes]
    total, size = len(np.unique(np.stack(codes), axis=1).T), len(some)
    pairs = max(size * (size - 1), 1)
    meeting = [max(float((count * (count - 1)).sum()), 1.0) / pairs for count in counts]
    most = 0.0
    for order in (np.argsort(meeting), np.argsort(meeting)[::-1]):
        chance, taken, told = 1.0, np.zeros(size, dtype=np.int64), 1
        for place in order:
            joint = np.unique(taken * (int(codes[place].max()) + 1) + codes[place], return_inverse=True)[1]
            if (now := int(joint.max()) + 1) > told:
                chance, taken, told = chance * meeting[place], joint, now
            if told == total:
                break
        most = max(most, len(held) * -float(np.expm1(-len(others) * chance)))
    return most


def rare(keys: NDArray[np.uint64], held: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows of ``held`` stand in both parts together no more than :data:`MANY` times."""
    _, place, counts = np.unique(keys[np.concatenate([held, others])], return_inverse=True, return_counts=True)
    return np.asarray(counts[place[: len(held)]] <= MANY)


def _meets_another(
    rest: NDArray[np.uint64], whole: NDArray[np.uint64], of_rest: NDArray[np.uint64], of_whole: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """Where a row has the rest of another whose whole is not its own."""
    known, place = np.unique(of_rest, return_inverse=True)
    order = np.argsort(place, kind="stable")
    begins = np.searchsorted(place[order], np.arange(len(known)))
    lowest, highest = (cut.reduceat(of_whole[order], begins) for cut in (np.minimum, np.maximum))
    at = np.minimum(np.searchsorted(known, rest), len(known) - 1)
    return np.asarray((known[at] == rest) & ((lowest[at] != whole) | (highest[at] != whole)))


def _saying_the_same(rows: Rows) -> list[int]:
    """A number for each column, the same for those that determine each other. Shapes: [columns]."""
    some = rows.take(np.arange(0, len(rows), -(-len(rows) // MOST)))
    codes = [distinct(column)[1] for column in some.columns.values()]
    columns = list(some.columns.values())
    groups = list(range(len(codes)))
    for place, code in enumerate(codes):
        for before in range(place):
            if groups[before] == before and _same(columns[before], columns[place], codes[before], code):
                groups[place] = before
                break
    return groups


def _same(one: NDArray[Any], other: NDArray[Any], codes: NDArray[np.int64], more: NDArray[np.int64]) -> bool:
    """Numbers that rise and fall together, or names of which each goes with one name.

    Numbers of which each merely goes with one number do not count: of copies that would be so as well.
    """
    if one.dtype.kind == other.dtype.kind == "f":
        from scipy import stats  # noqa: PLC0415 - it takes seconds to import

        both = np.isfinite(one) & np.isfinite(other)
        if both.sum() < 3 or len(np.unique(one[both])) < 2 or len(np.unique(other[both])) < 2:
            return False
        return abs(float(stats.spearmanr(one[both], other[both]).statistic)) >= SAME
    if "f" in one.dtype.kind + other.dtype.kind:
        return False
    pairs = len(np.unique(codes * (int(more.max()) + 1) + more))
    return int(codes.max()) + 1 == pairs == int(more.max()) + 1
