"""Gain: where settings are poor, what a search finds is better on days that chose nothing; the example says so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from examples.bikeshare import tune
from examples.bikeshare.tune import EVERY, compare, defaults, errors, predictions, write_weeks, write_year
from staytrue.modelling import ModelSection
from staytrue.project import load
from staytrue.sections import TrainingSection
from tests.unit.training.conftest import DAYS, START, table
from training.data.collect.source import collect
from training.data.rows import Rows
from training.tune import report, search
from training.tune.space import applied

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from staytrue.project import Project
    from training.tune.material import Material


def test_a_search_finds_a_better_rate_and_an_interval_that_excludes_zero(
    tuned: Callable[..., Project],
    prepared: Material,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Judged by whole days that neither trained, stopped nor chose."""
    project = tuned("space: {training.learning_rate: [1.0e-4, 0.1]}, method: grid", epochs=4)
    poor = project.training.model_copy(update={"learning_rate": 1e-4})
    project = project.model_copy(update={"training": poor})
    study, _ = search.search(project, project.folder / "staytrue.yaml", prepared, project.folder / "tuning/toy")
    best = report.best(report.lines(study))
    assert best is not None
    assert best.settings == {"training.learning_rate": 0.1}
    x, hour, sky, y = table(8, seed=3)  # days that are none of the project's
    times = START.timestamp() + 86400 * DAYS + 3600 * np.arange(len(x), dtype=np.float64)
    aside = Rows(times, {"x": x.astype(np.float32), "hour": hour, "sky": sky.astype(object)}, y)
    found = applied(project, best.settings)
    spans = compare({"poor": project, "itself": found}, {"best": [found], "two": [found, project]}, prepared, aside)
    low, high = spans["best"]["poor"]
    assert low < high < -1
    assert spans["best"]["itself"] == (0.0, 0.0)
    said = capsys.readouterr().out
    assert re.search(rf"  poor, \S+: -\S+, 95% interval \[{low:.2f}, {high:.2f}\]: better\n", said)
    assert "itself, 0.42: +0.00, 95% interval [+0.00, +0.00]: not shown to be better\n" in said
    assert said.startswith("on 192 hours of 8 days that chose nothing, bikes an hour:\n  best: ")
    each = [predictions(applied(one, {"training.seed": 1}), prepared, aside) for one in (found, project)]
    monkeypatch.setattr(tune, "SEEDS", (1,))
    np.testing.assert_allclose(errors([found, project], prepared, aside), np.abs(np.mean(each, axis=0) - y))


def test_the_defaults_are_those_of_a_project_that_says_nothing_of_model_and_training(
    tuned: Callable[..., Project],
) -> None:
    plain = defaults(tuned())
    assert plain.model == ModelSection()
    assert plain.training == TrainingSection()
    assert plain.data == tuned().data


def test_the_example_has_a_space_that_fits_for_all_of_the_year(tmp_path: Path) -> None:
    """Its copy differs by the days alone."""
    project = load(write_year(tmp_path))
    assert len(project.tuning.space) == 10
    assert "day <= 120" not in project.data.query
    assert np.isfinite(project.tuning.minutes or np.nan)


def test_weeks_that_are_set_aside_are_none_of_the_projects(tmp_path: Path) -> None:
    """Together they are the year, and each half is of all seasons."""
    file, aside = write_weeks(tmp_path, EVERY)
    project = load(file)
    rows, _ = collect(project.data, project.model.task)
    assert not np.isin(rows.time, aside.time).any()
    assert len(rows) + len(aside) == 8645
    assert len(set((aside.time // 86400).astype(int))) == 183
    assert project.split.block_days == 7
