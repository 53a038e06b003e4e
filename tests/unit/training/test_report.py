"""The report of a preparation: the page shows what the file holds, and whatever the data hold stays text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from training.data.chapters import Bars, Chapter, Picture, Table
from training.report import FIGURES, HEIGHT, PAGE, Report, page, report, write

if TYPE_CHECKING:
    from pathlib import Path

CHAPTERS = [
    Chapter(
        title="Columns",
        summary="Two of them.",
        tables=[Table(title="Numbers", columns=["column", "mean"], rows=[["a", 0.123456], ["b", None]], note="of all")],
        bars=[Bars(title="a", labels=["x", "y", "z"], counts=[10, 5, 0])],
        warnings=["b has no value at all"],
    ),
    Chapter(title="Split", summary="", pictures=[Picture(caption="cat", source="data:image/png;base64,QQ==")]),
]


def test_both_files_hold_the_chapters(tmp_path: Path) -> None:
    made = report("Data of bikes", CHAPTERS)
    assert write(made, tmp_path / "new") == tmp_path / "new" / PAGE
    assert msgspec.json.decode((tmp_path / "new" / FIGURES).read_bytes(), type=Report) == made
    shown = (tmp_path / "new" / PAGE).read_text()
    for words in ("Data of bikes", "Two of them.", "of all", "0.1235", "b has no value at all", "Split", "cat"):
        assert words in shown
    assert made.warnings == ["columns: b has no value at all"]


def test_a_bar_is_as_high_as_its_share_of_the_highest() -> None:
    heights = [float(height) for height in re.findall(r'<rect [^>]*height="([0-9.]+)"', page(report("t", CHAPTERS)))]
    assert heights == [HEIGHT, HEIGHT / 2, 0]


def test_what_the_data_hold_is_shown_as_text() -> None:
    evil = '<script>alert("x")</script>'
    table = Table(title=evil, columns=[evil], rows=[[evil]], note=evil)
    bars, picture = Bars(title=evil, labels=[evil], counts=[1]), Picture(caption=evil, source='"><script>')
    chapter = Chapter(title=evil, summary=evil, tables=[table], bars=[bars], pictures=[picture], warnings=[evil])
    assert "<script" not in page(report(evil, [chapter]))


def test_a_page_needs_nothing_from_elsewhere() -> None:
    assert re.findall(r'(?:src|href)="(?!#|data:)', page(report("t", CHAPTERS))) == []


def test_an_empty_chart_is_no_fault() -> None:
    assert "<svg" in page(report("t", [Chapter(title="c", summary="", bars=[Bars(title="b", labels=[], counts=[])])]))
