"""A training whose later epochs cannot be judged ends with the best of those that could."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from staytrue.optimisation import OptimisationSection
from training import checkpoint as checkpoints
from training.run import train

if TYPE_CHECKING:
    from staytrue.project import Project


def rising(project: Project) -> Project:
    """Of one step an epoch: the first at a rate of 0.1, the second at one that is far too large."""
    settings = {
        "epochs": 4,
        "batch_size": 10_000,
        "averaging": 0.0,
        "optimiser": "sgd",
        "schedule": "one_cycle",
        "learning_rate": 1e30,
        "optimisation": OptimisationSection(start=1e-31),
    }
    return project.model_copy(update={"training": project.training.model_copy(update=settings)})


def test_it_keeps_the_best_epoch_and_says_what_happened(project: Project) -> None:
    said: list[str] = []
    run = train(rising(project), say=said.append)
    checkpoint, _, _ = checkpoints.load(run)
    assert (checkpoint.epochs, checkpoint.best_epoch) == (1, 1)
    (line,) = (run / checkpoints.METRICS).read_text(encoding="utf-8").splitlines()
    told = json.loads(line)["validation_mae"]
    assert abs(told - checkpoint.evaluation["validation"]["mae"].value) < 1e-5 * told, "the weights are the epoch's"
    (ended,) = [line for line in said if "Training ends here" in line]
    assert ended.startswith("training, epoch 2: expected a finite error, got nan of the validation rows after step 2: ")
    assert "made nan of finite inputs" in ended
    assert ended.endswith("Training ends here, and epoch 1, the best before, is kept")
