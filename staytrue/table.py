"""The head of somebody's CSV file, column by column, as `staytrue init` looks at it: no data frame, no database."""

from __future__ import annotations

import csv
import datetime
import functools
import itertools
import math
import re
from typing import TYPE_CHECKING

from staytrue.errors import InvalidInput, NotFound, Unsupported
from staytrue.records import LATEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

HEAD_ROWS = 100_000
"""Rows looked at: enough to see rare categories, quick to read."""
MINIMUM_ROWS = 50
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
"""Cells taken as missing, in any case."""
_INTEGER = re.compile(r"[+-]?\d{1,15}")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+(,\d+)?")
_THOUSANDS = re.compile(r"[+-]?(0|[1-9]\d{0,2}(,\d{3})*)")
_EPOCH = (1e8, LATEST)
"""Unix seconds between 1973 and 5138."""
_DAYS = ("%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d-%m-%Y", "%Y%m%d")
_CLOCKS = ("", " %H:%M", " %H:%M:%S")
TIME_FORMATS = tuple(day + clock for day in _DAYS for clock in _CLOCKS)
"""How times are written where they are not ISO 8601; a column has one of these throughout."""


class Column:
    """A column's cells as text, and what they have in common. Facts hold for the cells that are not missing.

    ``lines`` are those of the file where the cells' rows end, ``slips`` cells that were taken out, with their lines.
    """

    def __init__(
        self, name: str, cells: list[str], lines: Sequence[int] = (), slips: Sequence[tuple[int, str]] = ()
    ) -> None:
        self.name, self.slips = name, list(slips)
        self.lines = lines or range(2, len(cells) + 2)
        self.cells = [cell.strip() for cell in cells]
        self.present = [cell for cell in self.cells if cell.lower() not in MISSING]

    @property
    def marked(self) -> bool:
        """Whether missing values are written as words, which a database takes for text."""
        return any(cell and cell.lower() in MISSING for cell in self.cells)

    @property
    def missing(self) -> int:
        """How many cells are missing, slips included."""
        return len(self.cells) - len(self.present)

    @functools.cached_property
    def texts(self) -> list[str]:
        """The cells that are not empty: among names, such as categories, NA is one."""
        return [cell for cell in self.cells if cell]

    @functools.cached_property
    def distinct(self) -> int:
        """How many different values there are."""
        return len(set(self.numbers or self.present))

    @functools.cached_property
    def numbers(self) -> list[float]:
        """The finite values, if all are numbers; else none. An infinite one counts as missing when rows are cleaned."""
        try:
            numbers = [float(cell.replace(",", ".") if self.decimal_comma else cell) for cell in self.present]
        except ValueError:
            return []
        return [number for number in numbers if math.isfinite(number)]

    @property
    def infinite(self) -> int:
        """How many of its numbers are not finite."""
        return len(self.present) - len(self.numbers) if self.numbers else 0

    @functools.cached_property
    def commas(self) -> bool:
        """Whether all values are numbers and some have a comma, whatever it means."""
        return any("," in cell for cell in self.present) and all(
            _DECIMAL_COMMA.fullmatch(cell) or _THOUSANDS.fullmatch(cell) for cell in self.present
        )

    @functools.cached_property
    def decimal_comma(self) -> bool:
        """Whether the comma is a decimal one. ``1,234`` throughout could be either, so it is not; ``0,234`` is one."""
        return (
            self.commas
            and all(map(_DECIMAL_COMMA.fullmatch, self.present))
            and not all(map(_THOUSANDS.fullmatch, self.present))
        )

    @functools.cached_property
    def whole(self) -> bool:
        """Whether all values are written as whole numbers."""
        return bool(self.present) and all(map(_INTEGER.fullmatch, self.present))

    @functools.cached_property
    def coded(self) -> bool:
        """Whether whole numbers begin with zeros, which only names need: postcodes, codes of shops."""
        return self.whole and any(re.fullmatch(r"0\d+", cell) for cell in self.present)

    @functools.cached_property
    def counts_up(self) -> bool:
        """Whether it numbers the rows: whole numbers, each larger than the one before."""
        pairs = zip(self.numbers, self.numbers[1:], strict=False)
        return self.whole and self.distinct > 2 and all(before < after for before, after in pairs)

    @functools.cached_property
    def seconds(self) -> list[float]:
        """Unix seconds of the values, if all are dates or times, ISO 8601 or in :attr:`time_format`; else none."""
        if self.time_format:
            return self.moments(self.time_format) or []
        return [] if self.whole else self.moments("") or []  # ISO 8601 has whole numbers too: 20110101, 2011

    @functools.cached_property
    def time_format(self) -> str:
        """The one of :data:`TIME_FORMATS` that all values have; empty where none is, or they are ISO 8601."""
        if not self.whole and self.moments("") is not None:
            return ""
        found = {form: moments for form in TIME_FORMATS if (moments := self.moments(form))}
        # Day or month first: where both are possible, time runs forwards, and rows lie near each other.
        likely = sorted(
            found, key=lambda form: (found[form] != sorted(found[form]), max(found[form]) - min(found[form]))
        )
        return next(iter(likely), "")

    def moments(self, form: str) -> list[float] | None:
        """Unix seconds of the values, if all are written so (ISO 8601 if nothing is said)."""
        if form == "%Y%m%d" and any(len(cell) != 8 for cell in self.present):
            return None  # it would take 123411 for a day, too
        moments = []
        for cell in self.present:
            try:
                moment = datetime.datetime.strptime(cell, form) if form else datetime.datetime.fromisoformat(cell)  # noqa: DTZ007 - the zone follows
            except ValueError:
                return None
            moments.append((moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp())
        return moments

    @functools.cached_property
    def epoch(self) -> list[float]:
        """The values as Unix seconds, if all could be that, or milliseconds; else none."""
        scaled = [number / self.epoch_scale for number in self.numbers if not self.infinite]
        return scaled if all(_EPOCH[0] < number < _EPOCH[1] for number in scaled) else []

    @property
    def epoch_scale(self) -> int:
        """How many of its units are a second, if its values are Unix times: 1 or 1000."""
        return 1000 if self.numbers and min(self.numbers) >= _EPOCH[1] else 1

    @property
    def times(self) -> list[float]:
        """Unix seconds of the values, if they can be read as times at all."""
        return self.seconds or self.epoch


def read_head(path: Path) -> list[Column]:
    """The columns of a CSV file, from its first rows.

    Raises:
        NotFound: no such file.
        Unsupported: not named ``.csv``.
        InvalidInput: not text in UTF-8, no header, a name twice, rows of unequal length, or too few rows.
    """
    if path.suffix.lower() != ".csv":
        hint = "write staytrue.yaml by hand for others: docs/settings.md"
        raise Unsupported(str(path), expected="a file named .csv", got=path.suffix or "no suffix", hint=hint)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=_delimiter(first))
            rows = _rows(reader, path)
            header = _header(next(rows, []), path)
            body, lines = list[list[str]](), list[int]()
            for row in itertools.islice(rows, HEAD_ROWS):
                body.append(row)
                lines.append(reader.line_num)
    except FileNotFoundError as error:
        raise NotFound(str(path), "is no file") from error
    except OSError as error:
        raise InvalidInput(str(path), f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        hint = "convert it, for example with `iconv -t UTF-8`"
        raise InvalidInput(
            str(path), expected="text in UTF-8", got=f"byte 0x{error.object[error.start]:02x}", hint=hint
        ) from error
    if len(body) < MINIMUM_ROWS:
        raise InvalidInput(str(path), expected=f"at least {MINIMUM_ROWS} rows to train on", got=str(len(body)))
    return [Column(name, list(cells), lines) for name, cells in zip(header, zip(*body, strict=True), strict=True)]


def _rows(reader: Iterator[list[str]], path: Path) -> Iterator[list[str]]:
    """Rows that are not blank, all as long as the first."""
    width = 0
    try:
        for number, row in enumerate(reader, 1):
            if not any(row):
                continue
            width = width or len(row)
            if len(row) != width:
                where, hint = f"{path}, row {number}", "take out what stands above the names" if width == 1 else ""
                raise InvalidInput(where, expected=f"{width} cells as in the header", got=str(len(row)), hint=hint)
            yield row
    except csv.Error as error:
        raise InvalidInput(str(path), f"is not CSV: {error}") from error


def _header(names: list[str], path: Path) -> list[str]:
    if not names:
        raise InvalidInput(str(path), "is empty", hint="its first line must name the columns")
    if all(Column("", [name]).numbers for name in names):
        raise InvalidInput(f"{path}, row 1", expected="names of columns", got="numbers", hint="add a header line")
    seen: set[str] = set()
    for name in map(str.lower, filter(None, names)):
        if name in seen:
            raise InvalidInput(f"{path}, row 1", f'names two columns "{name}"', hint="upper and lower case count alike")
        seen.add(name)
    return names


def _delimiter(line: str) -> str:
    return max(",;\t|", key=line.count)
