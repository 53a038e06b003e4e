"""Later lines of a file say more than the first ones, by which its types are found: nothing is rounded, cut or lost."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from staytrue.errors import InvalidInput
from staytrue.signature import MISSING_INTEGER
from training.data.collect.source import collect, collected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.preparation import DataSection

    Make = Callable[..., DataSection]

ROWS = 21_000
"""More than DuckDB looks at to find the types."""
DAY = 86_400
FIRST = 1_704_067_200
"""2024-01-01 in Unix seconds."""


@pytest.fixture(params=["source", "lenient", "sources"])
def over(request: pytest.FixtureRequest, section: Make, tmp_path: Path) -> Make:
    """A section over one file, in each of the three ways to read it."""

    def made(lines: list[str], head: str = "at,x,y", **changes: Any) -> DataSection:
        path = tmp_path / "s.csv"
        path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
        places: dict[str, Any] = {"source": path, "sources": {}}
        if request.param == "lenient":
            places["max_bad_rows"] = 0.5
        if request.param == "sources":
            places = {"sources": {"source": path}}
        features = {"x": {"kind": "numeric"}}
        values = {"query": "SELECT * FROM source", "time": "at", "target": "y", "features": features}
        return section(**(places | values | changes))

    return made


def lines_of(rows: int = ROWS, day: str = "2024-01-01") -> list[str]:
    """Whole numbers and days alone."""
    return [f"{day},{number},1" for number in range(rows)]


def set_aside(section: DataSection) -> list[dict[str, str]]:
    """What stands in the quarantine's file."""
    with section.quarantine.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_fractions_that_come_late_are_what_they_are(over: Make) -> None:
    """In a feature and a target, which nothing else reads."""
    rows = collect(over([*lines_of(), "2024-01-01,7.5,2.25", "2024-01-01,7.0,1e-3"]))[0]
    np.testing.assert_array_equal(rows.columns["x"][-2:], np.array([7.5, 7], dtype=np.float32))
    assert rows.target[-2:].tolist() == [2.25, 0.001]


def test_fractions_that_come_late_reach_a_query_that_computes(over: Make) -> None:
    query = 'SELECT "at", x * 2 AS x, y + x AS y FROM source'
    rows = collect(over([*lines_of(), "2024-01-01,7.5,1"], query=query))[0]
    assert (rows.columns["x"][-1], rows.target[-1]) == (15, 8.5)


def test_whole_numbers_stay_whole_for_a_query(over: Make) -> None:
    """Also beyond what a float holds."""
    features = {"x": {"kind": "numeric", "datatype": "INT64"}, "odd": {"kind": "numeric"}}
    large = 2**53 + 1
    query = "SELECT *, x // 2 AS odd FROM source"
    rows = collect(over([*lines_of(), f"2024-01-01,{large},1"], query=query, features=features))[0]
    assert (rows.columns["x"][-1], rows.columns["odd"][7]) == (large, 3)


def test_times_that_come_late_are_no_days(over: Make) -> None:
    """Days are midnight in UTC; times may have an offset."""
    late = ["2024-01-02 10:30:00,1,1", "2024-01-02T10:30:00+02:00,1,1", "2024-01-02,1,1"]
    rows = collect(over([*lines_of(), *late]))[0]
    expected = [FIRST + DAY, FIRST + DAY + 8.5 * 3600, FIRST + DAY + 10.5 * 3600]
    assert rows.time[-3:].tolist() == expected


def test_times_that_come_late_reach_a_date_and_a_query_that_computes(over: Make) -> None:
    late = ["2024-01-02 10:30:00,1,1"]
    dated = over([*lines_of(), *late], features={"at": {"kind": "date"}})
    assert collect(dated)[0].columns["at"][-1] == FIRST + DAY + 10.5 * 3600
    query = "SELECT date_trunc('hour', source.at) AS at, x, y FROM source"
    assert collect(over([*lines_of(), *late], query=query))[0].time[-1] == FIRST + DAY + 10 * 3600


