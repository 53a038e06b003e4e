"""Rows that cannot be read are set aside with file, line, column and reason; none is lost on the way."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import openpyxl
import pandas as pd
import pytest

from staytrue.errors import InvalidInput
from training.data.collect.report import chapter
from training.data.collect.source import collected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.preparation import DataSection

    Make = Callable[..., DataSection]

HEADER = b"at,x,y,sky\n"
ROWS = 5000
LATE = 30_000
"""Further down than DuckDB looks to find the types."""


def line(number: int) -> bytes:
    """The row of a line; line 1 is the header."""
    return b"2024-01-%02d,%d.5,%d,sun\n" % (number % 28 + 1, number, number)


FAULTS = {
    "too few columns": (b"2024-01-05,1.5\n", "y", "Expected Number of Columns: 4 Found: 2"),
    "too many columns": (b"2024-01-05,1.5,7,sun,extra\n", "", "Expected Number of Columns: 4 Found: 5"),
    "a bad encoding": (b"2024-01-05,1.5,7,s\xff\xfen\n", "sky", "not utf-8"),
    "no number": (b"2024-01-05,warm,7,sun\n", "x", "\"warm\" to 'DOUBLE'"),
    "no date": (b"2024-02-31,1.5,7,sun\n", "at", "2024-02-31"),
}


@pytest.fixture
def section_of(section: Make, tmp_path: Path) -> Callable[..., DataSection]:
    """A section over one or several sources of x, y and sky."""

    def made(**changes: Any) -> DataSection:
        features = {"x": {"kind": "numeric"}, "sky": {"kind": "category"}}
        values = {"query": "SELECT * FROM source", "time": "at", "target": "y", "features": features}
        return section(**({"sources": {"s": tmp_path / "s.csv"}} | values | changes))

    return made


def plant(path: Path, faults: dict[int, bytes], rows: int = ROWS) -> None:
    """A file of good rows with some lines replaced."""
    lines = [line(number) for number in range(2, rows + 2)]
    for number, bad in faults.items():
        lines[number - 2] = bad
    path.write_bytes(HEADER + b"".join(lines))


def set_aside(section: DataSection) -> list[dict[str, str]]:
    """What stands in the quarantine's file."""
    with section.quarantine.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", [12, LATE], ids=["early", "late"])
def test_a_bad_line_of_each_kind_is_found_with_its_number(
    fault: str, at: int, section_of: Make, tmp_path: Path
) -> None:
    bad, column, reason = FAULTS[fault]
    plant(tmp_path / "s.csv", {at: bad}, rows=LATE + 100)
    data = section_of(max_bad_rows=0.001)
    found = collected(data)
    assert len(found.rows) == LATE + 99
    assert (found.report.bad.rows, found.report.sources[0].bad_rows) == (1, 1)
    (row,) = set_aside(data)
    assert (row["source"], row["file"], row["line"], row["column"]) == ("s", "s.csv", str(at), column)
    assert reason in row["reason"]
    assert row["text"].startswith(bad.decode(errors="replace")[:10])


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("named", ["source", "sources"])
def test_any_bad_line_fails_by_default_and_is_told(fault: str, named: str, section_of: Make, tmp_path: Path) -> None:
    bad, _, reason = FAULTS[fault]
    plant(tmp_path / "s.csv", {17: bad})
    places: dict[str, Any] = {"source": tmp_path / "s.csv", "sources": {}} if named == "source" else {}
    data = section_of(**places)
    with pytest.raises(InvalidInput) as caught:
        collected(data)
    assert "s.csv:17" in str(caught.value)
    assert reason in str(caught.value)
    assert "data.max_bad_rows" in str(caught.value)
    assert str(data.quarantine) in str(caught.value)
    assert "17" in {row["line"] for row in set_aside(data)}


