"""What the steps of a preparation tell people: chapters of tables, which one page and one JSON file show alike."""

from __future__ import annotations

import msgspec

Cell = str | int | float | None


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of cells under names; ``note`` says how to read them."""

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    note: str = ""
    shaded: bool = False
    """Cells that count are the darker, the larger their share of their row is."""


class Bars(msgspec.Struct, frozen=True, kw_only=True):
    """How many of each: of a category, or of a span of numbers."""

    title: str
    labels: list[str]
    counts: list[int]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Points one after the other, and how far each may be off; what is no finite number is no point."""

    name: str
    across: list[float]
    up: list[float]
    low: list[float] = []
    high: list[float] = []
    dashed: bool = False
    """Without marks: what the others are compared with."""


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """Lines over one axis."""

    title: str
    across: str
    up: str
    """What the axes are."""
    lines: list[Line]
    note: str = ""


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture as a data address, and what it shows; a ``large`` one as it is, others as high as a few lines."""

    caption: str
    source: str
    large: bool = False


class Chapter(msgspec.Struct, frozen=True, kw_only=True):
    """What one step did, in a sentence and in tables; ``warnings`` are what somebody should look at."""

    title: str
    summary: str
    tables: list[Table] = []
    bars: list[Bars] = []
    charts: list[Chart] = []
    pictures: list[Picture] = []
    warnings: list[str] = []


def many(count: int, noun: str, plural: str = "") -> str:
    """So many of something.

    >>> many(1, "bad row"), many(2000, "row")
    ('1 bad row', '2,000 rows')
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
