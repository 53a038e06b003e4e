"""Names in files of text stay as they are written, whatever a database would read there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from staytrue.preparation import DataSection
from training.data.collect import report
from training.data.collect.source import collected

if TYPE_CHECKING:
    from pathlib import Path

_ROWS = "moment,vip,code,day,age,churned\n2024-01-01,True,01,2024-1-5,1,yes\n2024-01-02,False,2,2024-1-6,2,no\n"
_FEATURES = {name: {"kind": "category"} for name in ("vip", "code", "day")} | {"age": {"kind": "numeric"}}


@pytest.fixture
def made(tmp_path: Path) -> DataSection:
    """Two rows whose names look like booleans, numbers and dates."""
    (tmp_path / "rows.csv").write_text(_ROWS)
    return DataSection(source=tmp_path / "rows.csv", time="moment", target="churned", features=_FEATURES)


def _changed(made: DataSection, **changes: Any) -> DataSection:
    return DataSection.model_validate(made.model_dump() | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"max_bad_rows": 0.1},
        {"query": "SELECT moment, vip, code, day, age * 2 AS age, churned FROM source WHERE age > 0"},
        {"query": "SELECT * REPLACE (CAST(moment AS TIMESTAMP) AS moment) FROM source ORDER BY moment"},
    ],
    ids=["plain", "lenient", "named", "star"],
)
def test_names_stay_as_the_file_writes_them(made: DataSection, changes: dict[str, Any]) -> None:
    found = collected(_changed(made, **changes), "classification")
    assert found.rows.target.tolist() == ["yes", "no"]
    shown = {name: column.tolist() for name, column in found.rows.columns.items() if name != "age"}
    assert shown == {"vip": ["True", "False"], "code": ["01", "2"], "day": ["2024-1-5", "2024-1-6"]}
    assert report.chapter(found.report).warnings == []


@pytest.mark.parametrize("bad", [0, 0.1])
def test_names_of_several_sources_and_their_keys_stay_as_they_are_written(made: DataSection, bad: float) -> None:
    assert made.source is not None
    (made.source.parent / "told.csv").write_text("vip,told\nTrue,t\nFalse,f\n")
    changes = {
        "source": None,
        "sources": {"rows": made.source, "told": made.source.parent / "told.csv"},
        "join": [{"left": "rows", "right": "told", "key": ["vip"]}],
        "features": _FEATURES | {"told": {"kind": "category"}},
        "max_bad_rows": bad,
    }
    found = collected(_changed(made, **changes), "classification").rows
    assert found.columns["told"].tolist() == ["t", "f"]
    assert found.columns["vip"].tolist() == ["True", "False"]


def test_a_name_that_the_query_computes_with_keeps_its_type_and_is_warned_of(made: DataSection) -> None:
    changed = _changed(made, query="SELECT * FROM source WHERE NOT churned OR age < 5")
    found = collected(changed, "classification")
    assert found.rows.target.tolist() == ["true", "false"]
    (warning,) = report.chapter(found.report).warnings
    assert '"churned" names kinds, is read as BOOLEAN' in warning
    assert "columns: {churned: VARCHAR}" in warning


def test_what_a_query_makes_of_its_own_is_not_warned_of(made: DataSection) -> None:
    changed = _changed(made, query="SELECT * REPLACE (age > 1 AS churned) FROM source")
    found = collected(changed, "classification")
    assert found.rows.target.tolist() == ["false", "true"]
    assert report.chapter(found.report).warnings == []
