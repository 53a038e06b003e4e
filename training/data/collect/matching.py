"""Matching: whether two columns hold values of one kind, and what of each is compared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from staytrue.errors import InvalidConfig
from training.data.collect.reading import literal, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training.data.collect.reading import Reading

Types = tuple["Mapping[str, str]", "Mapping[str, str]"]
"""Column → DuckDB type, of the left table and of the right."""
_KINDS = (
    ("whole number", re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$")),
    ("number", re.compile(r"DOUBLE$|FLOAT$|DECIMAL\([^\[]*$")),
    ("moment", re.compile(r"(DATE|TIMESTAMP[^\[]*)$")),
    ("text", re.compile(r"(VARCHAR|ENUM\([^\[]*)$")),
)
_NUMBERS = {"whole number", "number"}
_EXAMPLES = 3


def kind(made: str) -> str:
    """What a DuckDB type holds; of those that are compared with their own alone the type itself.

    >>> kind("UBIGINT"), kind("DECIMAL(18,3)"), kind("TIMESTAMP WITH TIME ZONE"), kind("ENUM('a')"), kind("DATE[]")
    ('whole number', 'number', 'moment', 'text', 'DATE[]')
    """
    return next((name for name, fits in _KINDS if fits.match(made)), made)


def alike(one: str, other: str) -> bool:
    """Whether values of two DuckDB types may be compared without reading the one as the other.

    >>> alike("BIGINT", "DOUBLE"), alike("DATE", "TIMESTAMP"), alike("VARCHAR", "BIGINT"), alike("BOOLEAN", "BIGINT")
    (True, True, False, False)
    """
    kinds = {kind(one), kind(other)}
    return len(kinds) == 1 or kinds <= _NUMBERS


def check(on: Sequence[str], names: tuple[str, str], types: Types, reading: Reading, where: str) -> None:
    """Refuse keys of unlike kinds: DuckDB would read the text ``01`` as the number 1, and end at a word.

    Raises:
        InvalidConfig: names the first with its types, some texts, and what to declare.
    """
    for key in on:
        given = tuple(side[key] for side in types)
        if not alike(*given):
            ways = " or ".join(
                f"{_declared(name)} {{{key}: {made}}}" for name, made in zip(names, reversed(given), strict=True)
            )
            raise InvalidConfig(
                where,
                expected=f'"{key}" of one type in both',
                got=" and ".join(
                    f"{made} in {told(name)}{_texts(name, key, made, other, reading)}"
                    for name, made, other in zip(names, given, reversed(given), strict=True)
                ),
                hint=f"declare {ways}; a word that means no value is named by options: {{nullstr: [...]}}",
            )


def value(table: str, column: str, one: str, other: str) -> str:
    """What of a column of type ``one`` is compared with one of type ``other``; null where it is missing.

    NaN and the empty text are missing. A number meets whole numbers as such: as DOUBLE, as DuckDB compares them, two
    of more than 15 digits would be the same.
    """
    plain = f"{table}.{quoted(column)}"
    what = kind(one)
    if what == "text":
        return f"nullif(CAST({plain} AS VARCHAR), '')"
    if what == "number" and kind(other) == "whole number":
        return f"CASE WHEN isfinite({plain}) AND {plain} = trunc({plain}) THEN TRY_CAST({plain} AS HUGEINT) END"
    # Not nullif: statistics of a Parquet file leave NaN out, and DuckDB then takes no value to equal it.
    return f"CASE WHEN NOT isnan({plain}) THEN {plain} END" if one in {"DOUBLE", "FLOAT"} else plain


def values(column: str, types: Types) -> tuple[str, str]:
    """:func:`value` of both sides, called ``l`` and ``r``; those of unlike kinds as texts."""
    one, other = (side[column] for side in types)
    both = value("l", column, one, other), value("r", column, other, one)
    if alike(one, other):
        return both
    return f"CAST({both[0]} AS VARCHAR)", f"CAST({both[1]} AS VARCHAR)"


def same(on: Sequence[str], types: Types) -> str:
    """The condition of a join: each key is there and is the same."""
    return " AND ".join(" = ".join(values(key, types)) for key in on)


def told(name: str) -> str:
    """What a table is called to people: those in between have no names of theirs."""
    return "what the joins before gave" if name.startswith("__joined_") else name


def _declared(name: str) -> str:
    return "columns of the source it comes from:" if name.startswith("__joined_") else f"data.sources.{name}.columns:"


def _texts(table: str, key: str, made: str, other: str, reading: Reading) -> str:
    """Some texts that the other's type does not hold, or writes otherwise."""
    if kind(made) != "text":
        return ""
    text, read = f"CAST({quoted(key)} AS VARCHAR)", f"TRY_CAST({quoted(key)} AS {other})"
    rows = reading.connection.execute(
        f"SELECT DISTINCT {text} FROM {quoted(table)} "  # noqa: S608 - quoted
        f"WHERE {text} <> '' AND coalesce(CAST({read} AS VARCHAR), {literal('')}) <> {text} "
        f"ORDER BY {read} IS NOT NULL, 1 LIMIT {_EXAMPLES}"
    ).fetchall()
    return f" ({', '.join(literal(row[0]) for row in rows)})" if rows else ""
