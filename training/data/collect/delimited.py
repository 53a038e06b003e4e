"""Delimited: CSV and TSV files, whose ragged, undecodable and unparsable lines are set aside with their numbers."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import pyarrow as pa

from staytrue.errors import InvalidConfig, InvalidInput
from training.data.collect.broken import escaped
from training.data.collect.options import arguments, options_of, struct
from training.data.collect.places import files_of, format_of, label, names
from training.data.collect.reading import file_literal, first_line, literal, quoted
from training.data.collect.spelling import respelt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from staytrue.collection import SourceSection
    from staytrue.section import Option
    from training.data.collect.reading import Reading

_AS_TEXT = (
    "auto_detect = false, header = false, delim = chr(1), quote = '', escape = '', ignore_errors = true, "
    "columns = {'line': 'VARCHAR'}"
)
"""Options that read each line as one value."""
_DELIMITERS = (",", ";", "\t", "|")


class _Found(NamedTuple):
    types: dict[str, str]
    dialect: dict[str, str]


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


_DEFAULTS: dict[str, dict[str, Option]] = {
    # Not left to DuckDB's guess, which one broken line turns: it would drop lines above a header of its own choice, or
    # take all quotes for letters.
    "csv": {"header": True, "skip": 0, "quote": '"', "escape": '"'},
    "tsv": {"header": True, "skip": 0, "quote": '"', "escape": '"', "delim": "\t"},
}


def read_delimited(name: str, source: SourceSection, reading: Reading) -> str:
    """Make a table of all lines that can be read; where it lies, for people.

    Raises:
        InvalidInput: the files cannot be read at all.
        InvalidConfig: an option or a column that is not there.
    """
    files = files_of(name, source, reading.scratch)
    defaults = _DEFAULTS[format_of(name, source)]
    options = options_of(name, source, defaults)
    if not options.keys() & {"delim", "sep", "delimiter"}:
        options["delim"] = literal(_delimiter(_names_line(files[0], options, reading)))
    load(name, files, options, source.columns, reading)
    return names(files)


def _delimiter(line: str) -> str:
    """What stands most often in a line, outside of quotes.

    >>> _delimiter('at;"x, in metres, say";y')
    ';'
    """
    return max(_DELIMITERS, key=re.sub(r'"[^"]*"', "", line).count)


def _names_line(path: Path, options: Mapping[str, str], reading: Reading) -> str:
    """The first line, which is not broken where others are."""
    kept = arguments({key: value for key, value in options.items() if key in {"skip", "encoding", "compression"}})
    query = f"SELECT line FROM read_csv({file_literal(path)}, {_AS_TEXT}{kept}) LIMIT 1"  # noqa: S608
    found = reading.connection.execute(query).fetchall()
    return str(found[0][0]) if found else ""


def load(
    name: str, files: Sequence[Path], options: Mapping[str, str], declared: Mapping[str, str], reading: Reading
) -> None:
    """Make the table of some files, whose columns are matched by name.

    The types are those declared, those that features demand of what looks like text (one word in a column of numbers
    makes it one), and those that DuckDB finds.
    """
    try:
        found = [_found(path, options, reading) for path in files]
        types = _merged([there.types for there in found])
        if not types:
            raise InvalidInput(f"data.sources.{name}", expected="a line of names", got=f"nothing in {names(files)}")
        types |= dict.fromkeys(respelt(types, reading.names), "VARCHAR") | _chosen(name, types, declared, reading.types)
        columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in types.items())
        reading.connection.execute(f"CREATE TABLE {quoted(name)} ({columns})")
        for path, there in zip(files, found, strict=True):
            columns = struct((column, types[column]) for column in there.types)
            call = f"{file_literal(path)}{arguments(there.dialect)}, auto_detect = false, columns = {columns}"
            _insert(name, call, label(path, files), reading, None if "encoding" in options else path)
    except duckdb.BinderException as error:
        raise InvalidConfig(f"data.sources.{name}", first_line(error), hint="see its options and columns") from error
    except duckdb.Error as error:
        raise InvalidInput(f"data.sources.{name}", f"{names(files)} cannot be read: {first_line(error)}") from error


def _found(path: Path, options: Mapping[str, str], reading: Reading) -> _Found:
    """Columns of a file, their types, and how it is written; lenient, or one broken line would hide the columns."""
    lenient = arguments({"strict_mode": "false", "ignore_errors": "true"} | dict(options))
    query = f"SELECT Columns, {', '.join(_DIALECT.values())} FROM sniff_csv({file_literal(path)}{lenient})"  # noqa: S608
    try:
        columns, *values = reading.connection.execute(query).fetchall()[0]
    except duckdb.InvalidInputException:
        if options.get("header") != "true" or "delim" not in options:
            raise
        # A broken quote among the first lines: their types cannot be told. Names can, and what features need.
        line = _names_line(path, options, reading)
        named = next(csv.reader([line], delimiter=options["delim"].strip("'")), [])
        return _Found(dict.fromkeys(named, "VARCHAR"), dict(options))
    told = {key: literal(value) for key, value in zip(_DIALECT, values, strict=True) if value is not None}
    told = {key: "''" if value == literal("(empty)") else value for key, value in told.items()}
    return _Found({column["name"]: column["type"] for column in columns}, told | dict(options))


def _merged(found: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Types that hold the values of all files; text where nothing else does."""
    kinds: dict[str, set[str]] = {}
    for columns in found:
        for column, kind in columns.items():
            kinds.setdefault(column, set()).add(kind)
    return {column: _common(them) for column, them in kinds.items()}


