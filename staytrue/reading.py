"""Reading: the SQL of a new project, which reads what DuckDB alone would not: times, dates, decimal commas, gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.table import MISSING

if TYPE_CHECKING:
    from staytrue.starter import Guess
    from staytrue.table import Column


def query(when: Column, what: Column, guesses: list[Guess]) -> str:
    """SQL that reads what DuckDB would not: times of other forms, decimal commas, words that are no class.

    Nothing is cast that might not fit, or it would be missing in silence: collecting casts, and tells what does not.
    """
    moment = _moment(when)
    changed = [f"{moment} AS {_sql(when.name)}"] if moment != _sql(when.name) else []
    numeric = [guess.column for guess in guesses if guess.kind == "numeric"]
    if what.numbers:
        numeric.insert(0, what)
    elif what.marked:
        changed.append(f"CASE WHEN {_there(what)} THEN {_sql(what.name)} END AS {_sql(what.name)}")
    changed += [
        f"replace(CAST({_sql(column.name)} AS VARCHAR), ',', '.') AS {_sql(column.name)}"
        for column in numeric
        if column.decimal_comma
    ]
    changed += [
        f"{_dated(guess.column)} AS {_sql(guess.column.name)}"
        for guess in guesses
        if guess.kind == "date" and guess.column.time_format
    ]
    replaced = f"* REPLACE ({', '.join(changed)})" if changed else "*"
    timed = f" WHERE {_there(when)}" if when.missing else ""  # a row must say when it happened
    return f"SELECT {replaced} FROM source{timed}"  # noqa: S608 - names are quoted, and the file's owner runs it


def _there(column: Column) -> str:
    """SQL of whether a cell says something; what says something wrong is not left out."""
    words = ", ".join(f"'{word}'" for word in sorted(MISSING))
    return f"lower(trim(CAST({_sql(column.name)} AS VARCHAR))) NOT IN ({words})"


def _moment(column: Column) -> str:
    name = _sql(column.name)
    if column.time_format:  # DuckDB may have read it as a timestamp already
        return f"coalesce(try_strptime(CAST({name} AS VARCHAR), '{column.time_format}'), TRY_CAST({name} AS TIMESTAMP))"
    if column.seconds:
        return f"TRY_CAST({name} AS TIMESTAMP)" if column.missing else name
    number = f"TRY_CAST({name} AS DOUBLE)" if column.marked else name
    return f"to_timestamp({number}{' / 1000' if column.epoch_scale == 1000 else ''})"


def _dated(column: Column) -> str:
    """SQL of dates in ISO 8601; what is none stays as it is, for collecting to tell."""
    return f"coalesce(CAST({_moment(column)} AS VARCHAR), CAST({_sql(column.name)} AS VARCHAR))"


def _sql(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