def test_many_faults_are_counted_by_reason_and_the_rest_is_all_there(section_of: Make, tmp_path: Path) -> None:
    bad = {20 + place: content for place, (content, _, _) in enumerate(FAULTS.values())} | {40: b"soon,warm,7,sun\n"}
    plant(tmp_path / "s.csv", bad)
    data = section_of(max_bad_rows=0.01)
    found = collected(data)
    assert found.rows.target.sum() == sum(range(2, ROWS + 2)) - sum(bad)
    assert found.report.bad.rows == 6
    assert found.report.bad.share == pytest.approx(6 / ROWS)
    assert found.report.bad.reasons == {
        "s: cast": 4,  # two of them in one row
        "s: invalid encoding": 1,
        "s: missing columns": 1,
        "s: too many columns": 1,
    }
    assert {int(row["line"]) for row in set_aside(data)} == set(bad)


def test_a_share_above_the_limit_fails(section_of: Make, tmp_path: Path) -> None:
    plant(tmp_path / "s.csv", dict.fromkeys(range(100, 161), b"2024-01-05,warm,7,sun\n"))
    with pytest.raises(InvalidInput, match=r"expected at most 1\.000% bad rows, got 61 of 5000; .* 0\.013 or more"):
        collected(section_of(max_bad_rows=0.01))
    data = section_of(max_bad_rows=0.0122)
    assert [int(row["line"]) for row in set_aside(data)] == list(range(100, 161))
    assert collected(data).report.bad.rows == 61


def test_the_file_goes_when_no_row_is_bad_any_more(section_of: Make, tmp_path: Path) -> None:
    """Unless it is none of ours."""
    plant(tmp_path / "s.csv", {9: b"2024-01-05,warm,7,sun\n"})
    data = section_of(max_bad_rows=0.01)
    collected(data)
    assert [path.name for path in tmp_path.iterdir() if path != tmp_path / "s.csv"] == ["quarantine.csv"]
    plant(tmp_path / "s.csv", {})
    assert collected(data).report.bad.file == ""
    assert not data.quarantine.exists()
    data.quarantine.write_text("at,x\n", encoding="utf-8")
    collected(data)
    assert data.quarantine.exists()


def test_a_file_that_cannot_be_finished_leaves_the_one_before(
    section_of: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path / "s.csv", {9: b"2024-01-05,warm,7,sun\n"})
    data = section_of(max_bad_rows=0.01)
    collected(data)
    before = data.quarantine.read_bytes()
    plant(tmp_path / "s.csv", {10: b"2024-01-05,warm,7,sun\n"})

    def full(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.replace", full)
        with pytest.raises(OSError, match="no space left"):
            collected(data)
    assert data.quarantine.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"s.csv", "quarantine.csv"}


def test_a_single_source_may_let_them_go_too(section_of: Make, tmp_path: Path) -> None:
    plant(tmp_path / "s.csv", {9: b"2024-01-05,warm,7,sun\n"})
    data = section_of(source=tmp_path / "s.csv", sources={}, max_bad_rows=0.01)
    assert collected(data).report.bad.rows == 1
    assert set_aside(data)[0]["line"] == "9"


def test_a_single_source_is_read_as_it_would_be_without(section_of: Make, tmp_path: Path) -> None:
    """By its own delimiter."""
    lines = b"".join([HEADER, *(line(number) for number in range(3, 200)), b"2024-01-05,warm,7,sun\n"])
    (tmp_path / "s.csv").write_bytes(lines.replace(b",", b";"))
    data = section_of(source=tmp_path / "s.csv", sources={}, max_bad_rows=0.01)
    assert len(collected(data).rows) == 197
    assert set_aside(data)[0]["line"] == "199"


BROKEN_QUOTES = {b'2024-01-05,1.5,7,"sun" x\n': 1, b'2024-01-05,1.5,7,"sun\n': 2}
"""Lines whose quote does not end, and how many lines it takes along."""


