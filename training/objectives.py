"""Objectives: what is minimised, row by row, in units that do not depend on the target's own."""

from __future__ import annotations

import functools
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


def cross_entropy(logits: Tensor, places: Tensor, smoothing: float = 0.0) -> Tensor:
    """Minus the logarithm of the true class's probability. Shapes: [N,K], places of the classes [N,1] → [N,1].

    ``smoothing`` is the share of the truth that is spread over all classes. Source: Szegedy et al., 2016, section 7.
    """
    rows = nn.functional.cross_entropy(logits, places.squeeze(1), reduction="none", label_smoothing=smoothing)
    return rows.unsqueeze(1)


def distance(prediction: Tensor, truth: Tensor) -> Tensor:
    """Absolute error, in the target's unit. Shapes: [N,1], [N,1] → [N,1]."""
    return (prediction - truth).abs()


def objective(training: TrainingSection, model: ModelSection, spread: float) -> Objective:
    """The loss of each row. Shapes: prediction [N,1], truth [N,1] → [N,1]. ``spread`` is one unit of error.

    Raises:
        InvalidConfig: a Poisson loss for a model whose output may be negative, or a loss that is not for the task.
    """
    classes = model.task == "classification"
    if training.loss is not None and classes != (training.loss == "cross_entropy"):
        expected = "cross_entropy" if classes else "mse, mae, huber or poisson"
        raise InvalidConfig("training.loss", expected=f"{expected} for {model.task}", got=training.loss)
    if classes:
        return functools.partial(cross_entropy, smoothing=training.regularisation.label_smoothing)
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
