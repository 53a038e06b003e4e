"""Values of SQLite, whose columns hold what they like."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from training.data.collect.source import collected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.preparation import DataSection

    Make = Callable[..., DataSection]


@pytest.mark.parametrize(
    ("kind", "query", "bad"),
    [
        ("REAL", "SELECT * FROM source", 0),
        ("TEXT", "SELECT * FROM source", 0),
        ("", "SELECT * FROM source", 0),
        ("REAL", "SELECT * REPLACE (x * 1 AS x) FROM source", 0),
        ("REAL", "SELECT * FROM source", 1),
    ],
)
def test_an_empty_text_among_numbers_of_sqlite_is_missing(
    kind: str, query: str, bad: int, section: Make, tmp_path: Path
) -> None:
    """As in a CSV file; among words it is one of them, and a word among numbers is a bad row."""
    rows: list[list[Any]] = [[f"2024-01-01 {n:02d}:00", n + 0.5, n, n, "sun"] for n in range(20)]
    rows[3][1], rows[5][2], rows[7][4] = "", "", ""
    if bad:
        rows[9][1] = "warm"
    with contextlib.closing(sqlite3.connect(tmp_path / "s.db")) as database:
        database.execute(f"CREATE TABLE t (at TEXT, x {kind}, n {kind}, y {kind}, sky TEXT)")
        database.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
        database.commit()
    features = {"x": {"kind": "numeric"}, "n": {"kind": "numeric"}, "sky": {"kind": "category"}}
    sources = {"s": {"path": tmp_path / "s.db", "table": "t"}}
    values = {"sources": sources, "query": query, "time": "at", "target": "y", "features": features}
    found = collected(section(**values, max_bad_rows=0.5))
    assert (len(found.rows), [row.text for row in found.report.bad.examples]) == (20 - bad, ["warm"] * bad)
    columns = found.rows.columns
    assert np.flatnonzero(np.isnan(columns["x"])).tolist() == [3]
    assert np.flatnonzero(np.isnan(columns["n"])).tolist() == [5]
    assert columns["sky"][7] == ""