@pytest.mark.parametrize("bad", BROKEN_QUOTES)
@pytest.mark.parametrize("at", [12, LATE], ids=["early", "late"])
def test_a_broken_quote_does_not_take_the_others_for_letters(
    bad: bytes, at: int, section_of: Make, tmp_path: Path
) -> None:
    lines = [b'2024-01-%02d,1.5,%d,"sun, ""sun"""\n' % (n % 28 + 1, n) for n in range(2, LATE + 100)]
    lines[at - 2] = bad
    (tmp_path / "s.csv").write_bytes(HEADER + b"".join(lines))
    data = section_of(max_bad_rows=0.01)
    found = collected(data)
    lost = range(at, at + BROKEN_QUOTES[bad])
    assert found.rows.target.sum() == sum(range(2, LATE + 100)) - sum(lost)
    assert set(found.rows.columns["sky"]) == {'sun, "sun"'}
    rows = set_aside(data)
    assert {row["line"] for row in rows} == {str(at)}
    assert "unterminated quote" in rows[0]["reason"] + rows[-1]["reason"]


def test_bad_lines_of_several_files_are_told_apart(section_of: Make, tmp_path: Path) -> None:
    plant(tmp_path / "a.csv", {5: b"2024-01-05\n"})
    plant(tmp_path / "b.csv", {7: b"2024-01-05,warm,7,sun\n"})
    data = section_of(sources={"s": tmp_path / "?.csv"}, max_bad_rows=0.01)
    collected(data)
    assert {(row["file"], row["line"]) for row in set_aside(data)} == {("a.csv", "5"), ("b.csv", "7")}


def test_files_of_one_name_are_told_with_their_folders(section_of: Make, tmp_path: Path) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
        plant(tmp_path / folder / "s.csv", {5: b"2024-01-05\n"} if folder == "b" else {})
    data = section_of(sources={"s": tmp_path / "*" / "s.csv"}, max_bad_rows=0.01)
    collected(data)
    assert set_aside(data)[0]["file"] == "b/s.csv"


def test_lines_that_are_no_json_are_set_aside(section_of: Make, tmp_path: Path) -> None:
    good = [b'{"at": "2024-01-%02d", "x": %d, "y": 1, "sky": "sun"}\n' % (n % 28 + 1, n) for n in range(100)]
    broken = {6: b'{"at": "2024-01-01", "x": \n', 9: b"[1, 2]\n", 12: b'{"at": "2024-01-01", "sky": "\xff"}\n'}
    for number, content in broken.items():
        good[number - 1] = content
    (tmp_path / "s.jsonl").write_bytes(b"".join(good))
    data = section_of(sources={"s": tmp_path / "s.jsonl"}, max_bad_rows=0.1)
    found = collected(data)
    assert (len(found.rows), found.report.bad.rows) == (97, 3)
    rows = {int(row["line"]): row["reason"] for row in set_aside(data)}
    assert rows.keys() == broken.keys()
    assert "Expected `object`, got `array`" in rows[9]
    with pytest.raises(InvalidInput, match=r"s\.jsonl:6: no JSON object"):
        collected(section_of(sources={"s": tmp_path / "s.jsonl"}))


def test_values_of_unlike_kinds_in_json_are_judged_by_what_is_needed(section_of: Make, tmp_path: Path) -> None:
    """A word, an object and a truth among numbers are set aside; a number in quotes and a null are none of them."""
    rows: list[dict[str, Any]] = [
        {"at": f"2024-01-{n % 28 + 1:02d}", "x": n + 0.5, "y": n, "sky": "sun"} for n in range(100)
    ]
    rows[3]["x"], rows[5]["x"], rows[7]["y"], rows[8]["x"] = "warm", {"warm": 1}, True, None
    rows[9]["x"], rows[11]["at"], rows[13]["sky"] = "7.25", 5, 6
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    data = section_of(sources={"s": tmp_path / "s.jsonl"}, max_bad_rows=0.5)
    found = collected(data)
    assert {row["text"] for row in set_aside(data)} == {"warm", '{"warm":1}', "true", "5"}
    order = found.rows.target.argsort()
    kept = [row for place, row in enumerate(rows) if place not in {3, 5, 7, 11}]
    expected = [np.nan if row["x"] is None else float(row["x"]) for row in kept]
    np.testing.assert_array_equal(found.rows.columns["x"][order], np.array(expected, dtype=np.float32))
    assert found.rows.columns["sky"][order].tolist() == [str(row["sky"]) for row in kept]
    with pytest.raises(InvalidInput, match="got 4 of 100"):
        collected(section_of(sources={"s": tmp_path / "s.jsonl"}))
    declared = {"s": {"path": tmp_path / "s.jsonl", "columns": {"x": "DOUBLE"}}}
    collected(section_of(sources=declared, max_bad_rows=0.5))
    assert {row["line"] for row in set_aside(data) if row["column"] == "x"} == {"4", "6"}


