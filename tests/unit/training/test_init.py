"""What ``staytrue init`` writes is read by collect as it stands, and gives train, validation and test some rows."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from staytrue import project as projects
from staytrue.errors import InvalidInput
from staytrue.signature import MISSING_INTEGER
from staytrue.starter import starter
from tests.unit.staytrue.test_slips import written as plant
from tests.unit.staytrue.test_starter import write
from training.data.collect.source import collect, collected
from training.data.split.plan import split

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)


def at(row: int) -> datetime.datetime:
    """An hour after the start of 2024."""
    return START + datetime.timedelta(hours=row)


TIMES: dict[str, Callable[[int], Any]] = {
    "iso": lambda row: at(row).replace(tzinfo=None).isoformat(" "),
    "zoned": lambda row: at(row).isoformat(),
    "german": lambda row: at(row).strftime("%d.%m.%Y %H:%M"),
    "american": lambda row: at(row).strftime("%m/%d/%Y %H:%M"),
    "seconds": lambda row: int(at(row).timestamp()),
    "milliseconds": lambda row: int(at(row).timestamp()) * 1000,
}


@pytest.mark.parametrize("written", TIMES)
def test_a_strangers_times_and_numbers_arrive_as_they_were_meant(tmp_path: Path, written: str) -> None:
    columns = {
        "time": TIMES[written],
        "hour": lambda row: row % 24,
        "temp": lambda row: "NA" if row % 50 == 7 else f"{row % 37},5",
        "y": lambda row: row % 41 / 4,
    }
    path = write(tmp_path / "data.csv", columns, ";", 500)
    (tmp_path / "staytrue.yaml").write_text(starter(path, None, None), encoding="utf-8")
    project = projects.load(tmp_path / "staytrue.yaml")
    rows, _ = collect(project.data)
    assert rows.time.tolist() == [START.timestamp() + 3600 * row for row in range(500)]
    assert rows.columns["temp"][:3].tolist() == [0.5, 1.5, 2.5]
    assert str(rows.columns["temp"][7]) == "nan"
    assert rows.target[:2].tolist() == [0.0, 0.25]
    assert all(split(rows, project.split).parts.values())


@pytest.mark.parametrize("written", ["iso", "german", "days"])
def test_dates_beside_the_time_arrive_as_dates(tmp_path: Path, written: str) -> None:
    """However they are written; what is missing is so, and what is none ends the run instead of being missing."""
    forms = {"iso": "%Y-%m-%d", "german": "%d.%m.%Y", "days": "%Y%m%d"}

    def opened(row: int) -> str:
        return "NA" if row == 7 else (at(0) - datetime.timedelta(days=row * 7)).strftime(forms[written])

    columns = {"time": TIMES["iso"], "opened": opened, "y": lambda row: row % 41 / 4}
    path = write(tmp_path / "data.csv", columns, ",", 500)
    text = starter(path, None, None)
    assert "opened: {kind: date} # guessed: 2014-06-09 to 2024-01-01, 1 missing" in text
    (tmp_path / "staytrue.yaml").write_text(text, encoding="utf-8")
    project = projects.load(tmp_path / "staytrue.yaml")
    (found,) = collect(project.data)[0].columns.values()
    days = [START.timestamp() - row * 7 * 86400 for row in range(500)]
    assert found.tolist() == [MISSING_INTEGER if row == 7 else day for row, day in enumerate(days)]
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(opened(400), "soon"), encoding="utf-8")
    with pytest.raises(InvalidInput, match=r'column "opened", row 401: expected dates.*soon'):
        collect(project.data)


def test_a_strangers_names_arrive_as_classes(tmp_path: Path) -> None:
    """Words that stand for missing are no class, and whole numbers in a column of words are their text."""
    columns = {
        "time": TIMES["iso"],
        "temp": lambda row: f"{row % 37}.5",
        "kind": lambda row: ["sun", "rain", "7", "n/a"][row % 4],
    }
    path = write(tmp_path / "data.csv", columns, ",", 500)
    (tmp_path / "staytrue.yaml").write_text(starter(path, "kind", None), encoding="utf-8")
    project = projects.load(tmp_path / "staytrue.yaml")
    rows, _ = collect(project.data, project.model.task)
    assert rows.target[:5].tolist() == ["sun", "rain", "7", "", "sun"]
    assert all(split(rows, project.split).parts.values())


@pytest.mark.parametrize("comma", [False, True])
def test_slips_go_to_the_quarantine_with_line_and_reason_and_no_row_is_lost_in_silence(
    tmp_path: Path, comma: bool
) -> None:
    path = plant(tmp_path, {301: (1, "1.234,5"), 311: (1, "broken"), 315: (1, "NA"), 320: (2, "k.A.")}, comma=comma)
    (tmp_path / "staytrue.yaml").write_text(starter(path, "y", "at", tmp_path), encoding="utf-8")
    found = collected(projects.load(tmp_path / "staytrue.yaml").data)
    assert (len(found.rows), found.report.bad.rows) == (397, 3)
    assert [(bad.file, bad.line, bad.column, bad.text) for bad in found.report.bad.examples] == [
        ("plant.csv", 301, "x", "1.234.5" if comma else "1.234,5"),
        ("plant.csv", 311, "x", "broken"),
        ("plant.csv", 320, "y", "k.A."),
    ]
    assert int(np.isnan(found.rows.columns["x"]).sum()) == 1  # the word for a missing value alone
    assert (tmp_path / "quarantine.csv").read_text().count("\n") == 4


def test_a_slip_beyond_what_init_looked_at_ends_the_run_and_is_named(tmp_path: Path) -> None:
    path = plant(tmp_path, {301: (1, "NA")}, comma=True)
    (tmp_path / "staytrue.yaml").write_text(starter(path, "y", "at", tmp_path), encoding="utf-8")
    plant(tmp_path, {301: (1, "NA"), 380: (1, "broken")}, comma=True)
    with pytest.raises(InvalidInput, match=r'column "x", row 379: expected numbers, got .broken.'):
        collected(projects.load(tmp_path / "staytrue.yaml").data)


def test_rows_without_a_time_are_left_out_and_a_time_that_is_none_is_set_aside(tmp_path: Path) -> None:
    odd = {301: (0, "NA"), 311: (1, "broken"), 312: (1, "broken")}
    path = plant(tmp_path, odd)
    (tmp_path / "staytrue.yaml").write_text(starter(path, "y", "at", tmp_path), encoding="utf-8")
    plant(tmp_path, odd | {333: (0, "31.13.2024 00:00")})
    found = collected(projects.load(tmp_path / "staytrue.yaml").data)
    assert (len(found.rows), found.report.read, found.report.made, found.report.bad.rows) == (396, 400, 399, 3)
