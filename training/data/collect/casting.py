"""Casting: columns of a table to the types that they must have; rows with a value that does not fit are set aside."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import duckdb

from staytrue.errors import InvalidConfig
from training.data.collect.aside import Fault, set_aside
from training.data.collect.kinds import fraction, is_whole, unmarked
from training.data.collect.reading import first_line, literal, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training.data.collect.reading import Reading

_NUMBER = re.compile(
    r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER|\d+)?$|DOUBLE$|FLOAT\d?$|REAL$|(DECIMAL|NUMERIC)\b[^\[]*$", re.IGNORECASE
)
_NESTED = re.compile(r"STRUCT|MAP|\[|JSON|UNION", re.IGNORECASE)


def cast(reading: Reading, table: str, types: Mapping[str, str], source: str, *, where: str) -> None:
    """Cast some columns of a table in place.

    Raises:
        InvalidConfig: a column that is not there, or a type that is none.
    """
    found = reading.columns(table)
    unknown = [column for column in types if column not in found]
    if unknown:
        raise InvalidConfig(where, f'no column "{unknown[0]}"', hint=f"there are {', '.join(found)}")
    values = {
        column: (_value(column, found[column], kind), kind)
        for column, kind in types.items()
        if found[column] != kind.upper()
    }
    try:
        set_aside(reading, table, source, [_unfit(column, *value) for column, value in values.items()])
        for column, (value, kind) in values.items():
            change(reading, table, column, kind, f"TRY_CAST({value} AS {kind})")
    except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException) as error:
        raise InvalidConfig(where, first_line(error)) from error


def cast_fitting(reading: Reading, table: str, types: Mapping[str, str]) -> None:
    """Cast those columns all of whose values fit; one that has others stays, for its reader to tell of them."""
    found = reading.columns(table)
    for column, kind in types.items():
        value = _value(column, found[column], kind)
        if not reading.any(table, _unfit(column, value, kind).where):
            change(reading, table, column, kind, f"TRY_CAST({value} AS {kind})")


def change(reading: Reading, table: str, column: str, kind: str, value: str) -> None:
    """Give a column another type, made of what it holds by some SQL."""
    changed = f"ALTER TABLE {quoted(table)} ALTER COLUMN {quoted(column)} SET DATA TYPE {kind} USING {value}"
    reading.connection.execute(changed)


def _value(column: str, given: str, kind: str) -> str:
    """What is cast: of JSON a plain value's text, without the quotes; what says that a number or time is missing is."""
    plain = given == "JSON" and not _NESTED.search(kind)
    value = f"({quoted(column)} ->> '$')" if plain else quoted(column)
    single = _NUMBER.match(kind) or kind.upper().startswith(("DATE", "TIMESTAMP"))
    return f"({unmarked(value)})" if single and given in {"JSON", "VARCHAR"} else value


def _unfit(column: str, value: str, kind: str) -> Fault:
    rounded = f" OR {fraction(value)}" if is_whole(kind) else ""
    where = f"{value} IS NOT NULL AND (TRY_CAST({value} AS {kind}) IS NULL{rounded})"
    reason = f"{literal(f'expected {kind.lower()}, got ')} || CAST({value} AS VARCHAR)"
    return Fault(column, "CAST", reason, value, where)