def test_values_of_other_forms_are_judged_by_what_the_features_need(section_of: Make, tmp_path: Path) -> None:
    """A sheet holds what people type: a word among numbers, an error among values, a date that is none."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["at", "x", "y", "sky"])
    for number in range(2, 102):
        sheet.append([f"2024-01-{number % 28 + 1:02d}", number, number, "sun"])
    sheet["B7"], sheet["A9"], sheet["C11"] = "warm", "someday", "#DIV/0!"
    book.save(tmp_path / "s.xlsx")
    data = section_of(sources={"s": tmp_path / "s.xlsx"}, max_bad_rows=0.1)
    found = collected(data)
    assert found.rows.target.sum() == sum(range(2, 102)) - 7 - 9 - 11
    rows = {row["column"]: row for row in set_aside(data)}
    assert (rows["y"]["line"], rows["y"]["text"]) == ("11", "#DIV/0!")
    assert (rows["x"]["text"], rows["x"]["reason"]) == ("warm", "expected double, got warm")
    assert rows["at"]["text"] == "someday"
    declared = {"s": {"path": tmp_path / "s.xlsx", "columns": {"x": "DOUBLE", "at": "DATE"}}}
    collected(section_of(sources=declared, max_bad_rows=0.1))
    assert {row["column"]: row["line"] for row in set_aside(data)} == {"x": "7", "at": "9", "y": "11"}


def test_the_chapter_says_what_was_set_aside(section_of: Make, tmp_path: Path) -> None:
    plant(tmp_path / "s.csv", {9: b"2024-01-05,warm,7,sun\n"})
    told = chapter(collected(section_of(max_bad_rows=0.01)).report)
    assert told.summary.startswith("4,999 rows of 1 source; 1 bad row set aside in ")
    assert [table.title for table in told.tables] == ["Sources", "Bad rows by reason", "Some bad rows"]
    assert told.tables[0].rows == [["s", "csv", "s.csv", 4999, 1]]
    assert told.tables[2].rows[0][:3] == ["s.csv", 9, "x"]
    assert len(told.warnings) == 1


@pytest.mark.parametrize("form", ["csv", "csv.gz"])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_bytes_that_are_no_utf_8_are_shown_as_what_they_are(
    form: str, ending: bytes, mark: bytes, section_of: Make, tmp_path: Path
) -> None:
    """Also of a quoted value of two lines, and of the last line."""
    lines = [line(number).rstrip() for number in range(2, 60)]
    lines[5], lines[-1] = b'2024-01-05,1.5,7,"Gr\xfc\xdfe,' + ending + b'caf\xe9"', b"2024-01-05,1.5,7,\xff"
    content = mark + HEADER.rstrip() + ending + ending.join(lines) + ending
    (tmp_path / f"s.{form}").write_bytes(gzip.compress(content) if form == "csv.gz" else content)
    data = section_of(sources={"s": tmp_path / f"s.{form}"}, max_bad_rows=0.1)
    assert len(collected(data).rows) == 56
    shown = [row["text"] for row in set_aside(data)]
    assert shown == [r'2024-01-05,1.5,7,"Gr\xfc\xdfe,' + ending.decode() + r'caf\xe9"', r"2024-01-05,1.5,7,\xff"]


def test_each_source_is_judged_by_its_own_rows(section_of: Make, tmp_path: Path) -> None:
    """Three bad rows of ten are too many, though beside five thousand good ones they are few."""
    plant(tmp_path / "large.csv", {})
    plant(tmp_path / "small.csv", dict.fromkeys((3, 5, 7), b"2024-01-05,warm,7,sun\n"), rows=10)
    sources = {name: tmp_path / f"{name}.csv" for name in ("large", "small")}
    shape = {"sources": sources, "join": [{"left": "large", "right": "small", "how": "append"}]}
    with pytest.raises(InvalidInput, match=r"small\.csv:3, .* got 3 of 10 in small; .*data\.max_bad_rows: 0\.3 or"):
        collected(section_of(**shape, max_bad_rows=0.01))
    found = collected(section_of(**shape, max_bad_rows=0.3))
    assert (len(found.rows), found.report.bad.rows) == (5007, 3)
    assert found.report.bad.source == "small"
    assert found.report.bad.share == pytest.approx(0.3)
    assert chapter(found.report).warnings[0].startswith("3 rows (at most 30.000% of small) could not be read")


def test_a_column_of_words_that_was_called_numeric_is_told_with_what_to_do(section_of: Make, tmp_path: Path) -> None:
    """By line of the file, or by row where a query stands between them; not to set all rows aside."""
    plant(tmp_path / "s.csv", {})
    wrong = {"features": {"sky": {"kind": "numeric"}}, "source": tmp_path / "s.csv", "sources": {}}
    with pytest.raises(InvalidInput, match=r's\.csv:2, column "sky".*"sun" to.*say kind: category') as caught:
        collected(section_of(**wrong))
    assert "max_bad_rows" not in str(caught.value)
    query = "SELECT * REPLACE (CASE WHEN y > 6 THEN sky END AS sky) FROM source"
    with pytest.raises(InvalidInput, match=r"column \"sky\", row 6: expected numbers, got 'sun'; say kind: category"):
        collected(section_of(**wrong, query=query))
    target = {"features": {"x": {"kind": "numeric"}}, "target": "sky", "query": query}
    with pytest.raises(InvalidInput, match=r"column \"sky\" of s\.csv, row 6: .*say model\.task: classification"):
        collected(section_of(**(wrong | target)))


def test_a_file_of_another_encoding_is_told_which_option_says_so(section_of: Make, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_bytes(
        HEADER + "".join(f"2024-01-05,1.5,{n},Grün\n" for n in range(30)).encode("latin-1")
    )
    with pytest.raises(InvalidInput, match=r"s\.csv:2, .*say options: \{encoding: latin-1\}"):
        collected(section_of(source=tmp_path / "s.csv", sources={}))
    source = {"path": tmp_path / "s.csv", "options": {"encoding": "latin-1"}}
    assert set(collected(section_of(sources={"s": source})).rows.columns["sky"]) == {"Grün"}


def test_faults_planted_in_the_bikes_year_are_counted_by_reason_and_the_rest_is_what_pandas_has(
    section: Make, bikes: Path, tmp_path: Path
) -> None:
    """Four kinds at 45 of 8,645 lines; nothing else goes."""
    lines = bikes.read_bytes().splitlines()
    drawn = np.random.default_rng(0).choice(np.arange(1, len(lines)), 45, replace=False)
    ragged, strange, words, days = np.split(drawn, [10, 15, 35])
    for place in ragged:
        lines[place] = lines[place].rpartition(b",")[0]
    for place in strange:
        lines[place] = lines[place].replace(b'"', b'"\xff', 1)
    for place in words:
        lines[place] = lines[place].rpartition(b",")[0] + b",many"
    for place in days:
        parts = lines[place].split(b",")
        lines[place] = b",".join([*parts[:2], b"someday", *parts[3:]])
    (tmp_path / "bikes.csv").write_bytes(b"\n".join(lines) + b"\n")
    source = {"path": tmp_path / "bikes.csv", "columns": {"day": "BIGINT", "bikers": "DOUBLE"}}
    query = section().query.partition("WHERE")[0]
    data = section(sources={"bikes": source}, query=query, max_bad_rows=0.01)
    found = collected(data)
    assert found.report.bad.reasons == {
        "bikes: cast": 30,
        "bikes: missing columns": 10,
        "bikes: invalid encoding": 5,
    }
    frame = pd.read_csv(bikes)
    frame = frame[~np.isin(frame.index, drawn - 1)]
    assert (len(frame), len(found.rows), found.report.bad.rows) == (8600, 8600, 45)
    assert found.rows.target.sum() == frame.bikers.sum()
    assert {int(row["line"]) - 1 for row in set_aside(data)} == set(drawn)
