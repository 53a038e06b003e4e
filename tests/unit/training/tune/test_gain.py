"""Gain: where settings are poor, what a search finds is better on days that chose nothing; the example says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from examples.bikeshare.tune import compare, other_weeks, write_year
from staytrue.project import load
from training.tune import report, search

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from staytrue.project import Project
    from training.tune.material import Material


def test_a_search_finds_a_better_rate_and_an_interval_that_excludes_zero(
    tuned: Callable[..., Project], prepared: Material, capsys: pytest.CaptureFixture[str]
) -> None:
    """Judged by whole days of validation rows that neither stopped a training nor chose a trial."""
    project = tuned("space: {training.learning_rate: [1.0e-4, 0.1]}, method: grid", epochs=4)
    poor = project.training.model_copy(update={"learning_rate": 1e-4})
    project = project.model_copy(update={"training": poor})
    judging = other_weeks(prepared)
    chosen_by = prepared.judged_by(~judging)
    assert 0 < judging.sum() < len(judging)
    assert len(chosen_by.split.parts["validation"]) == (~judging).sum()
    study, _ = search.search(project, project.folder / "staytrue.yaml", chosen_by, project.folder / "tuning/toy")
    best = report.best(report.lines(study))
    assert best is not None
    assert best.settings == {"training.learning_rate": 0.1}
    low, high = compare(project, chosen_by, prepared, judging, best.settings)
    assert low < high < -1
    assert "that chose nothing\nbetter" in capsys.readouterr().out
    none = compare(project, chosen_by, prepared, judging, {})
    assert none == (0.0, 0.0)


def test_the_example_has_a_space_that_fits_for_all_of_the_year(tmp_path: Path) -> None:
    """Its copy differs by the days alone."""
    project = load(write_year(tmp_path))
    assert len(project.tuning.space) == 10
    assert "day <= 120" not in project.data.query
    assert np.isfinite(project.tuning.minutes or np.nan)