def test_times_that_come_late_are_read_as_the_days_are_written(over: Make) -> None:
    """Day first: no database knows that by itself."""
    lines = [*lines_of(day="31.01.2024"), "02.02.2024 10:30,1,1", "02.02.2024 10:30:15,1,1"]
    expected = FIRST + 32 * DAY + 10.5 * 3600
    assert collect(over(lines))[0].time[-2:].tolist() == [expected, expected + 15]
    query = "SELECT source.at + INTERVAL 1 HOUR AS at, x, y FROM source"
    assert collect(over(lines, query=query))[0].time[-1] == expected + 3615


def test_declared_whole_numbers_are_never_rounded(section: Make, tmp_path: Path) -> None:
    """A fraction is a bad row, with the line of the file; what is written 7.0 is whole."""
    lines = ["2024-01-01,1,1", "2024-01-01,7.5,2", "", "2024-01-01,7.0,3", "2024-01-01,300,4", "2024-01-01,x,5"]
    (tmp_path / "s.csv").write_text("\n".join(["at,x,y", *lines]) + "\n")
    source = {"path": tmp_path / "s.csv", "columns": {"x": "UTINYINT"}}
    values = {"query": "SELECT * FROM s", "time": "at", "target": "y", "features": {"x": {"kind": "numeric"}}}
    data = section(sources={"s": source}, max_bad_rows=0.7, **values)
    found = collected(data)
    assert found.rows.columns["x"].tolist() == [1, 7]
    assert found.report.bad.rows == 3
    assert [(row["line"], row["text"]) for row in set_aside(data)] == [("3", "7.5"), ("6", "300"), ("7", "x")]
    assert set_aside(data)[0]["reason"] == "expected whole numbers, got 7.5"


