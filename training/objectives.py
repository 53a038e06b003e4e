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

    from staytrue.sections import TrainingSection
    from training.models.regressor import Scale

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


def classification_loss(training: TrainingSection) -> Objective:
    """The loss of each row. Shapes: [N,K], places of the classes [N,1] → [N,1].

    Raises:
        InvalidConfig: a loss for another task.
    """
    if training.loss not in (None, "cross_entropy"):
        raise InvalidConfig("training.loss", expected="cross_entropy for classification", got=training.loss)
    return functools.partial(cross_entropy, smoothing=training.regularisation.label_smoothing)


def regression_loss(training: TrainingSection, scale: Scale) -> Objective:
    """The loss of each row, one deviation of the target being the unit. Shapes: prediction [N,1], truth [N,1] → [N,1].

    Raises:
        InvalidConfig: a Poisson loss for a model whose output may be negative, or a loss for another task.
    """
    spread = scale.spread
    if training.loss == "poisson" and scale.link != "positive":
        raise InvalidConfig(
            "training.loss", expected="model.output: positive with poisson", got=f"model.output: {scale.link}"
        )

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
    wanted = training.loss or "huber"
    if wanted not in losses:
        raise InvalidConfig("training.loss", expected="mse, mae, huber or poisson for regression", got=wanted)
    return losses[wanted]
