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


class Bars(msgspec.Struct, frozen=True, kw_only=True):
    """How many of each: of a category, or of a span of numbers."""

    title: str
    labels: list[str]
    counts: list[int]


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A small picture as a data address, and what it shows."""

    caption: str
    source: str


class Chapter(msgspec.Struct, frozen=True, kw_only=True):
    """What one step did, in a sentence and in tables; ``warnings`` are what somebody should look at."""

    title: str
    summary: str
    tables: list[Table] = []
    bars: list[Bars] = []
    pictures: list[Picture] = []
    warnings: list[str] = []


def many(count: int, noun: str) -> str:
    """So many of something.

    >>> many(1, "bad row"), many(2000, "row")
    ('1 bad row', '2,000 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
