"""Clean: what is done to rows before they are split, each step counted."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from staytrue.errors import InvalidInput
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT
from training.data import mapped
from training.data.keys import keys_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.preparation import CleaningSection
    from training.data.rows import Rows


class CleaningReport(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows or values each step touched."""

    rows_before: int
    rows_after: int
    duplicates: int
    missing_target: int
    infinite: dict[str, int]
    """Values of each column that were infinite, and count as missing from here on."""
    missing: dict[str, int]
    """Missing values of each column among the rows that stay."""
    dropped_for_missing_features: int


def clean(rows: Rows, settings: CleaningSection) -> tuple[Rows, CleaningReport]:
    """The rows that stay, and the report.

    Raises:
        InvalidInput: a step set to ``fail`` found something, or too large a share of rows would be dropped.
    """
    before = len(rows)
    rows, infinite = _without_infinities(rows)
    repeated = duplicates(rows)
    rows, n_duplicates = _apply(rows, repeated, settings.duplicates, "duplicates")
    rows, n_targets = _apply(rows, without_target(rows), settings.missing_target, "missing_target")
    gaps = {name: is_missing(column) for name, column in rows.columns.items()}
    any_gap = np.logical_or.reduce(list(gaps.values()))
    rows, n_features = _apply(rows, any_gap, settings.missing_features, "missing_features")
    dropped = before - len(rows)
    if dropped > settings.max_dropped * before or not len(rows):
        raise InvalidInput(
            "cleaning",
            expected=f"at most {settings.max_dropped:.0%} of {before} rows dropped",
            got=f"{dropped} ({n_duplicates} duplicates, {n_targets} without target, {n_features} with gaps)",
            hint=_advice(n_duplicates, n_targets, n_features, before),
        )
    return rows, CleaningReport(
        rows_before=before,
        rows_after=len(rows),
        duplicates=int(repeated.sum()),
        missing_target=n_targets,
        infinite=infinite,
        missing={name: int(is_missing(column).sum()) for name, column in rows.columns.items()},
        dropped_for_missing_features=n_features,
    )


def _advice(duplicates: int, targets: int, features: int, rows: int) -> str:
    """What to do where too many rows would be dropped, by why most of them are."""
    most = max(duplicates, targets, features)
    if most == targets:
        what = "look at how data.target is read: a column that is empty or a word for what is missing has no value"
    elif most == features:
        what = "let rows with gaps stay (cleaning.missing_features: keep), or leave sparse features out"
    else:
        what = "look at whether a source or a join repeats rows"
    return what if most == rows else f"{what}; cleaning.max_dropped lets more go"


def clean_served(rows: Rows, settings: CleaningSection) -> tuple[Rows, dict[str, int]]:
    """Served rows by the same policies as the project's own, and how many values or rows each step touched.

    Where a gap fails a run it only leaves out a served row: one odd request must not end every later retraining.
    """
    rows, infinite = _without_infinities(rows)
    gaps = np.logical_or.reduce([is_missing(column) for column in rows.columns.values()])
    policy = "impute" if settings.missing_features == "impute" else "drop"
    rows, dropped = _apply(rows, gaps, policy, "missing_features")
    touched = {f"infinite values of {name}": count for name, count in infinite.items()}
    return rows, touched | ({"rows with missing features": dropped} if dropped else {})


def is_missing(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values of a raw column are missing; of pictures, those that lack a part; of texts and sequences, empty."""
    return mapped.by_parts(_missing, column) if column.ndim > 1 else _missing(column)


def _missing(column: NDArray[Any]) -> NDArray[np.bool_]:
    if column.ndim == 2:
        return ~np.asarray(column.any(axis=1), dtype=np.bool_)
    if column.ndim == 3:
        return np.asarray(np.isnan(column).all(axis=(1, 2)), dtype=np.bool_)
    if column.ndim > 1:
        whole = np.zeros(len(column), dtype=np.bool_)
        return np.isnan(column).any(axis=(1, 2, 3)) if column.dtype.kind == "f" else whole
    if column.dtype == object:
        return np.asarray(column == MISSING_TEXT, dtype=np.bool_)
    gone = column == MISSING_INTEGER if column.dtype == np.int64 else np.isnan(column)
    return np.asarray(gone, dtype=np.bool_)


def without_target(rows: Rows) -> NDArray[np.bool_]:
    """Which rows have no truth: none that is a number which FP32 holds, or no text, in any of its columns."""
    if rows.target.dtype == object:
        return is_missing(rows.target)
    there: NDArray[np.bool_] = (np.abs(rows.target.reshape(len(rows), -1)) <= np.finfo(np.float32).max).all(axis=1)
    return ~there


def duplicates(rows: Rows) -> NDArray[np.bool_]:
    """Which rows repeat an earlier one in every column: features, time, target, and marks that a split goes by.

    Missing values are alike.
    """
    columns = [rows.time, *rows.columns.values(), rows.target, *rows.marks.values()]
    keys = keys_of({str(place): column for place, column in enumerate(columns)})
    _, firsts, groups = np.unique(keys, return_index=True, return_inverse=True)
    earlier = firsts[groups]
    repeated = np.flatnonzero(earlier != np.arange(len(rows)))
    # Keys find them, values tell: two rows may have one key by chance.
    same = np.logical_and.reduce([_same(column, repeated, earlier[repeated]) for column in columns])
    found = np.zeros(len(rows), dtype=np.bool_)
    found[repeated[same]] = True
    return found


def _same(column: NDArray[Any], some: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows of a column are equal to others of it. Shapes: [N,…], [M], [M] → [M]."""
    found = np.ones(len(some), dtype=np.bool_)
    for part in mapped.parts(column, len(some)):
        found[part] = _alike(column[some[part]], column[others[part]])
    return found


def _alike(some: NDArray[Any], others: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows are equal, NaN too, pictures in all their values."""
    equal = some == others
    if some.dtype.kind == "f":
        equal |= np.isnan(some) & np.isnan(others)
    return np.asarray(equal.all(axis=tuple(range(1, equal.ndim))), dtype=np.bool_)


def _without_infinities(rows: Rows) -> tuple[Rows, dict[str, int]]:
    columns, counts = dict(rows.columns), {}
    for name, column in rows.columns.items():
        count = 0 if column.dtype.kind != "f" else sum(int(np.isinf(column[p]).sum()) for p in mapped.parts(column))
        if count:
            counts[name] = count
            columns[name] = mapped.changed(_finite, column, rows.share)
    return dataclasses.replace(rows, columns=columns), counts


def _finite(column: NDArray[Any]) -> NDArray[Any]:
    return np.where(np.isinf(column), np.float32(np.nan), column)


def _apply(rows: Rows, found: NDArray[np.bool_], policy: str, step: str) -> tuple[Rows, int]:
    """Rows after a step's policy, and how many it dropped."""
    count = int(found.sum())
    if count and policy == "fail":
        raise InvalidInput(f"cleaning.{step}", expected="none (policy: fail)", got=f"{count} of {len(found)} rows")
    return (rows.take(~found), count) if count and policy == "drop" else (rows, 0)
