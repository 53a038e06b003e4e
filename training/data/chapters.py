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


class Chapter(msgspec.Struct, frozen=True, kw_only=True):
    """What one step did, in a sentence and in tables; ``warnings`` are what somebody should look at."""

    title: str
    summary: str
    tables: list[Table] = []
    warnings: list[str] = []
