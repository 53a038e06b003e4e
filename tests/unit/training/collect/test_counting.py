"""How many rows are set aside, and which lines of which file they are, whatever was set aside before."""

from __future__ import annotations

import csv
import gzip
import json
import sqlite3
import tracemalloc
from typing import TYPE_CHECKING, Any

import duckdb
import openpyxl
import pytest

from staytrue.errors import InvalidInput
from training.data.collect.source import collected
from training.data.collect.straight import straightened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.preparation import DataSection
    from training.data.collect.origins import Records

    Make = Callable[..., DataSection]

NUMBERS = {"x": {"kind": "numeric"}}


@pytest.fixture
def section_of(section: Make) -> Callable[..., DataSection]:
    """A section of x and y; nearly all rows may be bad."""

    def made(sources: Any, **changes: Any) -> DataSection:
        values = {
            "query": "SELECT * FROM source",
            "time": "at",
            "target": "y",
            "features": NUMBERS,
            "max_bad_rows": 0.9,
        }
        return section(**({"sources": sources} | values | changes))

    return made


def lines_of(rows: int, **changes: str) -> str:
    """A file's content; ``line_7`` replaces that line."""
    lines = ["at,x,y,note", *(f"2024-01-01,{number},{number},sun" for number in range(2, rows + 2))]
    for key, content in changes.items():
        lines[int(key.removeprefix("line_")) - 1] = content
    return "\n".join(lines) + "\n"


def told(section: DataSection) -> list[tuple[str, str, str]]:
    """File, line and column of each fault in the quarantine's file."""
    with section.quarantine.open(encoding="utf-8", newline="") as stream:
        return [(row["file"], row["line"], row["column"]) for row in csv.DictReader(stream)]


def test_rows_set_aside_by_several_steps_are_each_counted_and_keep_their_lines(
    section_of: Make, tmp_path: Path
) -> None:
    """By the reader, by a declared type, by a feature and by a schema."""
    bad = {"line_3": "2024-01-01", "line_4": "2024-01-01,3.5,4,sun", "line_6": "2024-01-01,6,6.5,sun"}
    path, schema = tmp_path / "s.csv", tmp_path / "schema.yaml"
    path.write_text(lines_of(10, **bad, line_8="2024-01-01,99,8,sun", line_9="2024-01-01,9,many,sun"))
    schema.write_text("columns:\n  at: {type: time}\n  y: {type: number}\n  x: {type: number, maximum: 50}\n")
    features = {"x": {"kind": "numeric"}}
    data = section_of({"s": {"path": path, "columns": {"x": "INTEGER"}}}, schema_file=schema, features=features)
    found = collected(data)
    assert {line for _, line, _ in told(data)} == {"3", "4", "8", "9"}
    assert (found.report.bad.rows, len(found.rows)) == (4, 6)
    assert found.report.bad.share == pytest.approx(0.4)
    assert [(source.rows, source.bad_rows) for source in found.report.sources] == [(6, 4)]


@pytest.mark.parametrize("form", ["csv", "csv.gz"])
def test_lines_are_those_of_the_file_below_blank_ones_and_values_of_several(
    form: str, section_of: Make, tmp_path: Path
) -> None:
    tall = {"line_3": '2024-01-01,3,3,"two\nlines"', "line_5": "\n", "line_6": "2024-01-01,warm,6,sun"}
    content = lines_of(12, **tall, line_9='2024-01-01,9,9,"a\n\nb"', line_11="2024-01-01,1.5,11,sun")
    content += "\n2024-01-01,9,cold,sun\n"
    (tmp_path / f"s.{form}").write_bytes(gzip.compress(content.encode()) if form == "csv.gz" else content.encode())
    data = section_of({"s": {"path": tmp_path / f"s.{form}", "columns": {"x": "INTEGER"}}})
    assert collected(data).report.bad.rows == 3
    expected = [
        number for number, line in enumerate(content.split("\n"), 1) if any(w in line for w in ("warm", "1.5", "cold"))
    ]
    assert [int(line) for _, line, _ in told(data)] == expected


def test_files_of_one_name_in_two_folders_do_not_hide_each_other(section_of: Make, tmp_path: Path) -> None:
    """The same lines of each are bad, so that only the folders tell them apart; of deeper ones too."""
    for folder in ("a/x", "b/x", "c/y"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "s.csv").write_text(lines_of(5, line_3="2024-01-01,warm,1,sun", line_5="2024-01-01"))
    data = section_of({"s": tmp_path / "**" / "s.csv"})
    assert collected(data).report.bad.rows == 6
    assert {file for file, _, _ in told(data)} == {"a/x/s.csv", "b/x/s.csv", "c/y/s.csv"}


