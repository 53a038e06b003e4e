"""Kinds: what each column of a CSV file is read as, so that no line is rounded or cut to what the first ones hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from staytrue.table import MISSING
from training.data.collect.reading import literal, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from training.data.collect.reading import Wanted

_WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER|\d+)?$|INT\d$|LONG$|SHORT$", re.IGNORECASE)
_NUMBER = ("BIGINT", "HUGEINT", "DOUBLE", "DECIMAL")
"""Types, and beginnings of types, that DuckDB finds in numbers."""
_RESPELT = ("BOOLEAN", "DATE", "TIME")
"""Those that it finds in names (yes, no, t, 2024-01-31) and would write otherwise."""
_MOMENTS = ("TIMESTAMP",)
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f")
"""What may follow a day."""
_NARROW = "needs a wider type: column "
_ISO = "%Y-%m-%d"


class Kind(NamedTuple):
    """One column: the type that the reader gives it, and what is made of that."""

    read: str
    made: str
    value: str = ""
    """SQL of what is made, NULL where a text is none of it; empty where it stays as it is read."""
    beyond: str = ""
    """SQL of whether a text says more than what is made of it holds: a fraction, a time of day."""
    wider: str = ""
    """Type that holds that too, where the column is not declared."""
    widened: str = ""
    """SQL of a value of that type."""


def kinds(
    found: Mapping[str, str], declared: Mapping[str, str], wanted: Wanted, dialect: Mapping[str, str]
) -> dict[str, Kind]:
    """What each column is read as, by the type that its first lines have, which later ones may go beyond."""
    return {
        column: _declared(column, declared[column], dialect)
        if column in declared
        else _seen(column, kind, wanted, dialect)
        for column, kind in found.items()
    }


def wider(kind: Kind) -> Kind:
    """The kind that holds what goes beyond another."""
    return Kind(kind.read, kind.wider, kind.widened)


def unfit(column: str, kind: Kind) -> str:
    """SQL of whether a text is none of what is made of it."""
    beyond = f" OR {kind.beyond}" if kind.beyond else ""
    return f"({quoted(column)} IS NOT NULL AND ({kind.value} IS NULL{beyond}))"


def checked(column: str, kind: Kind, place: int) -> str:
    """SQL of what is made of a column, by its place among them; a text that is none of it ends the query."""
    text = quoted(column)
    if kind.made == "VARCHAR":
        return kind.value
    more = f" WHEN {kind.beyond} THEN error({literal(f'{_NARROW}{place}')})" if kind.beyond else ""
    failed = f"""error('Could not convert string "' || {text} || '" to ' || {literal(f"'{kind.made}'")})"""
    return f"CASE WHEN {text} IS NULL THEN NULL{more} ELSE coalesce({kind.value}, {failed}) END"


def narrow(failure: str) -> int | None:
    """The place of the column for which a query failed since it holds more than its kind; None where it did not.

    >>> narrow("Invalid Input Error: needs a wider type: column 3"), narrow("Binder Error")
    (3, None)
    """
    found = re.search(rf"{_NARROW}(\d+)", failure)
    return int(found[1]) if found else None


def _declared(column: str, kind: str, dialect: Mapping[str, str]) -> Kind:
    if not is_whole(kind):
        return Kind(kind, kind)
    return _whole(column, kind, dialect)._replace(wider="", widened="")


def _seen(column: str, kind: str, wanted: Wanted, dialect: Mapping[str, str]) -> Kind:
    direct = wanted.direct.get(column, "")
    if column in wanted.names:
        return _name(column, kind)
    if kind == "VARCHAR":
        kind = wanted.types.get(column, kind)
    if kind in {"BIGINT", "HUGEINT"}:
        return Kind("DOUBLE", "DOUBLE") if direct == "DOUBLE" else _whole(column, kind, dialect)
    if kind == "DATE":
        form = dialect.get("dateformat", literal(_ISO))
        if direct.startswith(_MOMENTS) and form == literal(_ISO):
            return Kind(direct, direct)
        day = _day(column, form)
        return Kind("VARCHAR", day.wider, day.widened) if direct.startswith(_MOMENTS) else day
    return Kind(kind, kind)


def _name(column: str, kind: str) -> Kind:
    """Text as it is written, but for the needless zeros of whole numbers (``3.0``) and the spaces around them."""
    if not kind.startswith(_NUMBER):
        return Kind("VARCHAR", "VARCHAR") if kind.startswith(_RESPELT) else Kind(kind, kind)
    text = quoted(column)
    beyond = f"(contains({text}, '.') OR contains({text}, ' ') OR lower({text}) = 'nan')"
    plain = rf"regexp_replace({text}, '^\s*([+-]?\d+)(\.0*)?\s*$', '\1')"
    return Kind(
        "VARCHAR", "VARCHAR", f"CASE WHEN NOT {beyond} THEN {text} WHEN lower({text}) <> 'nan' THEN {plain} END", beyond
    )


def _number(column: str, dialect: Mapping[str, str]) -> str:
    """SQL of a column's text as a cast takes it for a number."""
    text = quoted(column)
    point, thousands = dialect.get("decimal_separator", "'.'"), dialect.get("thousands", "''")
    if thousands != "''":
        text = f"replace({text}, {thousands}, '')"
    return text if point == "'.'" else f"replace({text}, {point}, '.')"


