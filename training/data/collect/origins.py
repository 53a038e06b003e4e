"""Origins: which line of which file a row of a table comes from, though lines before it were set aside."""

from __future__ import annotations

import dataclasses
import io
import sys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

_STEP = 1 << 22


@dataclasses.dataclass(frozen=True)
class Part:
    """One file's rows in a table, which stand there in the order of the file."""

    file: str
    rows: int
    before: int = 0
    """Lines of the file above its first row."""
    gone: Callable[[], NDArray[np.int64]] = lambda: np.empty(0, np.int64)
    """Lines that are no row of the table, in their order; asked for only where a line is to be told."""


@dataclasses.dataclass(frozen=True)
class Origins:
    """Of one table; ``taller`` tells rows of several lines and how many more than one each has."""

    parts: Sequence[Part]
    taller: Callable[[], tuple[NDArray[np.int64], NDArray[np.int64]]] = lambda: (
        np.empty(0, np.int64),
        np.empty(0, np.int64),
    )
    numbers: Callable[[], NDArray[np.int64]] | None = None
    """The numbers of the rows, where some of those that were read are not among them."""

    def of(self, rows: NDArray[np.int64]) -> tuple[list[str], NDArray[np.int64]]:
        """File and line of rows, counted from 0 as they were read. Shapes: [N] → N, [N].

        >>> Origins([Part("a", 2, 1), Part("b", 3, 1, lambda: np.array([3]))]).of(np.array([1, 2, 3]))
        (['a', 'b', 'b'], array([3, 2, 4]))
        """
        rows = self.numbers()[rows] if self.numbers else rows
        tall, more = self.taller()
        ends = np.cumsum([part.rows for part in self.parts])
        whose = np.minimum(np.searchsorted(ends, rows, side="right"), len(self.parts) - 1)
        lines = np.zeros(len(rows), dtype=np.int64)
        added = np.concatenate([[0], np.cumsum(more)])
        for place in np.unique(whose):
            part, mine = self.parts[place], whose == place
            begin = ends[place] - part.rows
            reached = added[np.searchsorted(tall, rows[mine])] - added[np.searchsorted(tall, begin)]
            gone = part.gone()
            keys = gone - part.before - 1 - np.arange(len(gone))
            nth = rows[mine] - begin + reached
            lines[mine] = nth + part.before + 1 + np.searchsorted(keys, nth, side="right")
        return [self.parts[place].file for place in whose], lines


class Records(NamedTuple):
    """What became no row of one file, in its order. Shapes: [N] each."""

    lines: NDArray[np.int64]
    heights: NDArray[np.int64]
    """Lines that each takes up."""
    open: NDArray[np.bool_]
    """Whether it is one for a quote that does not end."""
    taken: NDArray[np.bool_]
    """Whether its lines are rows that are lost: all of those, and what else has lines that read as rows."""

    @property
    def lost(self) -> int:
        """How many rows they are."""
        return int(np.where(self.taken, self.heights, 1).sum())

    def all_lines(self) -> NDArray[np.int64]:
        """Each line that they take up."""
        ends = np.cumsum(self.heights)
        inside = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - self.heights, self.heights)
        lines: NDArray[np.int64] = np.repeat(self.lines, self.heights) + inside
        return lines


def placed(
    path: Path, before: int, tall: tuple[NDArray[np.int64], NDArray[np.int64]], found: Records, quote: str = '"'
) -> tuple[Records, NDArray[np.int64]]:
    """Records by the lines of the file, and all lines that are in no row: theirs, and blank ones.

    ``found`` counts what has several lines as one, as DuckDB does; ``tall`` are rows that have, and how many more.
    """
    blank = blank_lines(path)
    lines, heights = found.lines.copy(), found.heights.copy()
    rows, more = (side.tolist() for side in tall)
    kept: list[int] = []
    row = record = place = extra = 0
    with opened(path) as stream:
        walk = _Walk(stream, quote.encode())
        while record < len(lines) or row < len(rows) or place < len(blank):
            bad = int(found.lines[record]) + extra if record < len(lines) else sys.maxsize
            good = rows[row] + before + 1 + record + len(kept) + extra if row < len(rows) else sys.maxsize
            empty = int(blank[place]) if place < len(blank) else sys.maxsize
            if empty < min(bad, good):
                kept.append(empty)
                place += 1
                continue
            if bad <= good:
                high = walk.height(bad) if found.open[record] else int(heights[record])
                lines[record], heights[record] = bad, high
                record += 1
            else:
                high = more[row] + 1
                row += 1
            extra += high - 1
            place = max(place, int(np.searchsorted(blank, min(bad, good) + high)))
    records = Records(lines, heights, found.open, found.taken)
    return records, np.union1d(records.all_lines(), np.array(kept, dtype=np.int64))


class _Walk:
    """Through the lines of a file, forwards."""

    def __init__(self, stream: Any, quote: bytes) -> None:
        self._stream, self._quote, self._line = stream, quote, 1

    def height(self, line: int) -> int:
        """Lines from one on up to that where a quote that opens there ends, or the file does."""
        for _ in range(self._line, line):
            self._stream.readline()
        first = self._stream.readline()
        high, inside = 1, bool(self._quote) and first.count(self._quote) % 2 == 1
        while inside and (text := self._stream.readline()):
            high += 1
            inside = self._quote not in text.replace(2 * self._quote, b"")
        self._line = max(self._line, line) + high
        return high


def blank_lines(path: Path) -> NDArray[np.int64]:
    """The lines of a file that are empty, from 1."""
    return counted(path)[1]


def counted(path: Path) -> tuple[int, NDArray[np.int64]]:
    """How many lines a file has, and which of them are empty, from 1."""
    found: list[NDArray[np.int64]] = []
    line, last = 1, np.array([0, ord("\n")], dtype=np.uint8)
    with opened(path) as stream:
        while chunk := stream.read(_STEP):
            held = np.concatenate([last, np.frombuffer(chunk, dtype=np.uint8)])
            ends = np.flatnonzero(held[2:] == ord("\n"))
            one, two = held[ends + 1], held[ends]  # what stands before each end: another end, where the line is blank
            found.append(line + np.flatnonzero((one == ord("\n")) | ((one == ord("\r")) & (two == ord("\n")))))
            line, last = line + len(ends), held[-2:]
    lines = line - 1 + int(last[-1] != ord("\n"))
    return lines, np.concatenate(found) if found else np.empty(0, np.int64)


def opened(path: Path) -> Any:
    """A file's bytes, unpacked."""
    return io.BufferedReader(pa.input_stream(str(path), compression="detect"))
