"""What ``staytrue init`` writes is read by collect as it stands, and gives train, validation and test some rows."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest

from staytrue import project as projects
from staytrue.starter import starter
from tests.unit.staytrue.test_starter import write
from training.data.collect.source import collect
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
