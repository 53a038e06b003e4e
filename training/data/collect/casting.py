"""Casting: columns of a table to the types that they must have; rows with a value that does not fit are set aside."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import duckdb

from staytrue.errors import InvalidConfig
from training.data.collect.reading import first_line, literal, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training.data.collect.reading import Reading

_LINE = "__line"
_NUMBER = re.compile(
    r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER|\d+)?$|DOUBLE$|FLOAT\d?$|REAL$|(DECIMAL|NUMERIC)\b[^\[]*$", re.IGNORECASE
)
_NESTED = re.compile(r"STRUCT|MAP|\[|JSON|UNION", re.IGNORECASE)


def cast(
    reading: Reading, table: str, types: Mapping[str, str], source: str, file: str, *, before: int = 0, where: str
) -> None:
    """Cast some columns of a table in place. ``before``: lines of the file above its first row.

    Raises:
        InvalidConfig: a column that is not there, or a type that is none.
    """
    found = reading.columns(table)
    unknown = [column for column in types if column not in found]
    if unknown:
        raise InvalidConfig(where, f'no column "{unknown[0]}"', hint=f"there are {', '.join(found)}")
    changing = {column: kind for column, kind in types.items() if found[column] != kind.upper()}
    if not changing:
        return
    numbered = f"(SELECT row_number() OVER () + {before} AS {_LINE}, * FROM {quoted(table)})"  # noqa: S608 - quoted
    try:
        for column, kind in changing.items():
            _set_aside(reading, numbered, column, (found[column], kind), source, file)
        _replace(reading, table, {column: (found[column], kind) for column, kind in changing.items()})
    except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException) as error:
        raise InvalidConfig(where, first_line(error)) from error


def _value(column: str, given: str, kind: str) -> str:
    """What is cast: of JSON a plain value's text, without the quotes; an empty text is no number, as in CSV."""
    plain = given == "JSON" and not _NESTED.search(kind)
    value = f"({quoted(column)} ->> '$')" if plain else quoted(column)
    return f"nullif({value}, '')" if _NUMBER.match(kind) and given in {"JSON", "VARCHAR"} else value


def _set_aside(reading: Reading, numbered: str, column: str, kinds: tuple[str, str], source: str, file: str) -> None:
    value, kind = _value(column, *kinds), kinds[1]
    what = kind.lower()
    reading.quarantine.add_from(
        f"SELECT {literal(source)}, {literal(file)}, {_LINE}, {literal(column)}, 'CAST', "  # noqa: S608 - quoted
        f"'expected {what}, got ' || {value}, CAST({value} AS VARCHAR) FROM {numbered} "
        f"WHERE {value} IS NOT NULL AND TRY_CAST({value} AS {kind}) IS NULL"
    )


def _replace(reading: Reading, table: str, changing: Mapping[str, tuple[str, str]]) -> None:
    values = {column: (_value(column, *kinds), kinds[1]) for column, kinds in changing.items()}
    casts = ", ".join(f"TRY_CAST({value} AS {kind}) AS {quoted(c)}" for c, (value, kind) in values.items())
    fits = " AND ".join(
        f"({value} IS NULL OR TRY_CAST({value} AS {kind}) IS NOT NULL)" for value, kind in values.values()
    )
    reading.connection.execute(
        f"CREATE TABLE __cast AS SELECT * REPLACE ({casts}) FROM {quoted(table)} WHERE {fits}; "  # noqa: S608
        f"DROP TABLE {quoted(table)}; ALTER TABLE __cast RENAME TO {quoted(table)}"
    )
