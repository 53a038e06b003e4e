"""Workbook: a sheet of an Excel file, its first row the names; read twice, first for the types, row by row."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import InvalidInput, NotFound
from training.data.collect.batches import arrow_type, create
from training.data.collect.origins import Origins, Part
from training.data.collect.places import file_of
from training.data.collect.quarantine import BadRow
from training.data.collect.twice import RENAME, refuse_twice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.collection import SourceSection
    from training.data.collect.reading import Reading

_ERROR = "e"
"""How openpyxl marks a cell such as #N/A or #DIV/0!."""


def read_excel(name: str, source: SourceSection, reading: Reading) -> str:
    """Make a table of a sheet; where it lies, for people. Rows with an error for a value are set aside.

    Raises:
        InvalidInput: it is no workbook, or the sheet is empty, or names a column twice.
        NotFound: it has no such sheet.
    """
    import openpyxl  # noqa: PLC0415 - few projects read workbooks
    from openpyxl.utils.exceptions import InvalidFileException  # noqa: PLC0415

    path = file_of(name, source, reading.scratch)
    where = f"data.sources.{name}"
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, OSError) as error:
        raise InvalidInput(where, f"{path.name} cannot be read: {error}") from error
    try:
        if source.table and source.table not in book.sheetnames:
            raise NotFound(where, f'no sheet "{source.table}"', hint=f"there are {', '.join(book.sheetnames)}")
        sheet = book[source.table] if source.table else book.worksheets[0]
        header = list(next(sheet.iter_rows(max_row=1, values_only=True), ()))
        while header and header[-1] is None:  # a sheet is as wide as its widest row
            header.pop()
        columns = [str(value) if value is not None else f"column{place}" for place, value in enumerate(header, 1)]
        if not columns:
            raise InvalidInput(where, f"{path.name}, sheet {sheet.title}", expected="a first row of names", got="none")
        refuse_twice(f"{path.name}, sheet {sheet.title}, row 1", columns, RENAME)
        kinds, broken = _looked(name, path, sheet, columns)
        errors = [row for row in broken.values() if row.column]
        reading.quarantine.add(errors, "error value")
        reading.quarantine.add([row for row in broken.values() if not row.column], "too many cells")
        gone = [*broken]
        rows = _rows(sheet, columns, broken, gone)
        create(reading.connection, name, columns, [arrow_type(kind) for kind in kinds], rows)
        lines = np.unique(np.array(gone, dtype=np.int64))
        reading.origins[name] = Origins([Part(path.name, reading.count(name), 1, lambda: lines)])
    finally:
        book.close()
    return path.name


def _looked(name: str, path: Path, sheet: Any, columns: list[str]) -> tuple[list[set[str]], dict[int, BadRow]]:
    """Kinds of the values of each column, and by their line the rows with an error, or with more cells than names."""
    kinds: list[set[str]] = [set() for _ in columns]
    broken: dict[int, BadRow] = {}
    for line, cells in enumerate(sheet.iter_rows(min_row=2), 2):
        for place, cell in enumerate(cells):
            if cell.value is None:
                continue
            if place >= len(columns):
                column, reason = "", f"a cell beside the {len(columns)} columns that have names: {cell.coordinate}"
            elif cell.data_type == _ERROR:
                column, reason = columns[place], "an error instead of a value"
            else:
                kinds[place].add(type(cell.value).__name__)
                continue
            text = str(cell.value)
            broken[line] = BadRow(source=name, file=path.name, line=line, column=column, reason=reason, text=text)
    return kinds, broken


def _rows(sheet: Any, columns: list[str], broken: dict[int, BadRow], gone: list[int]) -> Iterator[tuple[Any, ...]]:
    """Rows that are whole; blank ones are none, and their lines are told."""
    width = len(columns)
    for line, row in enumerate(sheet.iter_rows(min_row=2, max_col=width, values_only=True), 2):
        if line in broken:
            continue
        if any(value is not None for value in row):
            yield row + (None,) * (width - len(row))
        else:
            gone.append(line)
