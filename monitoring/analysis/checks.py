"""Checks of the data itself, before any statistic: each column has its verdict, and one column never costs the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from staytrue.windows import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from monitoring.analysis.rows import WindowRows
    from staytrue.profile import ReferenceColumn, ReferenceProfile

MISSING_MORE = 0.05
"""Missing rates that rise by more than five points are worth a word; by more than fifty, the column is unfit."""
NEW_CATEGORY_SHARE = 0.01
OUTSIDE_SHARE = 0.5
ENOUGH_ROWS = 24


def check(rows: WindowRows, profile: ReferenceProfile) -> list[Check]:
    """Every check that has something to say, and one ``ok`` a column that has nothing."""
    if not len(rows):
        return [Check(name="volume", verdict="warn", detail="no rows")]
    found: list[Check] = []
    for column in profile.columns:
        values = rows.columns.get(column.name)
        said = [Check(name="schema", column=column.name, verdict="fail", detail="the column is not there")]
        if values is not None:
            said = list(_numeric(column, values) if column.kind == "numeric" else _category(column, values))
        found += said or [Check(name="column", column=column.name, verdict="ok")]
    return found


def _numeric(column: ReferenceColumn, values: NDArray[Any]) -> Iterator[Check]:
    reference = np.array(column.values, dtype=np.float64)
    yield from _missing(column.name, np.isnan(values), np.isnan(reference))
    infinite = float(np.isinf(values).mean())
    if infinite:
        yield _said("infinite", column.name, "warn", f"{infinite:.1%} of the values are infinite", infinite)
    there, usual = values[np.isfinite(values)], reference[np.isfinite(reference)]
    if len(there) >= ENOUGH_ROWS and len(usual):
        if np.ptp(there) == 0 < np.ptp(usual):
            yield _said("constant", column.name, "warn", f"every value is {there[0]:g}", float(there[0]))
        outside = float(((there < usual.min()) | (there > usual.max())).mean())
        if outside > OUTSIDE_SHARE:
            text = f"{outside:.0%} of the values lie outside {usual.min():g} to {usual.max():g}"
            yield _said("range", column.name, "warn", text, outside)


def _category(column: ReferenceColumn, values: NDArray[Any]) -> Iterator[Check]:
    gone = np.array([value is None for value in values], dtype=bool)
    usual_gone = np.array([value is None for value in column.values], dtype=bool)
    yield from _missing(column.name, gone, usual_gone)
    known = {value for value in column.values if value is not None}
    there = [value for value in values if value is not None]
    new = sorted({str(value) for value in there if value not in known})
    if new:
        share = sum(value not in known for value in there) / len(there)
        verdict: Literal["ok", "warn"] = "warn" if share > NEW_CATEGORY_SHARE else "ok"
        text = f"{share:.1%} of the values are new: {', '.join(new[:5])}"
        yield _said("new_category", column.name, verdict, text, share)
    if len(there) >= ENOUGH_ROWS and len(set(there)) == 1 and len(known) > 1:
        yield _said("constant", column.name, "ok", f"every value is {there[0]}", 1.0)


def _missing(name: str, gone: NDArray[np.bool_], usual: NDArray[np.bool_]) -> Iterator[Check]:
    share, before = float(gone.mean()), float(usual.mean()) if len(usual) else 0.0
    if share - before > MISSING_MORE:
        verdict: Literal["warn", "fail"] = "fail" if share - before > 10 * MISSING_MORE else "warn"
        yield _said("missing", name, verdict, f"{share:.1%} missing, {before:.1%} in the reference", share)


def _said(name: str, column: str, verdict: Literal["ok", "warn", "fail"], detail: str, value: float) -> Check:
    return Check(name=name, column=column, verdict=verdict, detail=detail, value=value)
