"""Advice: what cannot be read is told with what reads it, and what was dropped is counted where it was."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from staytrue.errors import InvalidConfig, InvalidInput
from staytrue.preparation import CleaningSection, DataSection
from tests.unit.training.conftest import write_project
from training.data.clean.cleaning import clean
from training.data.collect.source import collect
from training.data.label.labelstudio import read_labelstudio
from training.data.rows import Rows
from training.prepare import chapters, prepare

if TYPE_CHECKING:
    from pathlib import Path


def section(folder: Path, **values: Any) -> DataSection:
    """Of columns at, x and y."""
    given = {"time": "at", "target": "y", "features": {"x": {"kind": "numeric"}}, "quarantine": folder / "q.csv"}
    return DataSection.model_validate(given | values)


@pytest.mark.parametrize(
    ("at", "x", "said"),
    [
        ("31.01.2024 08:00", "1.5", r'options: \{timestampformat: "%d\.%m\.%Y %H:%M"\} of a source of data\.sources'),
        ("2024-01-31 08:00", "1,5", r'options: \{decimal_separator: ","\} of a source of data\.sources'),
        ("2024-01-31 08:00", "warm", r"say kind: category in data\.features"),
    ],
)
def test_times_and_numbers_of_another_spelling_are_told_with_the_option_that_reads_them(
    tmp_path: Path, at: str, x: str, said: str
) -> None:
    path = tmp_path / "eu.csv"
    path.write_text("at;x;y\n" + f"{at};{x};4\n" * 60)
    with pytest.raises(InvalidInput, match=said):
        collect(section(tmp_path, sources={"eu": path}))
    if "options" in said:
        options = {"timestampformat": "%d.%m.%Y %H:%M"} if "," not in x else {"decimal_separator": ","}
        rows, _ = collect(section(tmp_path, sources={"eu": {"path": path, "options": options}}))
        assert rows.columns["x"].tolist() == [1.5] * 60


def test_two_sources_without_a_join_say_that_one_is_needed(tmp_path: Path) -> None:
    for name in "lr":
        (tmp_path / f"{name}.csv").write_text("at,x,y\n2024-01-01,1,2\n")
    files = {name: tmp_path / f"{name}.csv" for name in "lr"}
    with pytest.raises(InvalidConfig, match=r"data\.sources: expected a join, or a query .* got l, r and neither"):
        collect(section(tmp_path, sources=files))
    assert len(collect(section(tmp_path, sources=files, query="SELECT * FROM l UNION ALL SELECT * FROM r"))[0]) == 2


def test_a_packed_file_is_a_single_source_too(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"at,x,y\n2024-01-01,1,2\n2024-01-02,3,4\n"))
    assert collect(section(tmp_path, source=path))[0].columns["x"].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("column", "settings", "said"),
    [
        ("target", {}, "look at how data.target is read"),
        ("x", {"missing_features": "drop"}, r"cleaning\.missing_features: keep"),
    ],
)
def test_where_all_rows_would_go_the_advice_is_of_why(column: str, settings: dict[str, str], said: str) -> None:
    gone, there = np.full(50, np.nan), np.arange(50.0)
    values = {"target": there, "x": there} | {column: gone}
    rows = Rows(there, {"x": values["x"].astype(np.float32)}, values["target"])
    with pytest.raises(InvalidInput, match=said) as told:
        clean(rows, CleaningSection.model_validate(settings))
    assert "max_dropped" not in str(told.value)


def test_rows_that_cleaning_drops_are_counted_in_the_summary_and_leave_no_pause(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    lines = (tmp_path / "toy.csv").read_text().splitlines()
    lines[100:160] = [line.rpartition(",")[0] + "," for line in lines[100:160]]  # without a target
    (tmp_path / "toy.csv").write_text("\n".join([*lines, lines[-1]]) + "\n")
    made = {chapter.title: chapter for chapter in chapters(project, prepare(project))}
    assert made["Cleaning"].summary.startswith("61 of 961 rows dropped before the split. After it 0 values or rows of ")
    sizes = ", ".join(f"{count} {part}" for part, count in prepare(project).sizes.items())
    read = "961 rows read, 0 more set aside as bad; 61 dropped (1 duplicates, 60 without a target)"
    assert made["Rows"].summary == f"{read}; {sizes} (sealed)."
    assert made["Time"].tables[0].rows[0][0] == "1:00:00"
    assert made["Time"].warnings == []


def test_broken_json_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text("{nope")
    with pytest.raises(InvalidInput, match="is not JSON"):
        read_labelstudio(path, item="", control="", repeats="fail")
