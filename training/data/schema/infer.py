"""Infer: a schema from the rows that train, for people to correct."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa

from staytrue.records import utc
from training.data.clean.cleaning import is_missing
from training.data.collect.reading import quoted
from training.data.files import arrow
from training.data.rows import learnable
from training.data.schema.schema import ColumnSchema, Schema

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.feature import Feature
    from staytrue.preparation import DataSection
    from training.data.rows import TrainingRows
    from training.data.schema.schema import Kind

CATEGORIES = 50
"""A column with more different values than this gets no list of those allowed."""
MARGIN = 0.5
"""Ranges reach beyond the values seen by this share of their span: other rows of the same kind go a little further."""
_DIGITS = 6
_WHOLE: dict[str, Kind] = {"image": "picture", "date": "time", "text": "text", "sequence": "sequence"}
"""Kinds of features that have neither range nor categories, and what they are in a schema."""


def infer(
    rows: TrainingRows, data: DataSection, *, categories: int = CATEGORIES, margin: float = MARGIN
) -> tuple[Schema, dict[str, str]]:
    """The schema of time, target and features, and for each column what was seen.

    Types come from what the features are, ranges and categories from the training rows alone. A range that begins at
    or above 0 stays there: a count or a share does not turn negative.
    """
    seen = learnable(rows)
    columns: dict[str, ColumnSchema] = {data.time: ColumnSchema(type="time")}
    notes: dict[str, str] = {}
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        named = {data.target: seen.target, **{name: seen.columns[name] for name in data.features}}
        for name, values in named.items():
            feature = data.features.get(name)
            unit = feature.unit if feature else ""
            if feature is not None and feature.kind in _WHOLE:
                columns[name], told = _present(values, feature)
                notes |= {name: told} if told else {}
                continue
            listed = values.dtype == object or (feature is not None and feature.kind == "category")
            table = connection.from_arrow(pa.table({name: arrow(values)}))
            made = _categories if listed else _range
            column, notes[name] = made(table, name, values, unit, categories if listed else margin)
            # These rows are clean: what becomes of one without a target is a setting of cleaning's, no fault of a load.
            columns[name] = column.model_copy(update={"missing": True}) if name == data.target else column
    return Schema(columns=columns), notes


def _present(values: NDArray[Any], feature: Feature) -> tuple[ColumnSchema, str]:
    """Of what has neither range nor categories: whether it may be missing; of dates the span is told."""
    gone = is_missing(values)
    span = ""
    if feature.kind == "date" and not gone.all():
        span = f"{utc(float(values[~gone].min()))} to {utc(float(values[~gone].max()))} in the rows that train"
    note = ", ".join(filter(None, [span, _told(float(gone.mean())).removeprefix(", ")]))
    return ColumnSchema(type=_WHOLE[feature.kind], unit=feature.unit, missing=bool(gone.any())), note


def _categories(table: Any, name: str, values: NDArray[Any], unit: str, limit: float) -> tuple[ColumnSchema, str]:
    column = quoted(name)
    sql = f"SELECT {column} AS v, count(*) AS n FROM seen WHERE {column} IS NOT NULL GROUP BY v ORDER BY v"  # noqa: S608
    counted = table.query("seen", f"{sql} LIMIT {int(limit) + 1}").fetchall()
    few = 0 < len(counted) <= limit
    missing = _missing(table, column)
    note = f"{len(counted) if few else f'more than {limit:g}'} different values{_told(missing)}"
    kind: Any = "text" if values.dtype == object else "whole number"
    allowed = [value for value, _ in counted] if few else None
    return ColumnSchema(type=kind, unit=unit, missing=missing > 0, categories=allowed), note


def _range(table: Any, name: str, values: NDArray[Any], unit: str, margin: float) -> tuple[ColumnSchema, str]:
    column = quoted(name)
    low, high = table.query("seen", f"SELECT min({column}), max({column}) FROM seen").fetchall()[0]  # noqa: S608
    missing = _missing(table, column)
    kind: Any = "whole number" if values.dtype == np.int64 else "number"
    if low is None:
        return ColumnSchema(type=kind, unit=unit, missing=True), "no value at all"
    more = margin * ((high - low) or abs(high) or 1.0)
    bounds = [_rounded(low - more, math.floor), _rounded(high + more, math.ceil)]
    wider = f"the range is wider by {margin:.0%} each side"
    if low >= 0 > bounds[0]:
        bounds[0], wider = 0.0, f"{wider}, but not below 0: correct it where less may come"
    note = f"{low:.6g} to {high:.6g} in the rows that train{_told(missing)}; {wider}"
    return ColumnSchema(type=kind, unit=unit, missing=missing > 0, minimum=bounds[0], maximum=bounds[1]), note


def _missing(table: Any, column: str) -> float:
    """Share of values that are missing."""
    share = table.query("seen", f"SELECT avg(CASE WHEN {column} IS NULL THEN 1 ELSE 0 END) FROM seen")  # noqa: S608
    return float(share.fetchall()[0][0] or 0)


def _told(missing: float) -> str:
    return f", {missing:.2%} missing" if missing else ""


def _rounded(value: float, outward: Any) -> float:
    """To six digits, away from the values seen.

    >>> _rounded(0.12345678, math.floor), _rounded(-12.0, math.floor)
    (0.123456, -12.0)
    """
    if not value:
        return 0.0
    scale = 10.0 ** (_DIGITS - 1 - math.floor(math.log10(abs(value))))
    return float(f"{outward(round(value * scale, 6)) / scale:.{_DIGITS + 1}g}")
