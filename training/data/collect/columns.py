"""Columns: a table of DuckDB's, taken into memory one column at a time; times as Unix seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from staytrue.errors import InvalidInput
from training.data.collect.reading import quoted
from training.data.dates import moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from training.data.collect.reading import Reading

_ROWS = 5
"""Rows that a message names."""
_VECTOR = 2048
"""Rows that DuckDB reads at once, whatever it is asked for."""
MOMENTS = "a timestamp or an ISO 8601 text"


class Columns(Mapping[str, "NDArray[Any]"]):
    """Each is read when it is asked for, so that only one is in memory in DuckDB's form."""

    def __init__(self, reading: Reading, table: str) -> None:
        self._connection, self._table, self._names = reading.connection, quoted(table), list(reading.columns(table))

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(name)
        selected = f"SELECT {quoted(name)} AS found FROM {self._table}"  # noqa: S608 - quoted
        values: NDArray[Any] = self._connection.execute(selected).fetchnumpy()["found"]
        return values

    def before(self, name: str, row: int) -> str:
        """What the source has in a column and row of the result; empty where that cannot be told."""
        made = f"SELECT CAST({quoted(name)} AS VARCHAR), (SELECT count(*) FROM source) FROM source LIMIT 1 OFFSET {row}"  # noqa: S608 - quoted
        try:
            found = self._connection.execute(made).fetchone()
            rows = self._connection.execute(f"SELECT count(*) FROM {self._table}").fetchone()  # noqa: S608 - quoted
        except duckdb.Error:
            return ""
        same = found is not None and rows is not None and found[1] == rows[0]  # else rows have other places there
        return str(found[0] or "")[:80] if same and found else ""

    def parts(self, name: str, rows: int) -> Iterator[NDArray[Any]]:
        """A column in parts of about so many rows, in order; as one where a column hides the number that rows have."""
        if "rowid" in map(str.lower, self._names):
            yield self[name]
            return
        yield from (found["found"] for found in self._parts(quoted(name), rows))

    def numbered(self, name: str, rows: int) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
        """The same with the numbers of the rows, which are not one after the other where some were set aside."""
        yield from ((found["place"], found["found"]) for found in self._parts(f"rowid AS place, {quoted(name)}", rows))

    def _parts(self, selected: str, rows: int) -> Iterator[dict[str, NDArray[Any]]]:
        step = max(1, rows // _VECTOR) * _VECTOR
        last = self._connection.execute(f"SELECT max(rowid) FROM {self._table}").fetchall()[0][0]  # noqa: S608
        for begin in range(0, 0 if last is None else last + 1, step):
            some = f"rowid >= {begin} AND rowid < {begin + step}"
            asked = f"SELECT {selected} AS found FROM {self._table} WHERE {some}"  # noqa: S608 - quoted
            yield self._connection.execute(asked).fetchnumpy()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def times(columns: Columns, name: str, where: str) -> NDArray[np.float64]:
    """Unix seconds of the column of times.

    Raises:
        InvalidInput: a row without one; says which, and what its source has there where a query made nothing of it.
    """
    values = columns[name]
    gone = np.flatnonzero(np.ma.getmaskarray(values))
    if len(gone):
        said = ", ".join(map(str, gone[:_ROWS] + 1)) + (", …" if len(gone) > _ROWS else "")
        text = columns.before(name, int(gone[0]))
        got = f"{len(gone)} of {len(values)} without: row{'s' * (len(gone) > 1)} {said}"
        read = f", where the first has {text!r}, of which data.query made nothing" if text else ""
        hint = f"correct them, or leave them out: data.query with WHERE {quoted(name)} IS NOT NULL"
        place = f'{where}, time column "{name}"'
        raise InvalidInput(place, expected="a time in every row", got=f"{got}{read}", hint=hint)
    return seconds(values, name, where)


def seconds(values: NDArray[Any], name: str, where: str) -> NDArray[np.float64]:
    """Unix seconds of a column of timestamps or of ISO 8601 texts, UTC where they say nothing else."""
    place = f'{where}, time column "{name}"'
    plain = np.ma.getdata(values)
    if plain.dtype.kind == "M":
        return plain.astype("datetime64[us]").astype(np.int64) / 1e6
    if plain.dtype != object:
        raise InvalidInput(place, expected=MOMENTS, got=str(plain.dtype))
    rows = enumerate(plain, 1)
    return np.array([moment(v, f"{place}, row {n}", MOMENTS).timestamp() for n, v in rows], dtype=np.float64)
