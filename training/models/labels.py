"""The whole multi-label model as it is exported: raw features in, a decision and a probability for each label out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from training.evaluate.classification import LEAST_PROBABILITY
from training.models.model import Model

if TYPE_CHECKING:
    from torch import Tensor

THRESHOLD = 0.5
"""A label at least this probable is decided for: fewest wrong decisions are to be expected so."""


class Labeller(Model):
    """Encoder and head. Shapes: one [N,1] tensor a feature → decisions [N,K], probabilities [N,K]."""

    def meant(self, made: Tensor) -> Tensor:
        """Probabilities of logits."""
        return torch.sigmoid(made)

    def unmeant(self, numbers: Tensor) -> Tensor:
        """Logits of probabilities; what is impossible becomes all but so."""
        return torch.logit(numbers, eps=LEAST_PROBABILITY)

    def votes(self, numbers: Tensor) -> Tensor:
        """For the labels that are decided for."""
        return (numbers >= THRESHOLD).to(numbers.dtype)

    def told(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Decisions and probabilities."""
        return numbers >= THRESHOLD, numbers
