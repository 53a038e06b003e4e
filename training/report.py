"""A report: one page for people and one JSON file for programs, of the same chapters."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import jinja2
import msgspec

from staytrue import __version__
from staytrue.records import utc, write_atomically
from training import charts
from training.data.chapters import Bars, Cell, Chapter, Table

PAGE, FIGURES = "report.html", "report.json"
WIDTH, HEIGHT = 240.0, 90.0
"""Pixels of a chart."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Chapters one after the other, as of the steps of a preparation."""

    title: str
    made: str
    version: str
    chapters: list[Chapter]

    @property
    def warnings(self) -> list[str]:
        """What somebody should look at, with the step that found it."""
        return [f"{chapter.title.lower()}: {warning}" for chapter in self.chapters for warning in chapter.warnings]


class _Bar(NamedTuple):
    label: str
    rows: int
    x: float
    y: float
    width: float
    height: float


def report(title: str, chapters: list[Chapter]) -> Report:
    """Of these chapters, made now."""
    return Report(title=title, made=utc(time.time()), version=__version__, chapters=chapters)


def write(report: Report, folder: Path) -> Path:
    """Write both files; the page."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / FIGURES, msgspec.json.format(msgspec.json.encode(report)))
    write_atomically(folder / PAGE, page(report).encode())
    return folder / PAGE


def page(report: Report) -> str:
    """One HTML page that needs nothing else; whatever the data hold is shown as text."""
    return _environment.get_template(PAGE).render(report=report)


def _cell(value: Cell) -> str:
    """As people read it: numbers by four digits, nothing as a dash."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _shade(value: Cell, row: list[Cell], table: Table) -> int:
    """Percent of the colour behind a cell."""
    if not table.shaded or not isinstance(value, int):
        return 0
    total = sum(cell for cell in row if isinstance(cell, int))
    return round(80 * value / total) if total else 0


def _drawn(bars: Bars) -> list[_Bar]:
    most, step = max(bars.counts, default=0) or 1, WIDTH / max(len(bars.counts), 1)
    made = []
    for place, (label, count) in enumerate(zip(bars.labels, bars.counts, strict=True)):
        height = round(HEIGHT * count / most, 1)
        made.append(_Bar(label, count, round(place * step, 1), round(HEIGHT - height, 1), round(step * 0.9, 1), height))
    return made


_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
)
_environment.filters |= {"cell": _cell, "drawn": _drawn, "drawing": charts.drawing, "shade": _shade}
_environment.globals["chart"] = charts
