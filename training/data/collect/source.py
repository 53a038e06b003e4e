"""Collect: a file or a query becomes rows, with a fingerprint of what was read."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import numpy as np

from staytrue.errors import InvalidConfig, InvalidInput, NotFound, Unsupported
from training.data.rows import Rows, from_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.preparation import DataSection
    from training.data.rows import Task

_READERS = {".csv": "read_csv", ".parquet": "read_parquet"}


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """What was read: goes with every run."""

    source: str
    columns: dict[str, str]
    """Name → type, as DuckDB names it."""
    rows: int
    sha256: str
    """Of the content of the rows, not of the file: the same rows from another file are the same data."""


def collect(data: DataSection, task: Task = "regression", marks: Sequence[str] = ()) -> tuple[Rows, Fingerprint]:
    """Read the source through its query; ``marks`` are further columns that the split goes by.

    Raises:
        NotFound: no such file.
        InvalidConfig: the query fails, or a column is not there; says which there are.
        InvalidInput: a value that does not fit its column's kind.
    """
    table, types = _fetch(data)
    for name in (data.time, data.target, *data.features, *marks):
        if name not in table:
            raise InvalidConfig(
                "data", f'no column "{name}" in the query\'s result', hint=f"there are {', '.join(types)}"
            )
    where = data.source.name
    rows = from_table(table, data, _seconds(table[data.time], data.time, where), where, task, marks)
    if not len(rows):
        raise InvalidInput(where, expected="at least one row", got="none")
    return rows, Fingerprint(source=where, columns=types, rows=len(rows), sha256=rows.digest())


def _fetch(data: DataSection) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    reader = _READERS.get(data.source.suffix.lower())
    if reader is None:
        raise Unsupported(str(data.source), expected=" or ".join(_READERS), got=data.source.suffix or "no suffix")
    if not data.source.is_file():
        raise NotFound(str(data.source), "is no file", hint="data.source is relative to staytrue.yaml")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        relation = f"{reader}({_quoted(data.source)})"
        try:
            connection.execute(f"CREATE TEMP VIEW source AS SELECT * FROM {relation}")  # noqa: S608 - a quoted path
        except duckdb.Error as error:
            raise InvalidInput(str(data.source), f"cannot be read: {str(error).splitlines()[0]}") from error
        try:
            result = connection.execute(data.query)
        except duckdb.Error as error:
            raise InvalidConfig("data.query", str(error).splitlines()[0]) from error
        types = {column[0]: str(column[1]) for column in result.description}
        return result.fetchnumpy(), types


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _seconds(values: NDArray[Any], name: str, where: str) -> NDArray[np.float64]:
    """Unix seconds of a column of timestamps or of ISO 8601 texts, UTC where they say nothing else."""
    place = f'{where}, time column "{name}"'
    if np.ma.getmaskarray(values).any():
        raise InvalidInput(
            place, expected="a time in every row", got=f"{int(np.ma.getmaskarray(values).sum())} without"
        )
    plain = np.ma.getdata(values)
    if plain.dtype.kind == "M":
        return plain.astype("datetime64[us]").astype(np.int64) / 1e6
    if plain.dtype != object:
        raise InvalidInput(place, expected="a timestamp or an ISO 8601 text", got=str(plain.dtype))
    return np.array([_moment(value, place) for value in plain], dtype=np.float64)


def _moment(value: object, place: str) -> float:
    try:
        moment = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(str(value))
    except ValueError as error:
        raise InvalidInput(place, expected="a timestamp or an ISO 8601 text", got=repr(value)[:80]) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
