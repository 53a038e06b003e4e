"""Slips: the few cells of a column that are not what all others are, each with its line."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

from staytrue.table import TIME_FORMATS, Column

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 0.05
"""Share of a column's cells up to which they are slips; more make it a column of something else."""
LEAST = 33
"""Different numbers that there must be: a word among fewer may be a code as they are."""
SHOWN = 5


def mended(column: Column) -> Column:
    """The column as one of numbers, if all but a few of its cells are: those are taken out, and are its slips."""
    places = _odd(column)
    if not 0 < len(places) <= MOST * len(column.present):
        return column
    slips = [(column.lines[place], column.cells[place]) for place in places]
    gone = set(places)
    cells = ["" if place in gone else cell for place, cell in enumerate(column.cells)]
    left = Column(column.name, cells, column.lines, slips)
    return left if left.distinct >= LEAST else column


def told(slips: list[tuple[int, str]]) -> str:
    """For people.

    >>> told([(3, "off"), (9, "on")])
    '"off" (line 3), "on" (line 9)'
    """
    more = f" and {len(slips) - SHOWN} more" if len(slips) > SHOWN else ""
    return ", ".join(f'"{cell[:40]}" (line {line})' for line, cell in slips[:SHOWN]) + more


def above(share: float) -> float:
    """The share with two figures, rounded up, so that a limit lets it through.

    >>> above(0.0122), above(1 / 3)
    (0.013, 0.34)
    """
    scale = 10.0 ** (1 - math.floor(math.log10(share)))
    return math.ceil(share * scale - 1e-9) / scale


def no_numbers(column: Column) -> list[tuple[int, str]]:
    """Cells that are no numbers in a column that mostly is of numbers; else none."""
    return _mostly(column, _odd(column))


def no_times(column: Column) -> list[tuple[int, str]]:
    """Cells that are no times as most of the column's are; none where most are not."""
    forms = ["", *TIME_FORMATS]
    odd = min((_failing(column, functools.partial(_is_time, form)) for form in forms), key=len)
    return _mostly(column, odd)


def _is_time(form: str, cell: str) -> bool:
    return Column("", [cell]).moments(form) is not None


def _mostly(column: Column, places: list[int]) -> list[tuple[int, str]]:
    few = len(places) < len(column.present) / 2
    return [(column.lines[place], column.cells[place]) for place in places] if few else []


def _odd(column: Column) -> list[int]:
    """Places of what is no number, with points or with decimal commas, whichever leaves fewer."""
    if column.numbers or column.commas or column.seconds:
        return []
    ways = (_is_plain, _is_with_comma)
    return min((_failing(column, way) for way in ways), key=len)


def _failing(column: Column, fits: Callable[[str], bool]) -> list[int]:
    there = set(column.present)
    odd = {cell for cell in there if not fits(cell)}
    return [place for place, cell in enumerate(column.cells) if cell in odd]


def _is_plain(cell: str) -> bool:
    return "," not in cell and bool(Column("", [cell]).numbers)


def _is_with_comma(cell: str) -> bool:
    return Column("", [cell, "0,5", "0,2525"]).decimal_comma
