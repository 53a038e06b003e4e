"""Dealing: to which part each row goes where no blocks of time are dealt: drawn, by class, group, age or column."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import InvalidConfig, InvalidInput
from staytrue.records import utc
from training.data.distinct import distinct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from staytrue.splitting import SplitSection
    from training.data.rows import Rows

NAMES = ("train", "validation", "test")
"""Of the parts, in the order of their numbers."""
_ORDERS = 16
"""Orders of groups that are drawn; the one whose cuts come nearest to the shares is taken."""


def deal(rows: Rows, settings: SplitSection) -> NDArray[np.int64]:
    """Number of each row's part by any method but blocks. Shapes: [N].

    Raises:
        InvalidInput: fewer rows, groups or times than parts, or a column that does not say which group or part.
    """
    shares = shares_of(settings)
    draw = np.random.default_rng(settings.seed)
    if settings.method == "given":
        return _given(rows, settings)
    if settings.method == "stratified":
        return _stratified(strata_of(rows.target, settings.bins, math.ceil(1 / min(shares))), shares, draw)
    if settings.method == "grouped":
        return _grouped(groups_of(rows, settings.group or ""), shares, draw)
    if settings.method == "time":
        _, moment, sizes = np.unique(rows.time, return_inverse=True, return_counts=True)
        return _cut(sizes, shares, "different times")[moment]
    dealt = _cut(np.ones(len(rows), dtype=np.int64), shares, "rows")
    return draw.permutation(dealt)


def shares_of(settings: SplitSection) -> tuple[float, float, float]:
    """Of all rows, that each part is to get."""
    return 1.0 - settings.validation - settings.test, settings.validation, settings.test


def strata_of(target: NDArray[Any], bins: int, least: int = 1) -> NDArray[np.int64]:
    """Number of each row's class, or of the quantile bin of its number; equal numbers share a bin. Shapes: [N].

    Of several columns [N,K] it is the number of their combination; of one that fewer than ``least`` rows have, the
    number of what is left of it without its commonest column, and so on.
    """
    if target.dtype == object:
        return distinct(target)[1]
    if target.ndim > 1:
        return _combined(np.stack([_few(column, bins) for column in target.T], axis=1), least)
    edges = np.unique(np.quantile(target, np.arange(1, bins) / bins))
    return np.searchsorted(edges, target, side="right").astype(np.int64)


def _combined(columns: NDArray[np.int64], least: int) -> NDArray[np.int64]:
    """Number of each row's combination of columns, or of as many as enough rows share. Shapes: [N,K] → [N].

    The column with the rarest value comes first, as a label that few rows bear: it is given up last.
    """
    rarest = [np.unique(column, return_counts=True)[1].min() for column in columns.T]
    ordered = columns[:, np.argsort(rarest, kind="stable")]
    strata, begin, left = np.zeros(len(columns), dtype=np.int64), 0, np.arange(len(columns))
    for width in range(ordered.shape[1], 0, -1):
        _, place, counts = np.unique(ordered[left, :width], axis=0, return_inverse=True, return_counts=True)
        place = place.reshape(-1)
        enough = counts[place] >= least
        strata[left[enough]] = begin + place[enough]
        begin, left = begin + len(counts), left[~enough]
        if not len(left):
            break
    strata[left] = begin
    return np.unique(strata, return_inverse=True)[1].astype(np.int64)


def _few(column: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """As it is where it has no more values than bins, as labels have."""
    values, places = np.unique(column, return_inverse=True)
    return places.astype(np.int64) if len(values) <= bins else strata_of(column, bins)


def groups_of(rows: Rows, column: str) -> NDArray[np.int64]:
    """Number of each row's group. Shapes: [N].

    Raises:
        InvalidInput: a row without a group.
    """
    named = _mark(rows, column)
    nobody = int((named == "").sum())
    if nobody:
        hint = "give each such row one of its own in data.query, or leave them out there"
        raise InvalidInput(
            f'split.group, column "{column}"', expected="a group in every row", got=f"{nobody} without", hint=hint
        )
    return distinct(named)[1]


def _mark(rows: Rows, column: str) -> NDArray[Any]:
    if column not in rows.marks:
        raise InvalidConfig("split", f'column "{column}" did not come with the rows', hint="collect it with them")
    return rows.marks[column]


def _given(rows: Rows, settings: SplitSection) -> NDArray[np.int64]:
    column = settings.column or ""
    named = _mark(rows, column)
    dealt = np.full(len(rows), -1, dtype=np.int64)
    for number, name in enumerate(NAMES):
        dealt[named == name] = number
    where = f'split.column, column "{column}"'
    if (dealt < 0).any():
        first, count = int(np.argmin(dealt)), int((dealt < 0).sum())
        told = f", and the like in {count - 1} more" if count > 1 else ""
        got = f'"{str(named[first])[:80]}" in row {first} of {utc(float(rows.time[first]))}{told}'
        hint = "rows are counted from 0, after cleaning, in the order of time; mend them in the data or in data.query"
        raise InvalidInput(where, expected="train, validation or test in every row", got=got, hint=hint)
    empty = [name for number, name in enumerate(NAMES) if not (dealt == number).any()]
    if empty:
        raise InvalidInput(where, expected="rows of each part", got=f"none of {', '.join(empty)}")
    return dealt


def _stratified(strata: NDArray[np.int64], shares: Sequence[float], draw: np.random.Generator) -> NDArray[np.int64]:
    """Each part gets its share of each stratum to within a row; what is over goes where most is owed."""
    sizes = np.bincount(strata)
    dealt = np.empty(len(strata), dtype=np.int64)
    order = np.lexsort((draw.random(len(strata)), strata))
    owed, begin = np.zeros(len(shares)), 0
    for size in sizes.tolist():
        wanted = size * np.asarray(shares)
        whole = np.floor(wanted + 1e-9).astype(np.int64)
        owed += wanted - whole
        over = size - int(whole.sum())
        first = (whole == 0) & (np.arange(len(shares)) == 0)  # a class that no row trains on cannot be learnt
        takers = np.lexsort((-np.round(owed, 9), ~first))[:over]
        whole[takers] += 1
        owed[takers] -= 1
        dealt[order[begin : begin + size]] = np.repeat(np.arange(len(shares)), whole)
        begin += size
    if len(np.unique(dealt)) < len(shares):
        got = f"{len(strata)} rows of {len(sizes)} classes or bins, of which the only row trains"
        hint = "take fewer classes or a lower split.bins, or split.method: random"
        raise InvalidInput("split", expected="rows for each part", got=got, hint=hint)
    return dealt


def _grouped(groups: NDArray[np.int64], shares: Sequence[float], draw: np.random.Generator) -> NDArray[np.int64]:
    """Groups in a drawn order, cut where the shares are nearly met; of some orders the best."""
    sizes = np.bincount(groups)
    best, least = np.empty(0, dtype=np.int64), np.inf
    for _ in range(_ORDERS):
        order = draw.permutation(len(sizes))
        dealt = np.empty(len(sizes), dtype=np.int64)
        dealt[order] = _cut(sizes[order], shares, "groups")
        missed = np.abs(np.bincount(dealt, weights=sizes) - len(groups) * np.asarray(shares)).max()
        if missed < least:
            best, least = dealt, float(missed)
    return best[groups]


def _cut(sizes: NDArray[np.int64], shares: Sequence[float], what: str) -> NDArray[np.int64]:
    """Parts of a sequence of groups, each cut where it comes nearest to its share. Shapes: sizes [G] → [G].

    Raises:
        InvalidInput: fewer groups than parts.
    """
    if len(sizes) < len(shares):
        raise InvalidInput("split", expected=f"at least {len(shares)} {what}", got=str(len(sizes)))
    ends = np.concatenate([[0], np.cumsum(sizes)])
    dealt, begin = np.zeros(len(sizes), dtype=np.int64), 0
    for part, share in enumerate(np.cumsum(shares)[:-1], 1):
        nearest = int(np.argmin(np.abs(ends - share * ends[-1])))
        begin = min(max(nearest, begin + 1), len(sizes) - len(shares) + part)  # each part gets a group at least
        dealt[begin:] = part
    return dealt
