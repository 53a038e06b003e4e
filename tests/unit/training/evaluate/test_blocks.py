"""What is drawn: groups where the split has some, days where neighbours in time are alike, rows where they are not."""

from __future__ import annotations

import datetime
import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from export.intervals import interval
from staytrue.project import load
from staytrue.splitting import SplitSection
from tests.command import run as command
from tests.unit.training.conftest import START, table
from training import checkpoint as checkpoints
from training.data.rows import Rows
from training.data.split.plan import day_of
from training.diagnose.tables import Tables
from training.evaluate.blocks import LOTS, MOST, blocks_of
from training.judgement.restored import restore

if TYPE_CHECKING:
    from pathlib import Path


def rows(count: int, **marks: list[str]) -> Rows:
    """Of every hour."""
    named = {name: np.array(values, dtype=object) for name, values in marks.items()}
    return Rows(np.arange(count, dtype=np.float64) * 3600, {}, np.zeros(count), named)


@pytest.mark.parametrize(
    ("said", "what", "numbers"),
    [
        ({}, "days", [0, 0, 1, 1]),
        ({"method": "time"}, "days", [0, 0, 1, 1]),
        ({"method": "random"}, "rows", [0, 1, 2, 3]),
        ({"method": "stratified"}, "rows", [0, 1, 2, 3]),
        ({"method": "given", "column": "part"}, "days", [0, 0, 1, 1]),
        ({"method": "given", "column": "part", "allow": ["time"]}, "rows", [0, 1, 2, 3]),
        ({"method": "grouped", "group": "who"}, "groups of who", [0, 1, 0, 1]),
        ({"method": "blocks", "group": "who"}, "groups of who", [0, 1, 0, 1]),
    ],
)
def test_the_split_says_what_hangs_together(said: dict[str, str], what: str, numbers: list[int]) -> None:
    some = rows(48, who=["b", "a"] * 24, part=["train"] * 48).take(np.array([0, 1, 24, 25]))
    found = blocks_of(some, SplitSection.model_validate(said))
    same = found.counted[:, None] == found.counted[None, :]
    expected = np.array(numbers)[:, None] == np.array(numbers)[None, :]
    assert (found.what, same.tolist()) == (what, expected.tolist())


def test_served_rows_without_a_group_count_for_their_day() -> None:
    settings = SplitSection(method="grouped", group="who")
    some = rows(72, who=["a"] * 24 + [""] * 48)
    assert blocks_of(some, settings).counted.tolist() == [2] * 24 + [1] * 24 + [0] * 24
    assert blocks_of(rows(48), settings).what == "days"


def test_very_many_rows_are_put_together_by_chance_and_the_interval_is_that_of_rows() -> None:
    """Mean ± 1.96 deviations / √n, from 500 blocks."""
    some, settings = rows(5000), SplitSection(method="random")
    error = np.random.default_rng(1).exponential(size=5000)
    blocks = blocks_of(some, settings, seed=3)
    assert (blocks.what, blocks.count, len(set(np.bincount(blocks.numbers)))) == (LOTS, MOST, 1)
    order, draws = blocks.draw(0)
    found = draws.means({"mean": error[order]}).metrics["mean"]
    margin = 1.96 * error.std() / math.sqrt(len(error))
    assert found.value == pytest.approx(error.mean())
    assert (found.low, found.high) == pytest.approx((error.mean() - margin, error.mean() + margin), abs=0.12 * margin)


def test_very_many_groups_are_put_together_by_chance_none_of_them_in_two_lots() -> None:
    settings, names = SplitSection(method="grouped", group="who"), np.arange(3000) // 3
    some = rows(3000, who=[str(name) for name in names])
    blocks = blocks_of(some, settings, seed=3)
    assert (blocks.what, blocks.count) == ("random lots of groups of who", MOST)
    assert all(len(set(blocks.numbers[names == name])) == 1 for name in range(0, 1000, 50))
    again = blocks_of(some, SplitSection(method="time", group="who", allow=["groups"]))
    assert again.what == "days"


SPELL = 16
"""Hours of a group: it begins and ends within days."""


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty days of hourly rows, sixteen after each other of one station, with two runs and their ensemble."""
    folder = tmp_path_factory.mktemp("grouped")
    x, hour, sky, y = table(40, seed=1)
    lines = ["at,x,hour,sky,y,station"]
    for place in range(len(x)):
        at = (START + datetime.timedelta(hours=place)).isoformat()
        lines.append(f"{at},{x[place]:.6f},{hour[place]},{sky[place]},{y[place]:.6f},s{place // SPELL}")
    (folder / "toy.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = """
name: toy
data: {source: toy.csv, time: at, target: y, features: {x: {kind: numeric}, sky: {kind: category}}}
split: {method: grouped, group: station}
model: {width: 4, depth: 1}
training: {epochs: 2, patience: 2}
"""
    (folder / "staytrue.yaml").write_text(text, encoding="utf-8")
    for seed in ("1", "2"):
        command(folder, "train", "--seed", seed)
    command(folder, "ensemble", *sorted(path.parent.name for path in (folder / "runs").glob("*/project.yaml")))
    return folder


def test_evaluation_diagnosis_comparison_and_ensemble_draw_the_same_groups(grouped: Path) -> None:
    """The intervals are those of groups, as by hand, and not of the days that they begin and end in."""
    *runs, together = sorted(path.parent for path in (grouped / "runs").glob("*/project.yaml"))
    project = load(grouped / "staytrue.yaml")
    run = restore(project, runs[0])
    held = run.validation
    station = np.unique(held.marks["station"].astype(str), return_inverse=True)[1]
    count = len(set(station.tolist()))
    assert count < len(set(day_of(held.time).tolist()))
    errors = [
        np.abs(checkpoints.load(one)[2].answers(held.columns)[0][:, 0] - held.target) for one in [*runs, together]
    ]

    told = json.loads((runs[0] / "evaluation.json").read_text())["parts"]["validation"]
    assert (told["blocked_by"], told["blocks"]) == ("groups of station", count)
    low, high = interval(errors[0], station, 0.95, seed=0)
    mae = told["metrics"]["mae"]
    assert (mae["low"], mae["high"]) == pytest.approx((low, high), abs=0.15 * (high - low))

    tables = Tables.of(run)
    assert isinstance(tables, Tables)
    mean = tables.mean(errors[0], 0)
    assert (mean.low, mean.high) == pytest.approx((low, high), abs=0.15 * (high - low))
    assert tables.blocks.what == "groups of station"

    best = int(np.argmin([error.mean() for error in errors[:2]]))
    listed = json.loads((together / "ensemble.json").read_text())
    assert (listed["blocked_by"], listed["blocks"]) == ("groups of station", count)
    low, high = interval(errors[2] - errors[best], station, 0.95, seed=project.training.seed)
    against = listed["against_best"]["mae"]
    assert (against["low"], against["high"]) == pytest.approx((low, high), abs=1e-4)
    assert f"of {count} groups of station" in command(grouped, "compare", *runs)
