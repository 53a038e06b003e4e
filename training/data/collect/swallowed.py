"""Swallowed: lines of a CSV file within a quote that somebody forgot to close, and that ends by chance at a later one.

Such a row is a whole one by its number of columns, and a legal text of several lines would look the same but for this:
its lines read as rows of their own.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from staytrue.errors import InvalidInput
from training.data.chapters import many
from training.data.collect.aside import leave, set_rows_aside
from training.data.collect.dialect import selected
from training.data.collect.kinds import Kind
from training.data.collect.lost import plain_part, taller
from training.data.collect.origins import Origins, opened
from training.data.collect.reading import literal, quoted
from training.data.collect.rowlike import alike, delimiter_of, looks_of, quote_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from training.data.collect.dialect import Sniffed
    from training.data.collect.reading import Reading

QUOTED_LINES = "quoted_lines"
"""The option by which lines within quotes are text, whatever they look like."""
_KIND = "QUOTED ROWS"
_TEXTS = "__texts"
"""A file whose columns are all read as text."""
_STEP = 1 << 22
_BATCH = 1000
_MOST = 3
"""Places that a note names."""


class Swallowed(NamedTuple):
    """A row of several lines that read as rows themselves."""

    row: int
    column: str
    lines: int
    text: str
    sure: bool
    """Whether columns of numbers or times tell; else there are only as many columns as there should be."""


def swallowed(
    reading: Reading, table: str, found: Sniffed, made: Mapping[str, Kind], rows: tuple[int, int]
) -> Iterator[Swallowed]:
    """Rows of one file within a table, by their numbers ``rows``, that hold others.

    DuckDB leaves but those whose first and last line have as many columns as there are.
    """
    names, delimiter, quote, looks = list(found.types), delimiter_of(found), quote_of(found), looks_of(found, made)
    kinds = reading.columns(table)
    texts = [place for place, name in enumerate(names) if kinds[name] == "VARCHAR"]
    if len(delimiter) != 1 or not quote or len(names) < 2 or not texts:
        return
    for row, told, fields in _suspects(reading, table, names, texts, delimiter, rows):
        for place in (place for place, suspect in zip(texts, told, strict=True) if suspect):
            lines = _lines(fields, place, delimiter, quote)
            says = alike(lines, delimiter, looks, quote)
            if says is not False:
                yield Swallowed(row, names[place], len(lines), "\n".join(lines), says is True)


def _suspects(
    reading: Reading, table: str, names: Sequence[str], texts: Sequence[int], delimiter: str, rows: tuple[int, int]
) -> Iterator[tuple[int, list[bool], list[str | None]]]:
    """Rows with a text whose first and last line have as many columns as there are: number, which text, and values.

    All columns are asked for at once: a view of a file is read from its beginning each time.
    """
    where = []
    for place in texts:
        text = quoted(names[place])
        first, last = (f"split_part({text}, chr(10), {part})" for part in (1, -1))
        where.append(
            f"coalesce(contains({text}, chr(10)) AND {_count(last, delimiter)} = {place} "
            f"AND {_count(first, delimiter)} = {len(names) - place - 1}, false)"
        )
    values = ", ".join(f"CAST({quoted(column)} AS VARCHAR)" for column in names)
    asked = (
        f"SELECT __row, [{', '.join(where)}], {values} FROM {reading.numbered(table)} "  # noqa: S608 - quoted
        f"WHERE ({' OR '.join(where)}) AND __row >= {rows[0]} AND __row < {rows[1]}"
    )
    with reading.connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'; SET threads = 1")
        cursor.execute(asked)
        while batch := cursor.fetchmany(_BATCH):
            yield from ((row, told, fields) for row, told, *fields in batch)


def _count(text: str, delimiter: str) -> str:
    return f"length({text}) - length(replace({text}, {literal(delimiter)}, ''))"


def _lines(fields: Sequence[str | None], place: int, delimiter: str, quote: str) -> list[str]:
    """The lines of a row as its file has them, but that quote whose end was not meant."""
    texts = [(field or "").replace(quote, quote + quote) for field in fields]
    for other, text in enumerate(texts):
        if other != place:
            plain = text.replace("\n", " ")
            texts[other] = f"{quote}{plain}{quote}" if delimiter in plain or quote in plain else plain
    return delimiter.join(texts).split("\n")


def swallowed_aside(
    reading: Reading, name: str, found: Sequence[Sniffed], made: Mapping[str, Kind], ends: Sequence[int]
) -> None:
    """Set aside the rows of a table that hold others: each line counts as one. What may be meant is noted.

    ``ends`` are the numbers of rows that the files' own end before.
    """
    unsure: list[Swallowed] = []
    gone: set[int] = set()
    for there, begin, end in zip(found, [0, *ends], ends, strict=False):
        sure: dict[str, list[tuple[int, str, str]]] = {}
        for one in swallowed(reading, name, there, made, (begin, end)):
            if not one.sure:
                unsure.append(one)
            elif one.row not in gone:
                gone.add(one.row)
                line = _line(reading, name, one)
                sure.setdefault(one.column, []).append((one.row, _reason(line, one.lines), one.text))
                reading.quarantine.count(name, one.lines - 1)
        for column, rows in sure.items():
            set_rows_aside(reading, name, name, column, rows, _KIND)
    if gone:
        leave(reading, name, name, gone)
    _note(reading, name, name, unsure)


def refuse_swallowed(reading: Reading, path: Path, found: Sniffed, made: Mapping[str, Kind]) -> None:
    """Refuse a file that is read strictly, all columns looked at: a query may ask for others than that of the quote.

    Raises:
        InvalidInput: it has a row that holds others; names its lines.
    """
    if not has_tall(path, quote_of(found)):
        return
    texts = dict.fromkeys(found.types, Kind("VARCHAR", "VARCHAR"))
    read = selected(path, found, texts, ", ignore_errors = true")
    reading.connection.execute(f"CREATE OR REPLACE VIEW {_TEXTS} AS {read}")
    tall = functools.cache(functools.partial(taller, reading, _TEXTS))
    reading.origins[_TEXTS] = Origins([plain_part(path, found, tall)], tall)
    unsure: list[Swallowed] = []
    for one in swallowed(reading, _TEXTS, found, made, (0, sys.maxsize)):
        if one.sure:
            line = _line(reading, _TEXTS, one)
            raise InvalidInput(f'{path.name}:{line}, column "{one.column}"', _reason(line, one.lines))
        unsure.append(one)
    _note(reading, _TEXTS, path.name, unsure)


def _reason(line: int, lines: int) -> str:
    """Why a row is set aside.

    >>> _reason(10, 5)[:48]
    'a quote that opens in this line ends in line 14,'
    """
    return (
        f"a quote that opens in this line ends in line {line + lines - 1}, and the lines up to it read as rows of "
        f"their own: close it where it should end, or say options: {{{QUOTED_LINES}: true}} of the source if they are "
        f"one text"
    )


def _note(reading: Reading, table: str, name: str, unsure: Sequence[Swallowed]) -> None:
    """Say where a row may hold others, if nothing proves it."""
    if not unsure:
        return
    places = [(line := _line(reading, table, one), line + one.lines - 1) for one in unsure[:_MOST]]
    told = ", ".join(f"{begin} to {end}" for begin, end in places) + (", …" if len(unsure) > _MOST else "")
    reading.notes.append(
        f"{many(len(unsure), 'row')} of {name} may hold others, whose lines have as many columns as a row: lines "
        f"{told}; close the quote there if one is open, or say options: {{{QUOTED_LINES}: true}} of the source"
    )


def _line(reading: Reading, table: str, one: Swallowed) -> int:
    return int(reading.origins[table].of(np.array([one.row]))[1][0])


def has_tall(path: Path, quote: str = '"') -> bool:
    """Whether a line may end within quotes: without, nothing can be swallowed. A look at the bytes, not at rows."""
    sign, inside = quote.encode(), 0
    if len(sign) != 1:
        return bool(sign)
    with opened(path) as stream:
        while chunk := stream.read(_STEP):
            if sign not in chunk and not inside:
                continue
            held = np.frombuffer(chunk, dtype=np.uint8)
            quotes = np.flatnonzero(held == sign[0])
            before = np.searchsorted(quotes, np.flatnonzero(held == ord("\n"))) + inside
            if (before % 2).any():
                return True
            inside = (inside + len(quotes)) % 2
    return False