def test_lines_of_several_files_are_counted_in_each(section_of: Make, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(lines_of(5, line_4="2024-01-01,3.5,4,sun", line_2="2024-01-01"))
    data = section_of({"s": {"path": tmp_path / "?.csv", "columns": {"x": "INTEGER"}}})
    assert collected(data).report.bad.rows == 4
    assert {(file, line) for file, line, _ in told(data)} == {(f"{n}.csv", line) for n in "ab" for line in ("2", "4")}


def test_an_open_quote_takes_all_lines_with_it(section_of: Make, tmp_path: Path) -> None:
    """To the end of the file, or to the next quote; each line counts, and lines below it keep their numbers."""
    path = tmp_path / "s.csv"
    path.write_text(lines_of(5000, line_4000='2024-01-01,4,4,"sun'))
    data = section_of({"s": path})
    found = collected(data)
    assert (len(found.rows), found.report.bad.rows) == (3998, 1002)
    assert found.report.bad.share == pytest.approx(1002 / 5000)
    (first,) = found.report.bad.examples
    assert (first.line, first.reason) == (
        4000,
        "Value with unterminated quote found. It takes the lines after it along, to line 5001.",
    )
    with pytest.raises(InvalidInput, match=r"s\.csv:4000, .*: Value with unterminated quote .* got 1002 of 5000"):
        collected(data.model_copy(update={"max_bad_rows": 0.2}))
    path.write_text(lines_of(50, line_10='2024-01-01,4,4,"sun', line_14='2024-01-01,4,4,"sun"', line_30="2024-01-01"))
    found = collected(data)
    assert (len(found.rows), found.report.bad.rows) == (44, 6)
    assert {line for _, line, _ in told(data)} == {"10", "30"}


def test_values_that_a_feature_cannot_hold_are_set_aside(section_of: Make, tmp_path: Path) -> None:
    """Dates that are none, fractions among whole numbers, sequences that are too long, no time, bytes for a text."""
    columns = {
        "at": "CASE WHEN i <> 1 THEN TIMESTAMP '2024-01-01' + to_days(i::INT) END",
        "y": "i * 1.0",
        "due": "CASE i WHEN 3 THEN 'someday' ELSE '2024-01-05' END",
        "n": "CASE i WHEN 5 THEN 7.5 ELSE i END",
        "walk": "CASE i WHEN 7 THEN [1.0, 2, 3] ELSE [1.0, 2] END",
        "note": "CASE i WHEN 9 THEN '\\xFF\\xFE'::BLOB ELSE 'sun'::BLOB END",
        "mark": "CASE i WHEN 11 THEN 18446744073709551615 ELSE i END::UBIGINT",
    }
    selected = ", ".join(f'{value} AS "{name}"' for name, value in columns.items())
    duckdb.sql(f"SELECT {selected} FROM range(20) AS r(i)").write_parquet(str(tmp_path / "s.parquet"))  # noqa: S608
    features = {
        "due": {"kind": "date"},
        "n": {"kind": "numeric", "datatype": "INT64"},
        "walk": {"kind": "sequence", "shape": [2, 1]},
        "mark": {"kind": "numeric", "datatype": "INT64"},
    }
    data = section_of({}, source=tmp_path / "s.parquet", features=features)
    found = collected(data)
    assert found.rows.target.tolist() == [0, 2, 4, 6, 8, 9, 10, *range(12, 20)]
    with data.quarantine.open(encoding="utf-8") as stream:
        rows = {int(row["line"]): row for row in csv.DictReader(stream)}
    assert {line: row["column"] for line, row in rows.items()} == {2: "at", 4: "due", 6: "n", 8: "walk", 12: "mark"}
    assert rows[4]["reason"] == "expected dates, ISO 8601 texts or Unix seconds, got 'someday'"
    assert rows[6]["reason"] == "expected whole numbers (INT64), got 7.5"
    assert found.report.bad.rows == 5
    assert found.report.bad.share == pytest.approx(0.25)
    with pytest.raises(InvalidInput, match=r"got 5 of 20"):
        collected(data.model_copy(update={"max_bad_rows": 0.2}))
    data.quarantine.unlink()
    with pytest.raises(InvalidInput, match=r"1 of 20 without: row 2; .*; all are in .*quarantine\.csv"):
        collected(data.model_copy(update={"max_bad_rows": 0}))
    assert len(told(data)) == 5


def test_rows_of_json_that_are_none_are_set_aside_with_their_lines(section_of: Make, tmp_path: Path) -> None:
    """Lists, scalars and broken lines, of two files; a declared type finds its lines below them."""
    for name in "ab":
        lines = [json.dumps({"at": "2024-01-01", "x": n, "y": n}) for n in range(10)]
        lines[2], lines[4], lines[6], lines[8] = "[1, 2]", "5", '"text"', '{"at": "2024-01-01", "x": 7.5, "y": 1}'
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    data = section_of({"s": {"path": tmp_path / "?.jsonl", "columns": {"x": "INTEGER"}}})
    found = collected(data)
    assert (len(found.rows), found.report.bad.rows) == (12, 8)
    expected = [(f"{name}.jsonl", line) for name in "ab" for line in ("3", "5", "7", "9")]
    assert [(file, line) for file, line, _ in told(data)] == expected
    (tmp_path / "lists.jsonl").write_text('{"at": "2024-01-01", "x": 1, "y": 1}\n[1]\n')
    data = section_of({"s": tmp_path / "lists.jsonl"})
    assert (len(collected(data).rows), [line for _, line, _ in told(data)]) == (1, ["2"])


def test_texts_of_sqlite_that_are_no_utf_8_are_set_aside(section_of: Make, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s.db") as database:
        database.execute("CREATE TABLE t (at TEXT, x REAL, y REAL, note TEXT)")
        for number in range(5):
            note = b"\xff\xfe" if number == 3 else b"sun"
            database.execute("INSERT INTO t VALUES ('2024-01-01', ?, ?, CAST(? AS TEXT))", (number, number, note))
    data = section_of(
        {"s": {"path": tmp_path / "s.db", "table": "t"}}, features=NUMBERS | {"note": {"kind": "category"}}
    )
    found = collected(data)
    assert (found.rows.target.tolist(), found.report.bad.rows) == ([0, 1, 2, 4], 1)
    assert told(data) == [("s.db", "4", "note")]


def test_cells_of_a_sheet_beyond_its_names_are_bad_rows(section_of: Make, tmp_path: Path) -> None:
    """Nothing that somebody wrote is dropped; lines below blank rows and those set aside are those of the sheet."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["at", "x", "y"])
    for number in range(2, 12):
        sheet.append(["2024-01-01", number, number])
    sheet["E4"], sheet["B9"] = "see below", "warm"
    for cell in ("A6", "B6", "C6"):
        sheet[cell] = None
    book.save(tmp_path / "s.xlsx")
    data = section_of({"s": {"path": tmp_path / "s.xlsx", "columns": {"x": "DOUBLE"}}})
    found = collected(data)
    assert (len(found.rows), found.report.bad.rows) == (7, 2)
    with data.quarantine.open(encoding="utf-8") as stream:
        rows = [(row["line"], row["reason"], row["text"]) for row in csv.DictReader(stream)]
    assert rows == [
        ("4", "a cell beside the 3 columns that have names: E4", "see below"),
        ("9", "expected double, got warm", "warm"),
    ]


@pytest.mark.parametrize(
    ("blank", "bad", "said"),
    [
        ([61], [41], [41]),
        ([21], [41], [41]),
        ([42], [41], [41]),
        ([40, 42, 44, 45, 90], [41, 43, 50, 51], [41, 43, 50, 51]),
        ([2500], [41, 2400, 2499, 2501], [41, 2400, 2499, 2501]),
    ],
    ids=["later", "before", "next", "many", "in another chunk"],
)
def test_blank_lines_move_no_bad_line(
    section_of: Callable[..., DataSection], tmp_path: Path, blank: list[int], bad: list[int], said: list[int]
) -> None:
    changes = {f"line_{line}": "" for line in blank} | {f"line_{line}": "soon,1,2,sun" for line in bad}
    (tmp_path / "rows.csv").write_text(lines_of(3000, **changes))
    section = section_of({"rows": tmp_path / "rows.csv"})
    found = collected(section)
    assert told(section) == [("rows.csv", str(line), "at") for line in said]
    assert len(found.rows) == 3000 - len(blank) - len(bad)


def test_lines_are_told_though_many_are_bad_and_only_those_of_a_chunk_are_held(
    section_of: Callable[..., DataSection], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every second line is bad, and so is one that reads as the names; of 8 MB a few lines are in memory."""
    lines, pad = ["at,x,y,sky"], "sun" * 40
    while len(lines) < 60_000:
        number = len(lines) + 1
        lines.append(f"2024-01-01,{number}{'soon' * (number % 2)},1,{pad}" if number % 20_000 else "")
    lines[40_001] = lines[0]
    (tmp_path / "s.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr("training.data.collect.origins._STEP", 1 << 16)
    peaks = list[int]()

    def measured(*given: Any) -> Records:
        tracemalloc.start()
        records = straightened(*given)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert records.lines.tolist() == [n for n, line in enumerate(lines, 1) if "soon" in line or n == 40_002]
        return records

    monkeypatch.setattr("training.data.collect.lost.straightened", measured)
    found = collected(section_of({"s": {"path": tmp_path / "s.csv", "columns": {"x": "DOUBLE"}}}))
    assert found.report.bad.rows == 30_000
    assert max(peaks) < 3_000_000
