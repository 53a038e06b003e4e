"""Runs of the bike rentals compared: figures by hand, and what is no pair refused."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from export.intervals import interval
from staytrue.comparison import COMPARISON, Comparison
from staytrue.project import load as load_project
from staytrue.records import read
from tests.command import run as command
from training import checkpoint as checkpoints
from training.compare.report import PAGE
from training.data.split.plan import day_of
from training.prepare import prepare

BIKES = Path(__file__).parents[4] / "examples" / "bikeshare"
SLICES = """
evaluation:
  slices:
    mnth: {values: 2}
    night: hr >= 22 or hr < 6
"""
FEWER = "    windspeed: {kind: numeric, unit: kilometres an hour / 67}\n"


def write(folder: Path, *changes: tuple[str, str]) -> None:
    """The example's settings, of a short training, with changes."""
    text = (BIKES / "staytrue.yaml").read_text(encoding="utf-8").replace("epochs: 80", "epochs: 2") + SLICES
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "staytrue.yaml").write_text(text, encoding="utf-8")


def trained(folder: Path, *changes: tuple[str, str]) -> str:
    """The name of a new run."""
    write(folder, *changes)
    command(folder, "train", "--test", "skip")
    return checkpoints.newest_run(folder / "runs", "bikes").name


@pytest.fixture(scope="module")
def bikes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str, str]:
    """A folder with runs of two and of four epochs, the second without a feature, and one of another split."""
    folder = tmp_path_factory.mktemp("bikes")
    shutil.copy(BIKES / "hourly.csv", folder)
    runs = trained(folder), trained(folder, ("epochs: 2", "epochs: 4"), (FEWER, ""))
    other = trained(folder, ("block_days: 7", "block_days: 5"))
    write(folder)
    return folder, *runs, other


@pytest.fixture(scope="module")
def compared(bikes: tuple[Path, str, str, str]) -> tuple[str, Comparison]:
    """What the command says of the first two, and the record."""
    folder, first, second, _ = bikes
    said = command(folder, "compare", first, f"runs/{second}", "--output", "out")
    return said, read(Comparison, folder / "out" / COMPARISON)


def error(folder: Path, run: str) -> tuple[np.ndarray, np.ndarray]:
    """Absolute errors of a run on the validation rows, and their days."""
    project = load_project(folder / "runs" / run / "project.yaml")
    rows, model = prepare(project).validation, checkpoints.load(folder / "runs" / run)[2]
    made = model.answers(rows.only(project.data.features).columns)[0][:, 0]
    return np.abs(made.astype(np.float64) - rows.target), day_of(rows.time)


def test_the_difference_is_that_of_the_answers_and_its_interval_the_gates(
    bikes: tuple[Path, str, str, str], compared: tuple[str, Comparison]
) -> None:
    folder, first, second, _ = bikes
    (before, days), (after, _) = error(folder, first), error(folder, second)
    made = compared[1]
    assert (made.runs, made.rows, made.blocks, made.blocked_by) == ([first, second], len(days), len(set(days)), "days")
    whole = made.against[0].differences[0]
    mae = whole.metrics["mae"]
    assert mae.value == pytest.approx((after - before).mean())
    low, high = interval(after - before, days, 0.95, seed=0)
    assert (mae.low, mae.high) == pytest.approx((low, high), abs=0.1 * (high - low))
    assert mae.high < 0
    assert whole.verdicts["mae"] == "better"


def test_slices_are_compared_too_by_columns_that_are_no_features_as_well(compared: tuple[str, Comparison]) -> None:
    whole, *slices = compared[1].against[0].differences
    months = [one for one in slices if one.name == "mnth"]
    assert [one.holds for one in slices] == [
        "mnth = April",
        "mnth = Feb",
        "mnth is none of these",
        "hr >= 22 or hr < 6",
    ]
    assert sum(one.rows for one in months) == whole.rows
    total = sum(one.rows * one.metrics["mae"].value for one in months)
    assert total / whole.rows == pytest.approx(whole.metrics["mae"].value)


