"""Rows held out that an epoch cannot be judged by end the training with what went wrong, as a loss does."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import pytest

from staytrue.errors import InvalidInput
from training.batches import Batch
from training.run import train

if TYPE_CHECKING:
    from staytrue.project import Project


def stopped(project: Project, **training: Any) -> str:
    """What a training of these settings ends with."""
    settings = project.training.model_copy(update={"epochs": 2, **training})
    with pytest.raises(InvalidInput) as ended:
        train(project.model_copy(update={"training": settings}))
    return str(ended.value)


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_the_last_step_of_an_epoch_that_runs_away_is_told_with_step_layer_and_rate(
    averaging: float, project: Project
) -> None:
    """No other step sees what it left: an epoch of one step is judged by weights that it threw away."""
    said = stopped(project, batch_size=10_000, learning_rate=1e30, optimiser="sgd", averaging=averaging)
    assert said.startswith("training, epoch 1: expected a finite error, got nan of the validation rows after step 1: ")
    assert 'layer "body.layers.2" (Linear) made nan of finite inputs' in said
    assert "; lower training.learning_rate from 1e+30 to 0.01" in said, "which the epoch began with, not the next one's"


def test_a_row_held_out_that_holds_no_numbers_is_named_with_its_column(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.batches.ROWS", 48)  # so that it lies in another part than the first
    of, made = Batch.of, list[Batch]()

    def spoilt(*given: Any) -> Batch:
        made.append(of(*given))
        if len(made) == 2:
            made[1].sources[0][101, 0] = math.inf
        return made[-1]

    monkeypatch.setattr(Batch, "of", spoilt)
    said = stopped(project)
    steps = -(-len(made[0]) // project.training.batch_size)
    assert re.search(f"got (inf|nan) of the validation rows after step {steps}: ", said)
    assert '"x" of validation row 101 hold no finite numbers' in said
    assert said.endswith('; repair or leave out "x" (docs/cleaning.md)')
