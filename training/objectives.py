"""Objectives: what is minimised, row by row, in units that do not depend on the target's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from staytrue.sections import ModelSection, TrainingSection

    Objective = Callable[[Tensor, Tensor], Tensor]

HUBER_DELTA = 1.0
"""Errors beyond one deviation of the target count linearly."""


def objective(training: TrainingSection, model: ModelSection, spread: float) -> Objective:
    """The loss of each row. Shapes: prediction [N,1], truth [N,1] → [N,1]. ``spread`` is one unit of error.

    Raises:
        InvalidConfig: a Poisson loss for a model whose output may be negative.
    """
    if training.loss == "poisson" and model.output != "positive":
        raise InvalidConfig("training.loss", expected="model.output: positive with poisson", got=model.output)

    def poisson(prediction: Tensor, truth: Tensor) -> Tensor:
        return (prediction - truth * torch.log(prediction + 1e-6)) / spread

    def scaled(loss: Callable[[Tensor, Tensor], Tensor]) -> Objective:
        return lambda prediction, truth: loss(prediction / spread, truth / spread)

    losses: dict[str, Objective] = {
        "mse": scaled(nn.MSELoss(reduction="none")),
        "mae": scaled(nn.L1Loss(reduction="none")),
        "huber": scaled(nn.HuberLoss(reduction="none", delta=HUBER_DELTA)),
        "poisson": poisson,
    }
    return losses[training.loss or "huber"]
