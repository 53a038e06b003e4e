"""The whole classifier as it is exported: raw features in, the class and the probability of each class out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from training.evaluate.classification import LEAST_PROBABILITY
from training.models.model import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from training.data.encode.encoder import Encoder


class Classifier(Model):
    """Encoder and head. Shapes: one [N,1] tensor a feature, [N,C,H,W] of pictures → codes [N,1], probabilities [N,K].

    The code of a class is 1 + its place in ``classes``, as of a text that goes in.
    """

    def __init__(self, encoder: Encoder, head: nn.Module, classes: Sequence[str]) -> None:
        super().__init__(encoder, head)
        self.classes = list(classes)

    def meant(self, made: Tensor) -> Tensor:
        """Probabilities of logits."""
        return torch.softmax(made, dim=1)

    def unmeant(self, numbers: Tensor) -> Tensor:
        """Logits of probabilities; what is impossible becomes all but so."""
        return numbers.clamp(min=LEAST_PROBABILITY).log()

    def votes(self, numbers: Tensor) -> Tensor:
        """For the likeliest class, the first of several such."""
        return nn.functional.one_hot(numbers.argmax(dim=1), len(self.classes)).to(numbers.dtype)

    def told(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Codes and probabilities."""
        return numbers.argmax(dim=1, keepdim=True) + 1, numbers

    def probabilities(self, columns: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Of raw columns. Shapes: {name: [N]} → [N,K]."""
        return self.answers(columns)[1].astype(np.float64)

    def named(self, probabilities: NDArray[np.float64]) -> NDArray[Any]:
        """The likeliest class of each row, by name. Shapes: [N,K] → [N]."""
        names: NDArray[Any] = np.array(self.classes, dtype=object)[probabilities.argmax(axis=1)]
        return names
