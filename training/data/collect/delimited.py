"""Delimited: CSV and TSV files, whose ragged, undecodable and unparsable lines are set aside with their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from staytrue.errors import InvalidConfig, InvalidInput
from training.data.collect.options import arguments, options_of, struct
from training.data.collect.places import files_of, format_of, label, names
from training.data.collect.reading import first_line, literal, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from staytrue.collection import Option, SourceSection
    from training.data.collect.reading import Reading

_DEFAULTS: dict[str, dict[str, Option]] = {
    # Lines above the header are read as data unless `skip` says otherwise: they would be dropped unseen.
    "csv": {"header": True, "skip": 0},
    "tsv": {"header": True, "skip": 0, "delim": "\t"},
}


def read_delimited(name: str, source: SourceSection, reading: Reading) -> str:
    """Make a table of all lines that can be read; where it lies, for people.

    Raises:
        InvalidInput: the files cannot be read at all.
        InvalidConfig: an option or a column that is not there.
    """
    files = files_of(name, source, reading.scratch)
    defaults = _DEFAULTS[format_of(name, source)]
    load(name, files, options_of(name, source, defaults), source.columns, reading)
    return names(files)


def load(
    name: str, files: Sequence[Path], options: Mapping[str, str], declared: Mapping[str, str], reading: Reading
) -> None:
    """Make the table of some files, whose columns are matched by name.

    The types are those declared, those that features demand of what looks like text (one word in a column of numbers
    makes it one), and those that DuckDB finds.
    """
    try:
        found = [_found(path, options, reading) for path in files]
        types = _merged(found)
        types |= _chosen(name, types, declared, reading.types)
        columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in types.items())
        reading.connection.execute(f"CREATE TABLE {quoted(name)} ({columns})")
        for path, there in zip(files, found, strict=True):
            call = f"{literal(path)}{arguments(options)}, types = {struct((c, types[c]) for c in there)}"
            _insert(name, call, label(path, files), reading)
    except duckdb.BinderException as error:
        raise InvalidConfig(f"data.sources.{name}", first_line(error), hint="see its options and columns") from error
    except duckdb.Error as error:
        raise InvalidInput(f"data.sources.{name}", f"{names(files)} cannot be read: {first_line(error)}") from error


def _found(path: Path, options: Mapping[str, str], reading: Reading) -> dict[str, str]:
    """Columns of a file and the types that DuckDB finds; lenient, or one ragged line would hide the columns."""
    described = f"DESCRIBE SELECT * FROM read_csv({literal(path)}{arguments(options)}, ignore_errors = true)"  # noqa: S608
    return {row[0]: row[1] for row in reading.connection.execute(described).fetchall()}


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


def _insert(name: str, call: str, file: str, reading: Reading) -> None:
    """Add a file's good lines to the table, and set its bad ones aside."""
    call += ", store_rejects = true, rejects_table = '__rejects', rejects_scan = '__scans'"
    reading.connection.execute(f"INSERT INTO {quoted(name)} BY NAME SELECT * FROM read_csv({call})")  # noqa: S608
    reading.quarantine.add_from(
        # DuckDB tells of each column that a short line lacks: the first says it all.
        "SELECT $source, $file, line, column_name, error_type, split_part(error_message, chr(10), 1), csv_line "
        "FROM __rejects QUALIFY row_number() OVER (PARTITION BY line, error_type, "
        "CASE error_type WHEN 'MISSING COLUMNS' THEN 0 ELSE column_idx END ORDER BY column_idx) = 1",
        {"source": name, "file": file},
    )
    reading.connection.execute("DROP TABLE __rejects; DROP TABLE __scans")


def _chosen(
    name: str, found: Mapping[str, str], declared: Mapping[str, str], wanted: Mapping[str, str]
) -> dict[str, str]:
    unknown = [column for column in declared if column not in found]
    if unknown:
        hint = f"there are {', '.join(found)}"
        raise InvalidConfig(f"data.sources.{name}.columns", f'no column "{unknown[0]}"', hint=hint)
    return {column: kind for column, kind in wanted.items() if found.get(column) == "VARCHAR"} | dict(declared)
