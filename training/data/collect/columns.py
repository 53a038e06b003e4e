"""Columns: a table of DuckDB's, taken into memory one column at a time; times as Unix seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import InvalidInput
from training.data.collect.reading import quoted
from training.data.dates import moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from training.data.collect.reading import Reading

_VECTOR = 2048
"""Rows that DuckDB reads at once, whatever it is asked for."""
_MOMENTS = "a timestamp or an ISO 8601 text"


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

    def parts(self, name: str, rows: int) -> Iterator[NDArray[Any]]:
        """A column in parts of about so many rows, in order; as one where a column hides the number that rows have."""
        if "rowid" in map(str.lower, self._names):
            yield self[name]
            return
        step = max(1, rows // _VECTOR) * _VECTOR
        last = self._connection.execute(f"SELECT max(rowid) FROM {self._table}").fetchall()[0][0]  # noqa: S608
        for begin in range(0, 0 if last is None else last + 1, step):
            some = f"rowid >= {begin} AND rowid < {begin + step}"
            selected = f"SELECT {quoted(name)} AS found FROM {self._table} WHERE {some}"  # noqa: S608 - quoted
            yield self._connection.execute(selected).fetchnumpy()["found"]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def seconds(values: NDArray[Any], name: str, where: str) -> NDArray[np.float64]:
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
        raise InvalidInput(place, expected=_MOMENTS, got=str(plain.dtype))
    rows = enumerate(plain, 1)
    return np.array([moment(v, f"{place}, row {n}", _MOMENTS).timestamp() for n, v in rows], dtype=np.float64)