def test_declared_whole_numbers_of_other_forms_are_never_rounded(section: Make, tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text("".join(f'{{"at": "2024-01-01", "x": {x}, "y": 1}}\n' for x in (1, 7.5, 8)))
    source = {"path": tmp_path / "s.jsonl", "columns": {"x": "INTEGER"}}
    values = {"query": "SELECT * FROM s", "time": "at", "target": "y", "features": {"x": {"kind": "numeric"}}}
    data = section(sources={"s": source}, max_bad_rows=0.5, **values)
    assert collected(data).rows.columns["x"].tolist() == [1, 8]
    assert [(row["line"], row["reason"]) for row in set_aside(data)] == [("2", "expected integer, got 7.5")]


def test_words_that_come_late_among_whole_numbers_are_told_with_their_lines(over: Make) -> None:
    data = over([*lines_of(), "2024-01-01,warm,1"], query="SELECT *, x + 1 AS more FROM source")
    if not data.max_bad_rows:
        with pytest.raises(InvalidInput, match=rf's\.csv:{ROWS + 2}, column "x": .* "warm" to \'BIGINT\''):
            collected(data)
        return
    assert collected(data).report.bad.rows == 1
    assert set_aside(data)[0]["line"] == str(ROWS + 2)


def test_lines_that_look_like_comments_are_rows(over: Make) -> None:
    """Of a category a name, of a time none."""
    lines = [f"2024-01-01,#{number},1" for number in range(100)]
    lines[40] = "#2024-01-01,7,1"
    data = over(lines, features={"x": {"kind": "category"}})
    if not data.max_bad_rows:
        with pytest.raises(InvalidInput, match=r's\.csv:42, column "at"'):
            collected(data)
        return
    assert len(collected(data).rows) == 99
    assert [(row["line"], row["column"]) for row in set_aside(data)] == [("42", "at")]
    named = [f"{number},2024-01-01,1" for number in range(100)]
    named[40] = "#40,2024-01-01,1"
    found = collect(over(named, head="x,at,y", features={"x": {"kind": "category"}}))[0]
    assert "#40" in found.columns["x"].tolist()


def test_quotes_that_come_late_are_quotes(over: Make) -> None:
    lines = [*lines_of(), '2024-01-01,"7,25",1']
    rows = collect(over(lines, features={"x": {"kind": "category"}}))[0]
    assert rows.columns["x"][-1] == "7,25"


def test_names_that_are_numbers_are_called_as_they_are_written(over: Make) -> None:
    """But for the needless zeros of whole ones; and a word that comes late is a name as they are."""
    lines = [*(f"2024-01-01,{x},1" for x in ("1.50", "3.0", " 4", "2.25", "")), *lines_of(), "2024-01-01,other,1"]
    rows = collect(over(lines, features={"x": {"kind": "category"}}))[0]
    assert rows.columns["x"][:6].tolist() == ["1.50", "3", "4", "2.25", "", "0"]
    assert rows.columns["x"][-1] == "other"


MARKS = ("N/A", "n/a", "NA", "NaN", "null", "NONE", "?", "-", "")


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("query", ["SELECT * FROM source", "SELECT * FROM source WHERE y > 0"])
def test_words_for_missing_values_are_missing_numbers_and_stay_names(over: Make, query: str, early: bool) -> None:
    """Wherever they come: `staytrue init` takes the same for missing."""
    marked = [f"2024-01-01,{mark},1,sun{mark}" for mark in MARKS]
    plain = [f"2024-01-01,{number},1,{'NA' if number == 3 else 'sun'}" for number in range(ROWS)]
    lines = [*marked, *plain] if early else [*plain, *marked]
    features = {"x": {"kind": "numeric"}, "z": {"kind": "category"}}
    rows = collect(over(lines, head="at,x,y,z", features=features, query=query))[0]
    assert np.isnan(rows.columns["x"]).sum() == len(MARKS)
    assert (rows.columns["z"] == "NA").sum() == 1
    whole = features | {"x": {"kind": "numeric", "datatype": "INT64"}}
    rows = collect(over(lines, head="at,x,y,z", features=whole, query=query))[0]
    assert (rows.columns["x"] == MISSING_INTEGER).sum() == len(MARKS)


def test_words_for_missing_values_are_those_that_an_option_says(section: Make, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("at,x,y\n2024-01-01,1,1\n2024-01-01,NA,2\n2024-01-01,nix,3\n")
    source = {"path": tmp_path / "s.csv", "options": {"nullstr": ["", "nix"]}}
    values = {"query": "SELECT * FROM s", "time": "at", "target": "y", "features": {"x": {"kind": "numeric"}}}
    data = section(sources={"s": source | {"columns": {"x": "DOUBLE"}}}, max_bad_rows=0.5, **values)
    assert [str(value) for value in collect(data)[0].columns["x"]] == ["1.0", "nan"]
    assert [row["text"] for row in set_aside(data)] == ["2024-01-01,NA,2"]


@pytest.mark.parametrize(
    ("amounts", "number"),
    [(("$1,200.50", "$7"), 1200.5), (("1.200,50 \u20ac", "7,00 \u20ac"), 1200.5)],
    ids=["dollar", "euro"],
)
def test_money_is_told_with_the_query_that_reads_it(over: Make, amounts: tuple[str, str], number: float) -> None:
    lines = [f'2024-01-01,"{amount}",1' for amount in amounts]
    with pytest.raises(InvalidInput, match=r'column "x".*it holds money: say data\.query: SELECT') as caught:
        collect(over(lines, max_bad_rows=0))
    query = str(caught.value).partition("say data.query: ")[2]
    assert collect(over(lines, query=query))[0].columns["x"].tolist() == [number, 7]
    filtered = over(lines, query="SELECT * FROM source WHERE y > 0", max_bad_rows=0)
    with pytest.raises(InvalidInput, match=r"it holds money: say data\.query: SELECT"):
        collect(filtered)


def test_what_stands_above_the_names_is_left_out_and_told(section: Make, tmp_path: Path) -> None:
    """Of a single file, of which nothing else is said; lines below it stay rows."""
    path = tmp_path / "s.csv"
    path.write_text("# by me\n# 2024\nat,x,y\n" + "\n".join(lines_of(100)) + "\n#2024-01-01,3,1\n")
    values = {"query": "SELECT * FROM source", "time": "at", "target": "y", "features": {"x": {"kind": "numeric"}}}
    data = section(source=path, sources={}, max_bad_rows=0.5, **values)
    found = collected(data)
    assert (len(found.rows), found.report.bad.rows) == (100, 1)
    assert [row["line"] for row in set_aside(data)] == ["104"]
    assert found.report.notes == ["s.csv: what stands above the names is left out: 2 lines"]
