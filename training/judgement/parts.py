"""Parts: all that is told of a model by the rows of each part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.ensemble.hearing import noted
from training.evaluate import slices
from training.evaluate.blocks import blocks_of
from training.evaluate.columns import columns
from training.evaluate.parts import evaluated
from training.evaluate.worst import worst

if TYPE_CHECKING:
    from collections.abc import Mapping

    from staytrue.evaluation import PartEvaluation
    from staytrue.project import Project
    from training.data.rows import Rows, TrainingRows
    from training.judgement.restored import Restored
    from training.models.model import Model
    from training.tasks.task import Task


def judged_again(run: Restored) -> dict[str, PartEvaluation]:
    """All metrics of a finished run's validation rows, as its own evaluation has them."""
    model, note = run.heard
    return noted(judged(run.project, run.task, model, run.training, {"validation": run.validation}), note)


def judged(
    project: Project, task: Task, model: Model, train: TrainingRows, parts: Mapping[str, Rows]
) -> dict[str, PartEvaluation]:
    """All metrics of some rows; ``train`` says where slices are cut."""
    seed, least = project.training.seed, project.evaluation.minimum_rows
    divisions, made = slices.learn(project, train), {}
    for name, rows in parts.items():
        table = columns(rows, project) if divisions else {}
        judge = task.judge(model, rows, seed=seed)
        some = (one for division in divisions for one in division.of(table))
        told = None if name == "test" else worst(judge, rows, project.data.features)  # nobody looks at sealed rows
        made[name] = evaluated(
            judge, some, blocks_of(rows, project.split, seed), minimum_rows=least, seed=seed, worst=told
        )
    return made
