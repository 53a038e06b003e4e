"""Columns: a table of DuckDB's, taken into memory one column at a time; times as Unix seconds."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import InvalidInput
from training.data.collect.reading import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    from numpy.typing import NDArray


class Columns(Mapping[str, "NDArray[Any]"]):
    """Each is read when it is asked for, so that only one is in memory in DuckDB's form."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        self._connection, self._table = connection, quoted(table)
        self._names = [row[0] for row in connection.execute(f"DESCRIBE {self._table}").fetchall()]

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(name)
        selected = f"SELECT {quoted(name)} AS found FROM {self._table}"  # noqa: S608 - quoted
        values: NDArray[Any] = self._connection.execute(selected).fetchnumpy()["found"]
        return values

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
        raise InvalidInput(place, expected="a timestamp or an ISO 8601 text", got=str(plain.dtype))
    return np.array([_moment(value, place) for value in plain], dtype=np.float64)


def _moment(value: object, place: str) -> float:
    try:
        moment = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(str(value))
    except ValueError as error:
        raise InvalidInput(place, expected="a timestamp or an ISO 8601 text", got=repr(value)[:80]) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
