"""Hearing: what a weighted ensemble says of the rows that chose its weights, by weights that they did not choose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import torch

from training.data.encode.encoder import tensors
from training.ensemble.losses import losses
from training.ensemble.weights import crossfitted
from training.evaluate.blocks import blocks_of
from training.models.ensemble import Ensemble
from training.models.model import Model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.bundle import Metric
    from staytrue.evaluation import PartEvaluation
    from staytrue.splitting import SplitSection
    from training.data.rows import Rows
    from training.evaluate.blocks import Blocks
    from training.objectives import Objective
    from training.tasks.task import Task

PLAIN = "nothing was fitted on these rows but when each member stopped"
CROSS = "weights fitted on other {} of validation than each figure is of (cross-fitted)"
SELF = "in-sample: weights fitted on these very rows, of one of the {}; the figures flatter the ensemble"


class Heard(Model):
    """What a model has answered to some rows, told again."""

    def __init__(self, model: Model, numbers: Tensor) -> None:
        super().__init__(model.encoder, model.head)
        told = model.told(numbers)
        self._told = [one.numpy() for one in (told if isinstance(told, tuple) else (told,))]

    def answers(self, columns: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Of those rows."""
        if any(len(column) != len(self._told[0]) for column in columns.values()):
            raise ValueError("these are other rows")
        return self._told


def heard(model: Model, task: Task, held: Rows, split: SplitSection, seed: int) -> tuple[Model, str]:
    """What answers the validation rows of a finished ensemble whose weights they chose, and what is to be known of it.

    The same as when it was made: by weights of other blocks, where there is more than one.
    """
    if not isinstance(model, Ensemble):
        raise TypeError("no ensemble")
    *_, by = losses(task, model).values()
    numbers, note = crossed(each_of(model, held.columns), task.truth(held), by, blocks_of(held, split, seed))
    return (model if numbers is None else Heard(model, numbers)), note


def each_of(model: Ensemble, columns: dict[str, NDArray[Any]]) -> list[Tensor]:
    """What each member says of raw columns. Shapes: {name: [N,…]} → [N,M] each."""
    with torch.no_grad():
        parts = [model.each(*tensors(some, model.encoder.states)) for some in model.encoder.chunks(columns)]
    return [torch.cat(same) for same in zip(*parts, strict=True)]


def crossed(each: Sequence[Tensor], truth: Tensor, by: Objective, blocks: Blocks) -> tuple[Tensor | None, str]:
    """What members say together by weights of other blocks, nothing where there is but one; and a note that says so.

    Shapes: [N,M] each → [N,M].
    """
    numbers = crossfitted(each, truth, by, blocks.counted)
    return numbers, (SELF if numbers is None else CROSS).format(blocks.what)


def noted(evaluation: dict[str, PartEvaluation], note: str) -> dict[str, PartEvaluation]:
    """The same, each figure, those of classes and slices too, with where its weights come from; none of no note."""
    return {name: _with(part, note) for name, part in evaluation.items()} if note else evaluation


def _with(part: PartEvaluation, note: str) -> PartEvaluation:
    by_class = {
        name: msgspec.structs.replace(one, metrics=_said(one.metrics, note)) for name, one in part.by_class.items()
    }
    slices = [msgspec.structs.replace(one, metrics=_said(one.metrics, note)) for one in part.slices]
    return msgspec.structs.replace(part, metrics=_said(part.metrics, note), by_class=by_class, slices=slices)


def _said(metrics: Mapping[str, Metric], note: str) -> dict[str, Metric]:
    return {
        name: msgspec.structs.replace(metric, note="; ".join(filter(None, [metric.note, note])))
        for name, metric in metrics.items()
    }
