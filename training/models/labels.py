"""The whole multi-label model as it is exported: raw features in, a decision and a probability for each label out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from training.models.model import Model

if TYPE_CHECKING:
    from torch import Tensor

THRESHOLD = 0.5
"""A label at least this probable is decided for: fewest wrong decisions are to be expected so."""


class Labeller(Model):
    """Encoder and head. Shapes: one [N,1] tensor a feature → decisions [N,K], probabilities [N,K]."""

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """Raw features, in the order of the signature's inputs, to decisions and probabilities."""
        probabilities = torch.sigmoid(self.head(self.encoder(*tensors)))
        return probabilities >= THRESHOLD, probabilities
