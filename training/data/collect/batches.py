"""Batches: rows of Python values, one after the other, as a table of DuckDB's."""

from __future__ import annotations

import datetime
import itertools
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import duckdb

ROWS = 20_000
_KINDS: tuple[tuple[set[str], Any], ...] = (
    ({"bool"}, pa.bool_()),
    ({"int"}, pa.int64()),
    ({"int", "float"}, pa.float64()),
    ({"bytes"}, pa.binary()),
    ({"date"}, pa.date32()),
    ({"datetime", "date"}, pa.timestamp("us")),
    ({"time"}, pa.time64("us")),
)


def arrow_type(kinds: set[str]) -> Any:
    """The narrowest type for values of these kinds of Python's; text where they have nothing in common.

    >>> str(arrow_type({"int", "float"})), str(arrow_type({"int", "str"})), str(arrow_type(set()))
    ('double', 'string', 'string')
    """
    return next((made for fitting, made in _KINDS if kinds and kinds <= fitting), pa.string())


def create(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[str],
    types: Sequence[Any],
    rows: Iterable[Sequence[Any]],
    size: int = ROWS,
) -> None:
    """Make a table of rows; only one batch of them is in memory."""
    schema = pa.schema(list(zip(columns, types, strict=True)))

    def batches() -> Iterator[Any]:
        going = iter(tqdm(rows, desc=table, unit=" rows", delay=2, disable=None, leave=False))
        while chunk := list(itertools.islice(going, size)):
            arrays = [_array(values, made) for values, made in zip(zip(*chunk, strict=True), types, strict=True)]
            yield pa.record_batch(arrays, schema=schema)

    connection.from_arrow(pa.RecordBatchReader.from_batches(schema, batches())).create(table)


def _array(values: Sequence[Any], made: Any) -> Any:
    if pa.types.is_string(made):
        return pa.array([_text(value) for value in values], type=made)
    if pa.types.is_timestamp(made):
        return pa.array([_moment(value) for value in values], type=made)
    return pa.array(values, type=made)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)


def _moment(value: Any) -> Any:
    whole = not isinstance(value, datetime.datetime) and isinstance(value, datetime.date)
    return datetime.datetime.combine(value, datetime.time()) if whole else value
