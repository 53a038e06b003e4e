"""Four months of bike rentals: a run tells of its slices what its predictions say when they are worked out by hand."""

from __future__ import annotations

import csv
import functools
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from staytrue.bundle import CARD, Metric
from staytrue.evaluation import EVALUATION, Evaluation
from staytrue.project import load
from staytrue.records import HOUR_SECONDS, read, seconds_of
from staytrue.store import Store
from tests.command import run as command
from training import checkpoint as checkpoints
from training.commands import _figures
from training.prepare import prepare
from training.retrain import publish_run

if TYPE_CHECKING:
    from staytrue.evaluation import SliceEvaluation

BIKES = Path(__file__).parents[4] / "examples" / "bikeshare"
SLICES = """
evaluation:
  slices:
    weathersit: {values: 2}
    warmth: {column: temp}
    night: hr >= 22 or hr < 6
    busiest: bikers > 600
    mnth: {values: 2}
    idle: casual * 4 < registered
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a finished run of one epoch, and what the command said: to be read alone."""
    folder = tmp_path_factory.mktemp("bikes")
    shutil.copy(BIKES / "hourly.csv", folder)
    text = (BIKES / "staytrue.yaml").read_text(encoding="utf-8").replace("epochs: 80", "epochs: 3")
    (folder / "staytrue.yaml").write_text(text + SLICES + "export: {formats: [onnx]}\n", encoding="utf-8")
    command(folder, "train")
    return folder, command(folder, "evaluate", "--final")


@functools.cache
def _file() -> dict[int, tuple[str, int, int]]:
    with (BIKES / "hourly.csv").open(encoding="utf-8", newline="") as file:
        return {
            24 * (int(row["day"]) - 1) + int(row["hr"]): (row["mnth"], int(row["casual"]), int(row["registered"]))
            for row in csv.DictReader(file)
        }


def beside(hour: int) -> tuple[str, int, int]:
    """What the file has in an hour of the year beside what the model learns from: month, casual, registered."""
    return _file()[hour]


def test_slices_of_a_run_are_what_its_predictions_say(trained: tuple[Path, str]) -> None:
    project = load(trained[0] / "staytrue.yaml")
    run = checkpoints.newest_run(project.retraining.runs, "bikes")
    part = read(Evaluation, run / EVALUATION).parts["validation"]
    checkpoint, _, model = checkpoints.load(run)
    assert part.metrics == checkpoint.evaluation["validation"]
    prepared = prepare(project)
    rows, slices = prepared.validation, {one.holds: one for one in part.slices}
    error = np.abs(model.answers(rows.only(project.data.features).columns)[0][:, 0] - rows.target)
    hour, sky, temp = (rows.columns[name] for name in ("hr", "weathersit", "temp"))

    def same(one: SliceEvaluation, which: np.ndarray) -> None:
        assert (one.rows, one.note) == (which.sum(), "")
        assert one.metrics["mae"].value == pytest.approx(error[which].mean(), rel=1e-5)
        assert one.metrics["mae"].low < one.metrics["mae"].value < one.metrics["mae"].high

    same(slices["hr >= 22 or hr < 6"], (hour >= 22) | (hour < 6))
    same(slices["weathersit = clear"], sky == "clear")
    cut = np.quantile(prepared.training.columns["temp"].astype(np.float64), 0.25)
    same(slices[f"temp <= {cut:.6g}"], temp <= cut)
    warmth = [one for one in part.slices if one.name == "warmth"]
    assert (len(warmth), sum(one.rows for one in warmth)) == (4, part.rows)
    hours = ((rows.time - seconds_of("2011-01-01")) / HOUR_SECONDS).round().astype(np.int64)
    months, casual, registered = np.array([beside(hour) for hour in hours.tolist()], dtype=object).T
    same(slices["casual * 4 < registered"], casual * 4 < registered)
    often = [one for one in part.slices if one.name == "mnth"]
    assert [one.holds for one in often] == ["mnth = April", "mnth = Feb", "mnth is none of these"]
    for one, which in zip(often, (months == "April", months == "Feb", ~np.isin(months, ["April", "Feb"])), strict=True):
        same(one, which)
    few = slices["bikers > 600"]
    assert (few.metrics, few.note) == ({}, f"{few.rows} rows, fewer than 30: too few to judge by")


def test_the_command_prints_the_headline_and_the_card_the_slices_of_the_test_split(trained: tuple[Path, str]) -> None:
    folder, said = trained
    line = next(line for line in said.splitlines() if line.startswith("  test"))
    assert [word for word in line.split() if word.isalnum()] == ["test", "mae", "rmse", "r2"]
    project = load(folder / "staytrue.yaml")
    store = Store(project.store)
    run = checkpoints.newest_run(project.retraining.runs, "bikes")
    bundle = publish_run(store, run, project)
    card = (store.path("bikes", bundle.version) / CARD).read_text(encoding="utf-8")
    assert "| test | rmse |" in card
    assert "| test | bias |" not in card
    assert "## Slices of test" in card
    assert "| night | hr >= 22 or hr < 6 |" in card
    assert "too few to judge by |" in card


def test_the_journal_of_a_promotion_holds_the_headline_alone() -> None:
    metric = Metric(value=2.0, low=1.0, high=3.0)
    assert _figures({"test": {"mae": metric, "bias": metric}}) == {"test_mae": 2.0}


def test_a_slice_that_is_none_is_refused_with_its_line(trained: tuple[Path, str], tmp_path: Path) -> None:
    text = (trained[0] / "staytrue.yaml").read_text(encoding="utf-8").replace("bikers > 600", "bikes > 600")
    (tmp_path / "staytrue.yaml").write_text(text, encoding="utf-8")
    shutil.copy(BIKES / "hourly.csv", tmp_path)
    with pytest.raises(AssertionError, match=r"staytrue\.yaml:\d+ evaluation\.slices\.busiest: is no condition"):
        command(tmp_path, "train")


def test_slices_change_neither_what_is_trained_nor_the_seal(trained: tuple[Path, str]) -> None:
    """Else a test split that was opened would be shut again by another slice."""
    project = load(trained[0] / "staytrue.yaml")
    given = prepare(project)
    plain = prepare(project.model_copy(update={"evaluation": type(project.evaluation)()}))
    assert set(given.rows.beside) == {"mnth", "casual", "registered"}
    assert plain.rows.beside == {}
    assert (given.split.seal, given.fingerprint) == (plain.split.seal, plain.fingerprint)
    assert list(given.training.columns) == list(plain.training.columns)
    assert project.fingerprint() == project.model_copy(update={"evaluation": type(project.evaluation)()}).fingerprint()


def test_a_misspelt_column_is_told_from_all_columns_of_the_data(trained: tuple[Path, str], tmp_path: Path) -> None:
    text = (trained[0] / "staytrue.yaml").read_text(encoding="utf-8").replace("mnth:", "mnht:")
    (tmp_path / "staytrue.yaml").write_text(text, encoding="utf-8")
    shutil.copy(BIKES / "hourly.csv", tmp_path)
    with pytest.raises(AssertionError, match=r"slices\.mnht: expected a column .* did you mean 'mnth'"):
        command(tmp_path, "train")
