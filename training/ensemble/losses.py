"""Losses: by what members and ensemble are compared, row by row, and by what weights are fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.tasks.classification import Classification
from training.tasks.regression import Regression
from training.tasks.targets import Targets

if TYPE_CHECKING:
    from torch import Tensor

    from training.models.model import Model
    from training.objectives import Objective
    from training.tasks.task import Task


def losses(task: Task, model: Model) -> dict[str, Objective]:
    """By name: first what an epoch is judged by, last what weights are fitted by; smaller is better.

    Numbers are fitted by squared errors, probabilities by the log loss, quantiles by the pinball loss. Shapes: what a
    model's ``numbers`` are [N,M], truth as the task has it → [N,1].
    """

    def own(numbers: Tensor, truth: Tensor) -> Tensor:
        return task.miss(model.unmeant(numbers), truth)

    name = task.measure.removeprefix("validation_")
    if isinstance(task, Classification):
        return {"error_rate": _wrong, name: own}
    if isinstance(task, Regression):
        return {name: own, "mse": lambda numbers, truth: own(numbers, truth) ** 2}
    if isinstance(task, Targets):
        spreads = [scale.spread for scale in task.scales]
        return {name: own, "scaled_mse": lambda numbers, truth: _squared(numbers, truth, spreads)}
    return {name: own}


def _wrong(numbers: Tensor, truth: Tensor) -> Tensor:
    return (numbers.argmax(dim=1, keepdim=True) != truth).to(numbers.dtype)


def _squared(numbers: Tensor, truth: Tensor, spreads: list[float]) -> Tensor:
    """In deviations of each target, the mean over them."""
    return (((numbers - truth) / numbers.new_tensor(spreads)) ** 2).mean(dim=1, keepdim=True)
