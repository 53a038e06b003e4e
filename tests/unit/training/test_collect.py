"""Collect: files and queries to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from staytrue.errors import InvalidConfig, InvalidInput, NotFound, StaytrueError, Unsupported
from staytrue.feature import Feature
from staytrue.preparation import DataSection
from training.data.collect.source import collect

if TYPE_CHECKING:
    from pathlib import Path

CSV = "at,x,y\n2024-01-02,2,20\n2024-01-01,1,10\n"


def section(path: Path, **changes: Any) -> DataSection:
    """A data section over a file, with changes."""
    values = {"source": path, "time": "at", "target": "y", "features": {"x": Feature(kind="numeric")}}
    return DataSection.model_validate(values | changes)


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    """Two rows, the newer first."""
    path = tmp_path / "it's.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


def test_rows_come_in_time_order_with_unix_seconds(csv: Path) -> None:
    """A date is midnight UTC."""
    rows, fingerprint = collect(section(csv))
    assert rows.time.tolist() == [1704067200.0, 1704153600.0]
    assert rows.target.tolist() == [10, 20]
    assert (fingerprint.source, fingerprint.rows, list(fingerprint.columns)) == ("it's.csv", 2, ["at", "x", "y"])


def test_a_query_derives_columns_and_filters(csv: Path) -> None:
    """The query sees the file as ``source``."""
    query = "SELECT *, x * 2 AS double FROM source WHERE x > 1"
    rows, _ = collect(section(csv, query=query, features={"double": {"kind": "numeric"}}))
    assert rows.columns["double"].tolist() == [4.0]


def test_parquet_and_csv_of_the_same_rows_have_one_fingerprint(csv: Path, tmp_path: Path) -> None:
    """The digest is of the rows, not of the file."""
    parquet = tmp_path / "same.parquet"
    duckdb.read_csv(str(csv)).write_parquet(str(parquet))
    assert collect(section(csv))[1].sha256 == collect(section(parquet))[1].sha256


def test_texts_with_an_offset_mean_that_moment(tmp_path: Path) -> None:
    """ISO 8601 texts are understood, offset included."""
    path = tmp_path / "t.csv"
    path.write_text("at,x,y\nx2024-01-01T01:00:00,1,1\n", encoding="utf-8")
    query = """SELECT substr("at", 2) || '+01:00' AS "at", x, y FROM source"""
    rows, _ = collect(section(path, query=query))
    assert rows.time.tolist() == [1704067200.0]


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"target": "z"}, InvalidConfig, 'no column "z"'),
        ({"query": "SELEC"}, InvalidConfig, "data.query"),
        ({"time": "x"}, InvalidInput, 'time column "x": expected a timestamp'),
        (
            {"query": "SELECT NULL::TIMESTAMP AS at, x, y FROM source"},
            InvalidInput,
            "got 2 of 2 without: rows 1, 2, where the first has '2024-01-0",
        ),
        (
            {"query": "SELECT NULL::TIMESTAMP AS at, x, y FROM source LIMIT 1"},
            InvalidInput,
            "got 1 of 1 without: row 1; correct them, or leave them out: data.query with WHERE",
        ),
        ({"query": "SELECT 'soon' AS at, x, y FROM source"}, InvalidInput, "got 'soon'"),
        ({"query": "SELECT * FROM source WHERE false"}, InvalidInput, "expected at least one row"),
    ],
    ids=[
        "no such column",
        "broken query",
        "time is no time",
        "time missing",
        "time of other rows missing",
        "time is a word",
        "no rows",
    ],
)
def test_what_is_wrong_is_said(csv: Path, changes: dict[str, Any], kind: type[StaytrueError], said: str) -> None:
    """Each message names the place."""
    with pytest.raises(kind) as caught:
        collect(section(csv, **changes))
    assert said in str(caught.value)


def test_a_missing_file_and_a_foreign_format_are_refused(tmp_path: Path) -> None:
    """Not a stack trace of the reader."""
    with pytest.raises(NotFound):
        collect(section(tmp_path / "none.csv"))
    with pytest.raises(Unsupported, match=r"expected \.csv or \.parquet, got \.xlsx"):
        collect(section(tmp_path / "data.xlsx"))


def test_pictures_and_names_come_from_lists_and_texts(tmp_path: Path) -> None:
    """From Parquet as they are, from CSV by a cast in the query; another size is named."""
    features = {"p": {"kind": "image", "shape": [1, 2, 2]}}
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT TIMESTAMP '2024-01-02' AS \"at\", [5, 6, 7, 8]::UTINYINT[] AS p, 3.0 AS y "
            "UNION ALL SELECT TIMESTAMP '2024-01-01', [1, 2, 3, 4], NULL"
        )
        connection.execute(f"COPY t TO '{tmp_path / 'd.parquet'}'")
        connection.execute(f"COPY t TO '{tmp_path / 'd.csv'}'")
    cast = 'SELECT "at", CAST(p AS UTINYINT[]) AS p, CAST(y AS DOUBLE) AS y FROM source'
    for made in (
        section(tmp_path / "d.parquet", features=features),
        section(tmp_path / "d.csv", features=features, query=cast),
    ):
        rows, _ = collect(made, "classification")
        assert rows.columns["p"].tolist() == [[[[1, 2], [3, 4]]], [[[5, 6], [7, 8]]]]
        assert rows.target.tolist() == ["", "3"]
    small = section(tmp_path / "d.parquet", features={"p": {"kind": "image", "shape": [1, 1, 2]}})
    with pytest.raises(InvalidInput, match=r'd\.parquet, column "p", row 1: expected a list of 2 whole numbers'):
        collect(small, "classification")
