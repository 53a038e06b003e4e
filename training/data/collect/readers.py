"""Readers: each source, whatever its form, becomes a table or a view of DuckDB's under its own name."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import duckdb
import msgspec

from staytrue.errors import InvalidConfig, InvalidInput
from training.data.collect.casting import cast
from training.data.collect.databases import read_postgresql, read_sqlite
from training.data.collect.delimited import read_delimited
from training.data.collect.factory import read_factory
from training.data.collect.folders import read_images, read_pictures, read_texts
from training.data.collect.lines import read_json
from training.data.collect.options import arguments, options_of
from training.data.collect.origins import Origins, Part
from training.data.collect.patterns import UNION, match
from training.data.collect.places import files_of, format_of, labels, names
from training.data.collect.reading import file_literal, first_line, quoted
from training.data.collect.twice import refuse_twice_parquet
from training.data.collect.workbook import read_excel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from staytrue.collection import SourceSection
    from training.data.collect.reading import Reading

_READERS: dict[str, Callable[[str, SourceSection, Reading], str]] = {
    "csv": read_delimited,
    "tsv": read_delimited,
    "json": read_json,
    "excel": read_excel,
    "sqlite": read_sqlite,
    "postgresql": read_postgresql,
    "images": read_images,
    "texts": read_texts,
}
_LINES_BEFORE = {"excel": 1}
"""Lines of a file above its first row."""


_ASKED = {"sqlite", "postgresql"}
_TABLED = {*_ASKED, "excel"}
_TAKEN: dict[str, set[str]] = {form: set() for form in (*_TABLED, "images")} | {"texts": {"encoding"}}
"""Options of readers that are none of DuckDB's; it refuses those that it does not know."""


class SourceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one source gave."""

    name: str
    format: str
    place: str
    rows: int | None
    """That could be read; None where they cannot be counted: a value that no query asks for does not fit."""
    bad_rows: int
    """Set aside."""


def read(name: str, source: SourceSection, reading: Reading) -> SourceReport:
    """Make the table.

    Raises:
        StaytrueError: from the reader, which names the source.
    """
    form = "factory" if source.factory else format_of(name, source)
    _refuse_unread(name, source, form)
    if form == "factory":
        place = read_factory(name, source, reading)
    elif form == "parquet":
        place = _read_parquet(name, source, reading)
    else:
        place = _READERS[form](name, source, reading)
    reading.origins.setdefault(name, Origins([Part(place, sys.maxsize, _LINES_BEFORE.get(form, 0))]))
    if source.columns and form not in {"csv", "tsv"}:  # those cast as they read
        where = f"data.sources.{name}.columns"
        cast(reading, name, source.columns, name, where=where)
    if source.pictures:
        read_pictures(name, source, reading)
    bad = reading.quarantine.of(name)
    return SourceReport(name=name, format=form, place=place, rows=reading.count(name), bad_rows=bad)


def _refuse_unread(name: str, source: SourceSection, form: str) -> None:
    """Refuse settings that the reader of a form does not look at.

    Raises:
        InvalidConfig: names the first.
    """
    forms = {"table": _TABLED, "query": _ASKED}
    unread = [key for key, those in forms.items() if getattr(source, key) and form not in those]
    local = source.path is not None  # nothing opens it but the reader
    taken = _TAKEN.get(form)
    for key in source.options:
        ours = key.startswith("fs_") and form != "factory"
        if (local and ours) or (not ours and taken is not None and key not in taken):
            unread.append(f"options.{key}")
    if unread:
        what = f"a path of form {form}" if local else f"form {form}"
        hint = "remove it, or say format: of what it is"
        raise InvalidConfig(f"data.sources.{name}.{unread[0]}", f"has no effect with {what}", hint=hint)


def _read_parquet(name: str, source: SourceSection, reading: Reading) -> str:
    """A view: columns and groups of rows that a query leaves out are never read."""
    files = files_of(name, source, reading.scratch)
    refuse_twice_parquet(files)
    listed = ", ".join(file_literal(path) for path in files)
    options = options_of(name, source)
    given = arguments(options)
    union = f", {UNION} = true" if len(files) > 1 and UNION not in options else ""
    kind = "TABLE" if source.columns or source.pictures else "VIEW"
    try:
        if union or options.get(UNION) == "true":
            match(name, _columns(files, reading), reading, union=UNION in options)
        reading.connection.execute(
            f"CREATE {kind} {quoted(name)} AS SELECT * FROM read_parquet([{listed}]{union}{given})"  # noqa: S608
        )
    except duckdb.Error as error:
        raise InvalidInput(f"data.sources.{name}", f"{names(files)} cannot be read: {first_line(error)}") from error
    return names(files)


def _columns(files: Sequence[Path], reading: Reading) -> dict[str, list[str]]:
    """Of each file, by what it is called."""
    described = {}
    for path, file in zip(files, labels(files), strict=True):
        asked = f"DESCRIBE SELECT * FROM read_parquet({file_literal(path)})"  # noqa: S608 - quoted
        described[file] = [row[0] for row in reading.connection.execute(asked).fetchall()]
    return described