def _common(kinds: set[str]) -> str:
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds <= {"BIGINT", "HUGEINT", "DOUBLE"}:
        return "DOUBLE"
    return "TIMESTAMP" if kinds <= {"DATE", "TIMESTAMP"} else "VARCHAR"


def _insert(name: str, call: str, file: str, reading: Reading, plain: Path | None) -> None:
    """Add a file's good lines to the table, and set its bad ones aside; one of UTF-8 is ``plain``."""
    call += ", store_rejects = true, rejects_table = '__rejects', rejects_scan = '__scans'"
    reading.connection.execute(f"INSERT INTO {quoted(name)} BY NAME SELECT * FROM read_csv({call})")  # noqa: S608
    _show_bytes(reading, plain)
    reading.quarantine.add_from(
        # DuckDB tells of each column that a short line lacks: the first says it all.
        "SELECT $source, $file, line, column_name, error_type, split_part(error_message, chr(10), 1), "
        "coalesce(shown, trim(csv_line, chr(10) || chr(13))) "
        "FROM __rejects LEFT JOIN __shown USING (line_byte_position) "
        "QUALIFY row_number() OVER (PARTITION BY line, error_type, "
        "CASE error_type WHEN 'MISSING COLUMNS' THEN 0 ELSE column_idx END ORDER BY column_idx) = 1",
        {"source": name, "file": file},
    )
    reading.connection.execute("DROP TABLE __rejects; DROP TABLE __scans; DROP TABLE __shown")


def _show_bytes(reading: Reading, plain: Path | None) -> None:
    """Make the table of what lines that are no UTF-8 hold, by their places in the file."""
    asked = (
        "SELECT DISTINCT line_byte_position, csv_line FROM __rejects WHERE error_type = 'INVALID ENCODING' ORDER BY 1"
    )
    places = reading.connection.execute(asked).fetchall() if plain else []
    shown = escaped(plain, places) if plain and places else []
    positions = pa.array([place for place, _ in places], type=pa.uint64())
    table = pa.table({"line_byte_position": positions, "shown": pa.array(shown, type=pa.string())})
    reading.connection.from_arrow(table).create("__shown")


def _chosen(
    name: str, found: Mapping[str, str], declared: Mapping[str, str], wanted: Mapping[str, str]
) -> dict[str, str]:
    unknown = [column for column in declared if column not in found]
    if unknown:
        hint = f"there are {', '.join(found)}"
        raise InvalidConfig(f"data.sources.{name}.columns", f'no column "{unknown[0]}"', hint=hint)
    return {column: kind for column, kind in wanted.items() if found.get(column) == "VARCHAR"} | dict(declared)
