"""Balance: what each row to train on counts, by its class, and what goes with which task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from staytrue.errors import InvalidConfig
from training.data.rows import learnable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.balance import ClassWeights
    from staytrue.project import Project
    from training.data.rows import TrainingRows


def balanced(rows: TrainingRows, weights: ClassWeights, counted: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the rows count, times the weight of their class, mean 1. Shapes: [N] → [N].

    Balanced, all rows of a class count together as much as those of another. A class that the mapping does not name has
    the weight 1. Rows to judge by count as they are: their figures are those of what is served.

    Raises:
        InvalidConfig: a weight of a class that no row to train on has.
    """
    target = learnable(rows).target
    if weights == "none":
        return counted
    names, places = np.unique(target, return_inverse=True)
    if weights == "balanced":
        factors = 1 / np.bincount(places, weights=counted)
    else:
        unknown = sorted(set(weights) - set(names.tolist()))
        if unknown:
            got, there = ", ".join(unknown), ", ".join(names[:20])
            raise InvalidConfig("training.class_weights", expected=f"some of {there}"[:200], got=got[:200])
        factors = np.array([weights.get(name, 1.0) for name in names])
    product = counted * factors[places]
    found: NDArray[np.float64] = product / product.mean()
    return found


def check(project: Project) -> None:
    """Refuse settings of classes for a target that is a number.

    Raises:
        InvalidConfig: names the setting.
    """
    if project.model.task == "classification":
        return
    training = project.training
    given = {
        "training.class_weights": training.class_weights != "none",
        "training.sampling": training.sampling == "balanced",
        "training.regularisation.label_smoothing": training.regularisation.label_smoothing > 0,
    }
    for name in (name for name, set_ in given.items() if set_):
        hint = "remove it, or set model.task: classification"
        raise InvalidConfig(name, f"is of classes, and the task is {project.model.task}", hint=hint)
