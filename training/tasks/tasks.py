"""The task of a project, learnt from its training rows, and that of a checkpoint, made again from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from staytrue.errors import InvalidConfig
from staytrue.signature import TensorSpec
from training.models.architectures import measure_of
from training.models.regressor import Scale
from training.tasks.classification import Classification
from training.tasks.generation import Generation, picture_of
from training.tasks.multilabel import Multilabel
from training.tasks.quantiles import Quantiles
from training.tasks.regression import Regression
from training.tasks.targets import Targets

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
    places = range(len(project.data.targets) if project.model.task == "regression" else 0)
    return _task(project, [Scale.of(train, weight, project.model.output, place) for place in places], classes)


def check(project: Project) -> None:
    """Refuse a loss or features that the task cannot have, before any data are read.

    Raises:
        InvalidConfig: says which there are.
    """
    kinds = [feature.kind for feature in project.data.features.values()]
    if project.model.task == "generation" and kinds != ["image"]:
        got = ", ".join(kinds)[:200]
        raise InvalidConfig("data.features", expected="one image alone for task generation", got=got)
    unit = Scale(link=project.model.output, location=0.0, spread=1.0)
    _task(project, [unit] * len(project.data.targets), ("a", "b")).loss(project.training)


def _task(project: Project, scales: Sequence[Scale], classes: Sequence[str]) -> Task:
    target, names = project.data.goal, tuple(project.data.targets)
    if project.model.task == "multilabel":
        return Multilabel(names)
    if project.model.task == "classification":
        return Classification(target, tuple(classes))
    if project.model.task == "generation":
        (name, feature), *_ = project.data.features.items()
        return Generation(target, picture_of(name, feature), measure_of(project.model.architecture))
    if len(names) > 1:
        return Targets(names, tuple(scales))
    if project.model.quantiles:
        return Quantiles(target, scales[0], tuple(project.model.quantiles))
    return Regression(target, scales[0])


def restored(checkpoint: Checkpoint) -> Task:
    """What a checkpoint's model is for.

    Raises:
        KeyError, msgspec.ValidationError: it does not say.
    """
    if checkpoint.task == "multilabel":
        return Multilabel(tuple(checkpoint.classes))
    if checkpoint.task == "classification":
        return Classification(checkpoint.target, tuple(checkpoint.classes))
    if checkpoint.task == "generation":
        picture = msgspec.convert(checkpoint.model["picture"], TensorSpec)
        return Generation(checkpoint.target, picture, checkpoint.model["measure"])
    if checkpoint.targets:
        return Targets(tuple(checkpoint.targets), msgspec.convert(checkpoint.model["scales"], tuple[Scale, ...]))
    target, scale = checkpoint.target, msgspec.convert(checkpoint.model["scale"], Scale)
    if "quantiles" in checkpoint.model:
        return Quantiles(target, scale, msgspec.convert(checkpoint.model["quantiles"], tuple[float, ...]))
    return Regression(target, scale)
