"""Columns of one name: nobody can say which is meant, so no form of source hands one of them on in silence."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from staytrue.errors import InvalidConfig, InvalidInput
from training.data.collect.source import collected
from training.data.collect.twice import key_twice

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.preparation import DataSection

    Make = Callable[..., DataSection]

VALUES = {"query": "SELECT * FROM source", "time": "at", "target": "y", "features": {"x": {"kind": "numeric"}}}
ROWS = [["2024-01-01", 1, 2, 3], ["2024-01-02", 4, 5, 6]]


@pytest.fixture
def refused(section: Make) -> Callable[..., str]:
    """What a load says that fails."""

    def said(source: Any, **changes: Any) -> str:
        with pytest.raises(InvalidInput) as raised:
            collected(section(**{"sources": {"s": source}} | VALUES | changes))
        return str(raised.value)

    return said


def text(names: str, delimiter: str = ",", above: str = "") -> str:
    """A file of four columns."""
    rows = [delimiter.join(map(str, row)) for row in ROWS]
    return above + "\n".join([names, *rows]) + "\n"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("at,x,x,y", 'got "x" for columns 2 and 3;'),
        ("at,x,X,y", 'got "x" for columns 2 and 3, but for upper and lower case;'),
        ('at,x,"x",y', 'got "x" for columns 2 and 3;'),
        ("at,x, x ,y", 'got "x" for columns 2 and 3;'),
        ("y,y,x,y", 'got "y" for columns 1, 2 and 4;'),
    ],
)
def test_a_file_of_text_names_its_line_and_the_columns(
    names: str, expected: str, refused: Callable[..., str], section: Make, tmp_path: Path
) -> None:
    path, tabbed = tmp_path / "s.csv", tmp_path / "s.tsv"
    path.write_text(text(names))
    tabbed.write_text(text(names.replace(",", "\t"), "\t"))
    assert f"s.csv:1: expected each column by a name of its own, {expected}" in refused(path)
    assert f"s.tsv:1: expected each column by a name of its own, {expected}" in refused(tabbed)
    for limit in (0.0, 0.9):
        with pytest.raises(InvalidInput, match=r"s\.csv:1: expected each column by a name of its own"):
            collected(section(source=path, **VALUES, max_bad_rows=limit))


def test_the_line_is_that_of_the_names_and_what_the_message_says_helps(
    refused: Callable[..., str], section: Make, tmp_path: Path
) -> None:
    path = tmp_path / "s.csv"
    path.write_text(text("at;x;x;y", ";", above="a title\n"))
    said = refused({"path": path, "options": {"skip": 1}})
    assert "s.csv:2: expected" in said
    assert "options: {header: false, skip: 2}" in said
    query = "SELECT column0 AS at, column1 AS x, column3 AS y FROM source"
    source = {"path": path, "options": {"header": False, "skip": 2, "delim": ";"}}
    found = collected(section(sources={"s": source}, **VALUES | {"query": query}))
    assert found.rows.columns["x"].tolist() == [1, 4]
    path.write_text(text("#x,#x,at,y"))
    assert "s.csv:1: expected" in refused(path)
    path.write_text(text("at,x,,y").replace("at,x,,y", "at,x,,y,").replace("3\n", "3,\n").replace("6\n", "6,\n"))
    found = collected(section(sources={"s": path}, **VALUES))
    assert len(found.rows) == 2  # columns without a name are none of one name


@pytest.mark.parametrize("other", ["x", "X"])
def test_other_forms_name_the_columns_too(
    other: str, refused: Callable[..., str], section: Make, tmp_path: Path
) -> None:
    book = openpyxl.Workbook()
    for row in [["at", "x", other, "y"], *ROWS]:
        book.active.append(row)
    book.save(tmp_path / "s.xlsx")
    assert 's.xlsx, sheet Sheet, row 1: expected each column by a name of its own, got "x" for' in refused(
        tmp_path / "s.xlsx"
    )
    columns = [pa.array(values) for values in zip(*ROWS, strict=True)]
    pq.write_table(pa.Table.from_arrays(columns, names=["at", "x", other, "y"]), tmp_path / "s.parquet")
    expected = 's.parquet: expected each column by a name of its own, got "x" for columns 2 and 3'
    assert expected in refused(tmp_path / "s.parquet")
    with pytest.raises(InvalidInput, match=r"s\.parquet: expected each column"):
        collected(section(source=tmp_path / "s.parquet", **VALUES))
    with closing(sqlite3.connect(tmp_path / "s.db")) as database, database:
        database.execute("CREATE TABLE a (at, x, y)")
        database.execute("INSERT INTO a VALUES ('2024-01-01', 1, 2)")
    query = f"SELECT at, x, x + 1 AS {other}, y FROM a"  # noqa: S608 - ours
    said = refused({"path": tmp_path / "s.db", "query": query})
    assert 'data.sources.s: expected each column by a name of its own, got "x" for columns 2 and 3' in said
    assert said.endswith("name one of them otherwise in the query (AS), or leave it out")


def test_an_object_with_a_key_twice_is_a_bad_line(refused: Callable[..., str], section: Make, tmp_path: Path) -> None:
    """Of an object within it as well; a whole file of such says so."""
    path = tmp_path / "s.jsonl"
    good = [json.dumps({"at": f"2024-01-0{day}", "x": day, "y": day, "more": {"a": 1}}) for day in range(1, 6)]
    bad = [
        '{"at": "2024-01-07", "x": 1, "x": 2, "y": 3}',
        '{"at": "2024-01-08", "x": 1, "y": 3, "more": {"a": 1, "a": 2}}',
    ]
    path.write_text("\n".join([*good[:2], *bad, *good[2:], "what"]) + "\n")
    assert 's.jsonl:3: the key "x" more than once in an object: rename one of them' in refused(path)
    found = collected(section(sources={"s": path}, **VALUES, max_bad_rows=0.5))
    assert sorted(found.rows.columns["x"].tolist()) == [1, 2, 3, 4, 5]
    assert [(one.line, one.reason[:11]) for one in found.report.bad.examples] == [
        (3, 'the key "x"'),
        (4, 'the key "a"'),
        (8, "no JSON obj"),
    ]
    path.write_text("\n".join(bad) + "\n")
    assert 's.jsonl:1: the key "x" more than once' in refused(path, max_bad_rows=0.5)
    whole = tmp_path / "s.json"
    whole.write_text(f"[{bad[0]}]")
    assert 'has duplicate key "x"' in refused(whole)
    assert refused(whole).endswith("rename one of the keys, or take it out")


def test_a_query_with_two_columns_of_a_needed_name_is_refused(section: Make, tmp_path: Path) -> None:
    """Others may share a name, as joins make them."""
    path = tmp_path / "s.csv"
    path.write_text(text("at,x,z,y"))
    for query in ("SELECT *, x + 1 AS x FROM source", "SELECT *, x + 1 AS X FROM source"):
        with pytest.raises(InvalidConfig, match=r'data\.query: its result has two columns "x"; .* REPLACE'):
            collected(section(source=path, **VALUES | {"query": query}))
    found = collected(section(source=path, **VALUES | {"query": "SELECT *, 1 AS z FROM source"}))
    assert found.rows.columns["x"].tolist() == [1, 4]


def test_an_empty_file_of_lines_is_named(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text("")
    assert refused(tmp_path / "s.jsonl") == "data.sources.s: expected an object in some line, got nothing in s.jsonl"


@pytest.mark.parametrize("end", ["", ";", " -- all of them", "\n-- all;"])
def test_a_query_of_a_database_may_end_as_it_likes(end: str, section: Make, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "s.db")) as database, database:
        database.execute("CREATE TABLE a (at, x, y)")
        database.execute("INSERT INTO a VALUES ('2024-01-01', 1, 2)")
    source = {"path": tmp_path / "s.db", "query": f"SELECT * FROM a{end}"}  # noqa: S608 - ours
    assert collected(section(sources={"s": source}, **VALUES)).rows.columns["x"].tolist() == [1]


def test_a_key_twice_among_very_many_is_found_in_one_pass() -> None:
    """Counting each key among all of them would take minutes."""
    pairs = ",".join(f'"k{place}":1' for place in range(200_000))
    began = time.perf_counter()
    assert key_twice(f"{{{pairs}}}".encode()) == ""
    assert key_twice(f'{{{pairs},"k7":2}}'.encode()) == "k7"
    assert time.perf_counter() - began < 20
