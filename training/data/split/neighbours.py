"""Neighbours: rows that differ from one of another part in one column; chance makes more of them than of copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training.data.distinct import distinct
from training.data.keys import codes_of, parts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.data.rows import Rows

    Sides = tuple[NDArray[np.int64], NDArray[np.int64]]

WIDE = 64
"""Columns beyond which rows that nearly meet are not counted: it is done for each column."""
MANY = 8
"""What stands in the data more often is a value that rows take, as a station's place is, and not somebody's copy."""
MOST = 5000
"""Rows by which columns that say the same are recognised."""
SAME = 0.999
"""Rank correlation of two numbers that say the same, such as degrees Celsius and Fahrenheit."""


def explained(
    rows: Rows, keys: NDArray[np.uint64], pairs: Sequence[Sides], copies: Sequence[int], *, few: int, chance: float
) -> list[float | None]:
    """Of each pair how many duplicates chance explains at most, where there are more.

    As many as rows that differ in one column, or as those columns that determine the others would give if they had
    nothing to do with each other. Of values that very many rows have nothing is told: ``copies`` are :func:`rare`.

    Shapes: each pair indices of held rows [H] and of others.
    """
    from scipy import stats  # noqa: PLC0415 - it takes seconds to import

    found: list[float | None] = [None] * len(pairs)
    if len(rows.columns) > WIDE:
        return found

    def too_many(place: int, most: float) -> bool:
        count = copies[place]
        return count > max(few, most) and float(stats.poisson.sf(count - 1, most)) < chance

    least = {place: coincidences(rows, *pairs[place]) for place, count in enumerate(copies) if count > few}
    asked = [place for place, most in least.items() if too_many(place, most)]
    for place, near in zip(asked, neighbours(rows, keys, [pairs[place] for place in asked]), strict=True):
        most = max(least[place], float(near.sum()))
        found[place] = most if too_many(place, most) else None
    return found


def neighbours(rows: Rows, keys: NDArray[np.uint64], pairs: Sequence[Sides]) -> list[NDArray[np.bool_]]:
    """Which held rows of each pair have one among the others that differs in one column, or in such as say the same.

    Whatever columns have to do with each other, rows that take few values meet in all columns but one more often than
    in all of them, unless the one is nearly constant; a copy adds nothing to the former. Whoever meets more others in
    the rest of the columns than in all of them meets one that differs. Each column is looked at once for all pairs.

    Shapes: ``keys`` [N] by all columns (:func:`training.data.keys.keys_of`), each pair indices [H] and [O] → [H] each.
    """
    has = [np.zeros(len(held), dtype=np.bool_) for held, _ in pairs]
    if not pairs:
        return has
    wholes = codes_of(keys)
    in_all = [np.bincount(wholes[others], minlength=len(keys))[wholes[held]] for held, others in pairs]
    groups = dict(zip(rows.columns, _saying_the_same(rows), strict=True))
    rests: dict[int, NDArray[np.uint64]] = {}
    left = list(groups.values())
    for name, part in parts_of(rows.columns):
        group = groups[name]
        rests[group] = rests.get(group, keys) - part
        left.remove(group)
        if group not in left:
            codes = codes_of(rests.pop(group))
            for near, whole, (held, others) in zip(has, in_all, pairs, strict=True):
                np.logical_or(near, np.bincount(codes[others], minlength=len(keys))[codes[held]] > whole, out=near)
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


def rare(codes: NDArray[np.int64], held: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows of ``held`` stand in both parts together no more than :data:`MANY` times. Shapes: codes [N]."""
    counts = np.bincount(codes[np.concatenate([held, others])], minlength=int(codes.max()) + 1)
    return np.asarray(counts[codes[held]] <= MANY)


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
