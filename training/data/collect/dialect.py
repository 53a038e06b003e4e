"""Dialect: how a CSV file is written, by what DuckDB finds in its first lines, and how it is then read."""

from __future__ import annotations

import csv
import itertools
from typing import TYPE_CHECKING, NamedTuple

import duckdb

from training.data.chapters import many
from training.data.collect.kinds import lifted
from training.data.collect.options import arguments, struct
from training.data.collect.origins import opened
from training.data.collect.reading import file_literal, literal, unquoted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from training.data.collect.kinds import Kind
    from training.data.collect.reading import Reading

_AS_TEXT = (
    "auto_detect = false, header = false, delim = chr(1), quote = '', escape = '', ignore_errors = true, "
    "columns = {'line': 'VARCHAR'}"
)
"""Options that read each line as one value."""
_DIALECT = {
    "delim": "Delimiter",
    "quote": "Quote",
    "escape": "Escape",
    "skip": "SkipRows",
    "header": "HasHeader",
    "dateformat": "DateFormat",
    "timestampformat": "TimestampFormat",
}
"""Options of the reader by what DuckDB's sniffer calls them."""
_LENIENT = {"strict_mode": "false", "ignore_errors": "true"}


class Sniffed(NamedTuple):
    """Columns of a file with their types, and the options that read it."""

    types: dict[str, str]
    dialect: dict[str, str]

    @property
    def marks(self) -> bool:
        """Whether words say that a number is missing: an option may say which do."""
        return "nullstr" not in self.dialect

    @property
    def before(self) -> int:
        """Lines above the first row."""
        skipped, header = (self.dialect.get(key, "0").strip("'").lower() for key in ("skip", "header"))
        return (int(skipped) if skipped.isdigit() else 0) + (header == "true")


def sniffed(path: Path, options: Mapping[str, str], reading: Reading) -> Sniffed:
    """Columns of a file, their types, and how it is written; lenient, or one broken line would hide the columns."""
    try:
        return _sniffed(path, _LENIENT | dict(options), options, reading)
    except duckdb.InvalidInputException:
        if options.get("header") != "true" or "delim" not in options:
            raise
        # A broken quote among the first lines: their types cannot be told. Names can, and what features need.
        line = names_line(path, options, reading)
        quote = unquoted(options.get("quote", "'\"'"))
        named = next(csv.reader([line], delimiter=options["delim"].strip("'"), quotechar=quote or '"'), [])
        return Sniffed(dict.fromkeys(named, "VARCHAR"), dict(options))


def _sniffed(path: Path, asked: Mapping[str, str], options: Mapping[str, str], reading: Reading) -> Sniffed:
    query = f"SELECT Columns, {', '.join(_DIALECT.values())} FROM sniff_csv({file_literal(path)}{arguments(asked)})"  # noqa: S608
    columns, *values = reading.connection.execute(query).fetchall()[0]
    told = {key: literal(value) for key, value in zip(_DIALECT, values, strict=True) if value is not None}
    told = {key: "''" if value == literal("(empty)") else value for key, value in told.items()}
    return Sniffed({column["name"]: column["type"] for column in columns}, told | dict(options))


def guessed(path: Path, reading: Reading) -> Sniffed:
    """How a file is written of which nothing is said: as most of its lines read, and quotes wherever they come.

    Lines that DuckDB takes for comments stay lines of the file, but for those above the names.
    """
    best = _best(path, {}, reading)
    commented = _commented(path, next(iter(best.types), ""))
    if commented:
        best = _best(path, {"skip": str(commented), "header": "true", "comment": "''"}, reading)
    quoting = {"quote": "'\"'", "escape": "'\"'"} if best.dialect.get("quote", "''") == "''" else {}
    if best.dialect.get("escape", "''") == "''":
        quoting["escape"] = quoting.get("quote", best.dialect.get("quote", "''"))
    skipped = int(best.dialect.get("skip", "0").strip("'"))
    if skipped:
        reading.notes.append(f"{path.name}: what stands above the names is left out: {many(skipped, 'line')}")
    return Sniffed(best.types, best.dialect | quoting)


def _best(path: Path, options: Mapping[str, str], reading: Reading) -> Sniffed:
    """As strict or as lenient reading finds it: either may miss columns, by a broken line or by what stands above."""
    found = []
    for asked in ({}, _LENIENT):
        try:
            found.append(_sniffed(path, asked | dict(options), options, reading))
        except duckdb.InvalidInputException as error:
            failed = error
    if not found:
        raise failed
    return max(found, key=lambda one: len(one.types))


def _commented(path: Path, first: str) -> int:
    """Lines above the names that begin with ``#``; none where the first name does."""
    with opened(path) as stream:
        lines = itertools.takewhile(lambda line: line.startswith((b"#", b"\xef\xbb\xbf#")), stream)
        return 0 if first.startswith("#") else sum(1 for _ in lines)


def names_line(path: Path, options: Mapping[str, str], reading: Reading) -> str:
    """The first line, which is not broken where others are."""
    kept = arguments({key: value for key, value in options.items() if key in {"skip", "encoding", "compression"}})
    query = f"SELECT line FROM read_csv({file_literal(path)}, {_AS_TEXT}{kept}) LIMIT 1"  # noqa: S608
    found = reading.connection.execute(query).fetchall()
    return str(found[0][0]) if found else ""


def selected(path: Path, found: Sniffed, made: Mapping[str, Kind], more: str = "") -> str:
    """SQL that reads a file, each column as its kind is read; words for missing values are missing but in texts."""
    columns = struct((column, made[column].read) for column in found.types)
    options = {"comment": "''"} | found.dialect  # none is skipped, whatever it begins with
    call = f"{file_literal(path)}{arguments(options)}, auto_detect = false, columns = {columns}{more}"
    return f"SELECT *{lifted(made, found.types) if found.marks else ''} FROM read_csv({call})"  # noqa: S608 - quoted
