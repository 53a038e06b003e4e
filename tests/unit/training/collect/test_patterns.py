"""Files whose names look like patterns are read as exactly these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from training.data.collect.source import collected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.preparation import DataSection

    Make = Callable[..., DataSection]


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize(("name", "beside"), [("d[1]", "d1"), ("a*b", "acb"), ("q?", "qq"), ("x[!]*?]", "xa")])
def test_a_file_whose_name_looks_like_a_pattern_is_read_alone(
    name: str, beside: str, form: str, section: Make, tmp_path: Path
) -> None:
    """Not what the pattern finds beside it."""
    for stem, rows in ((name, 3), (beside, 5)):
        target = tmp_path / f"{stem}.{form}"
        made = f"SELECT TIMESTAMP '2024-01-01' + to_hours(i) AS at, i + 0.5 AS x, i AS y FROM range({rows}) AS r(i)"  # noqa: S608
        duckdb.sql(f"COPY ({made}) TO '{target}' (FORMAT {form.removesuffix('l')})")
    shape = {"query": "SELECT * FROM source", "time": "at", "target": "y", "features": {"x": {"kind": "numeric"}}}
    path = tmp_path / f"{name}.{form}"
    changes: list[dict[str, Any]] = [{"sources": {"bikes": path}}]
    if form != "jsonl":
        changes += [{"source": path, "sources": {}}, {"source": path, "sources": {}, "max_bad_rows": 0.5}]
    for change in changes:
        assert len(collected(section(**(shape | change))).rows) == 3