def _whole(column: str, kind: str, dialect: Mapping[str, str]) -> Kind:
    text = _number(column, dialect)
    number = f"TRY_CAST({text} AS DOUBLE)"
    marked = f"(contains({text}, '.') OR contains({text}, 'e') OR contains({text}, 'E'))"  # few are, and parsed twice
    beyond = f"({marked} AND {fraction(text)})"
    return Kind("VARCHAR", kind, f"TRY_CAST({text} AS {kind})", beyond, "DOUBLE", number)


def lifted(made: Mapping[str, Kind], columns: Iterable[str]) -> str:
    """What follows ``SELECT *`` of a file: words for missing values are missing in what is no text in the end."""
    texts = [column for column in columns if made[column].read == "VARCHAR" and made[column].made != "VARCHAR"]
    values = ", ".join(f"{unmarked(quoted(column))} AS {quoted(column)}" for column in texts)
    return f" REPLACE ({values})" if values else ""


def marked(column: str, kind: Kind, dialect: Mapping[str, str]) -> Kind:
    """The kind of a column that the reader makes numbers or times of, as one that may have words for missing ones."""
    text, form = quoted(column), ""
    if kind.made.startswith(_MOMENTS):
        form = dialect.get("timestampformat", "")
    elif kind.made == "DATE":
        form = dialect.get("dateformat", "")
    else:
        text = _number(column, dialect)
    value = f"TRY_CAST(try_strptime({text}, {form}) AS {kind.made})" if form else f"TRY_CAST({text} AS {kind.made})"
    return Kind("VARCHAR", kind.made, value)


def marks(failure: str) -> str:
    """The column that a reader could not convert since it holds a word for a missing value; empty where it is else.

    >>> marks('Error when converting column "x". Could not convert string "N/A" to DOUBLE')
    'x'
    """
    found = re.search(r'converting column "(.*)"\. Could not convert string "(.*)" to', failure)
    return found[1] if found and found[2].strip().lower() in MISSING else ""


def unmarked(text: str) -> str:
    """SQL of a text, NULL where it says that a value is missing."""
    listed = ", ".join(literal(word) for word in sorted(MISSING))
    return f"CASE WHEN lower(trim({text})) NOT IN ({listed}) THEN {text} END"


def is_whole(kind: str) -> bool:
    """Whether a type of DuckDB's holds whole numbers alone.

    >>> is_whole("integer"), is_whole("DOUBLE"), is_whole("INTERVAL")
    (True, False, False)
    """
    return _WHOLE.fullmatch(kind.strip()) is not None


def fraction(value: str) -> str:
    """SQL of whether a value is a number, but no whole one: DuckDB rounds such to a type of whole numbers."""
    number = f"TRY_CAST({value} AS DOUBLE)"
    return f"coalesce({number} <> trunc({number}), false)"


def _day(column: str, form: str) -> Kind:
    text = quoted(column)
    if form == literal(_ISO):
        moment, day = f"TRY_CAST({text} AS TIMESTAMP)", f"TRY_CAST({text} AS DATE)"
        return Kind("VARCHAR", "DATE", day, f"(length({text}) > 10 AND {moment} <> {day})", "TIMESTAMP", moment)
    day = form.strip("'")
    forms = ", ".join(literal(day + clock) for clock in _CLOCKS)
    moment = f"try_strptime({text}, [{forms}])"
    value = f"CAST(try_strptime({text}, {form}) AS DATE)"
    return Kind("VARCHAR", "DATE", value, f"({value} IS NULL AND {moment} IS NOT NULL)", "TIMESTAMP", moment)
