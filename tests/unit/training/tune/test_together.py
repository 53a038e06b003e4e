"""Together: the best settings of a study become runs once, and one run that answers by their mean."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from staytrue import project as projects
from staytrue.command import main
from staytrue.errors import InvalidConfig
from tests.unit.training.conftest import table
from training import checkpoint as checkpoints
from training.tune.settings import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from staytrue.project import Project

SPACE = "space: {model.width: [2, 16], training.learning_rate: [0.01, 0.1]}, method: grid, ensemble: 3"


def members_of(folder: Path) -> list[str]:
    return [line["run"] for line in json.loads((folder / "ensemble.json").read_text(encoding="utf-8"))["members"]]


def predicted(folder: Path) -> NDArray[np.float32]:
    x, hour, sky, _ = table(2, seed=3)
    columns = {"x": x.astype(np.float32), "hour": hour, "sky": sky.astype(object)}
    answer: NDArray[np.float32] = checkpoints.load(folder)[2].answers(columns)[0]
    return answer


def test_the_best_few_are_trained_once_and_answer_by_their_mean(
    tuned: Callable[..., Project], capsys: pytest.CaptureFixture[str]
) -> None:
    project = tuned(SPACE)
    runs = project.retraining.runs
    command = ["tune", "--project", str(project.folder / "staytrue.yaml")]
    assert main(command) == 0
    told = capsys.readouterr().out
    trials = json.loads((project.folder / "tuning/toy/trials.json").read_text(encoding="utf-8"))
    best = sorted(trials, key=lambda line: line["value"])[:3]
    together = Path(told.rsplit("run: ", 1)[1].strip())
    assert together == checkpoints.newest_run(runs, "toy")
    members = members_of(together)
    for run, trial in zip(members, best, strict=True):
        had = projects.load(runs / run / "project.yaml", written=False)
        assert had.model.width == trial["settings"]["model.width"]
        assert had.training.learning_rate == trial["settings"]["training.learning_rate"]
        assert f"trains with the settings of trial {trial['trial']}\n" in told
        evaluation = checkpoints.load(runs / run)[0].evaluation
        assert evaluation["validation"]["mae"].value == pytest.approx(trial["value"], rel=1e-5)
        assert set(evaluation) == {"train", "validation"}
    mean = np.mean([predicted(runs / run) for run in members], axis=0)
    np.testing.assert_allclose(predicted(together), mean, rtol=1e-5)

    shutil.rmtree(runs / members[1])
    assert main([*command, "--ensemble", "2"]) == 0
    told = capsys.readouterr().out
    assert told.count("trains with the settings of trial") == 1
    again = checkpoints.newest_run(runs, "toy")
    assert members_of(again)[0] == members[0]
    assert members_of(again)[1] not in members


def test_one_trial_is_no_ensemble(tuned: Callable[..., Project], capsys: pytest.CaptureFixture[str]) -> None:
    """Its settings are written all the same."""
    project = tuned(SPACE)
    flags = ["--method", "random", "--trials", "1"]
    assert main(["tune", "--project", str(project.folder / "staytrue.yaml"), *flags]) == 1
    told = capsys.readouterr().err
    assert "tuning.ensemble: expected two trials of different settings at least, got 1; allow more" in told
    assert (project.folder / "best.yaml").is_file()


def test_generators_are_no_ensemble(tuned: Callable[..., Project]) -> None:
    """It is told before anything is tried."""
    project = tuned(SPACE)
    generator = project.model_copy(update={"model": project.model.model_copy(update={"task": "generation"})})
    with pytest.raises(InvalidConfig, match=r"^tuning\.ensemble: is of models that predict"):
        check(generator)
