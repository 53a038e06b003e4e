"""The task of a project, learnt from its training rows, and that of a checkpoint, made again from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from staytrue.signature import TensorSpec
from training.models.architectures import measure_of
from training.models.regressor import Scale
from training.tasks.classification import Classification
from training.tasks.generation import Generation, picture_of
from training.tasks.regression import Regression

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from staytrue.checkpoint import Checkpoint
    from staytrue.project import Project
    from training.data.rows import TrainingRows
    from training.tasks.task import Task


def learnt(project: Project, train: TrainingRows, weight: NDArray[np.float64], classes: Sequence[str]) -> Task:
    """What the project's model is for; ``weight`` is how much each training row counts, [N]."""
    target = project.data.target
    if project.model.task == "classification":
        return Classification(target, tuple(classes))
    if project.model.task == "generation":
        (name, feature), *_ = project.data.features.items()
        return Generation(target, picture_of(name, feature), measure_of(project.model.architecture))
    return Regression(target, Scale.of(train, weight, project.model.output))


def restored(checkpoint: Checkpoint) -> Task:
    """What a checkpoint's model is for.

    Raises:
        KeyError, msgspec.ValidationError: it does not say.
    """
    if checkpoint.task == "classification":
        return Classification(checkpoint.target, tuple(checkpoint.classes))
    if checkpoint.task == "generation":
        picture = msgspec.convert(checkpoint.model["picture"], TensorSpec)
        return Generation(checkpoint.target, picture, checkpoint.model["measure"])
    return Regression(checkpoint.target, msgspec.convert(checkpoint.model["scale"], Scale))