def test_settings_that_differ_and_figures_stand_side_by_side(
    bikes: tuple[Path, str, str, str], compared: tuple[str, Comparison]
) -> None:
    said, made = compared
    assert made.settings["training.epochs"] == ["2", "4"]
    assert made.settings["data.features.windspeed.kind"] == ["numeric", "-"]
    assert "training.batch_size" not in made.settings
    assert set(made.figures) == {"train", "validation"}
    for place, run in enumerate(bikes[1:3]):
        assert (
            made.figures["validation"][place] == checkpoints.load(bikes[0] / "runs" / run)[0].evaluation["validation"]
        )
    assert re.search(r"training\.epochs +2 +4\n", said)
    mae = made.against[0].differences[0].metrics["mae"]
    assert f"{mae.value:+.4g}" in said
    page = (bikes[0] / "out" / PAGE).read_text(encoding="utf-8")
    assert f"<td>[{mae.low:+.4g}, {mae.high:+.4g}]</td><td>better</td>" in page
    assert re.findall(r'(?:src|href)="(?!#|data:)', page) == []


def test_a_run_beside_its_copy_differs_by_nothing(bikes: tuple[Path, str, str, str], tmp_path: Path) -> None:
    folder, first, *_ = bikes
    shutil.copytree(folder / "runs" / first, tmp_path / "copy")
    command(folder, "compare", first, tmp_path / "copy", "--output", tmp_path)
    made = read(Comparison, tmp_path / COMPARISON)
    assert made.settings == {}
    metrics = [metric for one in made.against[0].differences for metric in one.metrics.values()]
    assert {(metric.value, metric.low, metric.high) for metric in metrics} == {(0, 0, 0)}


def test_groups_are_drawn_where_the_split_goes_by_them(tmp_path: Path) -> None:
    """Of half weeks, whose rows are dealt whole."""
    shutil.copy(BIKES / "hourly.csv", tmp_path)
    group = ("to_hours(hr::INTEGER) AS time, *", "to_hours(hr::INTEGER) AS time, * REPLACE (day // 4 AS day)")
    run = trained(
        tmp_path, group, ("day <= 120", "source.day <= 120"), ("block_days: 7", "method: grouped\n  group: day")
    )
    shutil.copytree(tmp_path / "runs" / run, tmp_path / "copy")
    command(tmp_path, "compare", run, "copy", "--output", "out")
    made = read(Comparison, tmp_path / "out" / COMPARISON)
    held = prepare(load_project(tmp_path / "staytrue.yaml")).validation
    assert (made.blocked_by, made.blocks) == ("groups of day", len(set(held.marks["day"])))
    assert made.blocks < len(set(day_of(held.time)))


def test_runs_that_were_judged_by_other_rows_are_refused(bikes: tuple[Path, str, str, str]) -> None:
    folder, first, _, other = bikes
    said = (
        rf"run {other}: expected the \d+ validation rows of \d+ days of run {first}, got \d+ validation rows .*the same"
    )
    with pytest.raises(AssertionError, match=said):
        command(folder, "compare", first, other)


def test_a_run_whose_data_have_changed_is_refused(bikes: tuple[Path, str, str, str], tmp_path: Path) -> None:
    folder, first, second, _ = bikes
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    lines = (BIKES / "hourly.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (moved / "hourly.csv").write_text("".join([lines[0], *lines[200:]]), encoding="utf-8")
    with pytest.raises(AssertionError, match=rf"run {first}: was trained on other data, expected"):
        command(moved, "compare", first, second)


def test_a_run_with_altered_features_is_refused(bikes: tuple[Path, str, str, str], tmp_path: Path) -> None:
    """Though times and truths of all rows are what they were."""
    folder, first, second, _ = bikes
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    with (BIKES / "hourly.csv").open(newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    for row in rows:
        row[names.index("hum")] = f"{1 - float(row[names.index('hum')]):g}"
    with (moved / "hourly.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows])
    with pytest.raises(AssertionError, match=rf"run {first}: was trained on other data, expected"):
        command(moved, "compare", first, second)


def test_what_is_no_run_or_not_two_of_them_is_refused(bikes: tuple[Path, str, str, str], tmp_path: Path) -> None:
    folder, first, second, other = bikes
    (tmp_path / "runs").symlink_to(folder / "runs")  # and no project
    with pytest.raises(AssertionError, match=rf"nothing: is no finished run; runs holds {first}, {second}, {other}"):
        command(tmp_path, "compare", first, "nothing")
    with pytest.raises(AssertionError, match=f"RUN: expected two runs or more, each once, got {first} alone"):
        command(folder, "compare", first)
    with pytest.raises(AssertionError, match=f"each once, got {first} and runs/{first}"):
        command(folder, "compare", first, f"runs/{first}")
