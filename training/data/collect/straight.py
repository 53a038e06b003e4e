"""Straight: lines of values that fit no type, where DuckDB counts blank lines that come after them."""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING

from training.data.collect.origins import blank_lines, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from training.data.collect.origins import Records
    from training.data.collect.reading import Reading

_BATCH = 1000
_LONGEST = 2 << 20
"""Bytes of a line that DuckDB takes for one."""


def straightened(path: Path, before: int, records: Records, reading: Reading) -> Records:
    """The records where they are: DuckDB 2.0 adds to their lines the blank ones that come later in the same chunk.

    Whether a line is bad goes by what it says alone. So each record is the first line after that of the record before
    it, and below those ``before`` the rows, that reads as it does; one of which nothing does stays as it is told. Only
    the lines between a record and what is told of it are held. Left as they are where something has several lines,
    which DuckDB counts as one: then its lines are not the file's.
    """
    if not len(records.lines) or (records.heights > 1).any() or records.open.any():
        return records
    blank = len(blank_lines(path))
    if not blank:
        return records
    lines, held = records.lines.copy(), deque[tuple[int, bytes]]()
    with opened(path) as stream:
        numbered = enumerate(iter(lambda: stream.readline(_LONGEST), b""), 1)
        coming = itertools.dropwhile(lambda line: line[0] <= before, numbered)
        for place, text in enumerate(_said(reading)):
            told = int(lines[place])
            while held and held[0][0] < told - blank:
                held.popleft()
            found = _found(text, told, held, coming) if text else None
            if found is not None:
                lines[place] = found
    return records._replace(lines=lines)


def _said(reading: Reading) -> Iterator[bytes]:
    """What the records say, one after the other; nothing of those that are no UTF-8, of which DuckDB shows a ?."""
    asked = reading.connection.execute(  # by no cursor: it would not see the table of rejects
        "SELECT CASE WHEN NOT bool_or(error_type = 'INVALID ENCODING') THEN "
        "any_value(trim(csv_line, chr(10) || chr(13))) ELSE '' END FROM __rejects GROUP BY line ORDER BY line"
    )
    while batch := asked.fetchmany(_BATCH):
        yield from (text.encode() for (text,) in batch)


def _found(text: bytes, told: int, held: deque[tuple[int, bytes]], coming: Iterator[tuple[int, bytes]]) -> int | None:
    """The first line that says this, of those held and those to come up to what is told; those before it go."""
    for place, (number, line) in enumerate(held):
        if line == text:
            for _ in range(place + 1):
                held.popleft()
            return number
    number = held[-1][0] if held else 0
    while number < told and (following := next(coming, None)) is not None:
        number, line = following[0], following[1].strip(b"\r\n")
        held.append((number, line))
        if line == text:
            held.clear()
            return number
    return None
