"""Casting: columns of a table to the types that they must have; rows with a value that does not fit are set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from staytrue.errors import InvalidConfig
from training.data.collect.reading import first_line, literal, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training.data.collect.reading import Reading

_LINE = "__line"


def cast(
    reading: Reading, table: str, types: Mapping[str, str], source: str, file: str, *, before: int = 0, where: str
) -> None:
    """Cast some columns of a table in place. ``before``: lines of the file above its first row.

    Raises:
        InvalidConfig: a column that is not there, or a type that is none.
    """
    connection = reading.connection
    found = {row[0]: row[1] for row in connection.execute(f"DESCRIBE {quoted(table)}").fetchall()}
    unknown = [column for column in types if column not in found]
    if unknown:
        raise InvalidConfig(where, f'no column "{unknown[0]}"', hint=f"there are {', '.join(found)}")
    changing = {column: kind for column, kind in types.items() if found[column] != kind.upper()}
    if not changing:
        return
    numbered = f"(SELECT row_number() OVER () + {before} AS {_LINE}, * FROM {quoted(table)})"  # noqa: S608 - quoted
    try:
        for column, kind in changing.items():
            _set_aside(reading, numbered, column, kind, source, file)
        _replace(reading, table, changing)
    except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException) as error:
        raise InvalidConfig(where, first_line(error)) from error


def _set_aside(reading: Reading, numbered: str, column: str, kind: str, source: str, file: str) -> None:
    value, what = quoted(column), kind.lower()
    reading.quarantine.add_from(
        f"SELECT {literal(source)}, {literal(file)}, {_LINE}, {literal(column)}, 'CAST', "  # noqa: S608 - quoted
        f"'expected {what}, got ' || {value}, CAST({value} AS VARCHAR) FROM {numbered} "
        f"WHERE {value} IS NOT NULL AND TRY_CAST({value} AS {kind}) IS NULL"
    )


def _replace(reading: Reading, table: str, changing: Mapping[str, str]) -> None:
    casts = ", ".join(f"TRY_CAST({quoted(c)} AS {kind}) AS {quoted(c)}" for c, kind in changing.items())
    fits = " AND ".join(
        f"({quoted(c)} IS NULL OR TRY_CAST({quoted(c)} AS {kind}) IS NOT NULL)" for c, kind in changing.items()
    )
    reading.connection.execute(
        f"CREATE TABLE __cast AS SELECT * REPLACE ({casts}) FROM {quoted(table)} WHERE {fits}; "  # noqa: S608
        f"DROP TABLE {quoted(table)}; ALTER TABLE __cast RENAME TO {quoted(table)}"
    )
