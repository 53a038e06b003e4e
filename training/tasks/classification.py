"""Classification: the name of one class a row."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from staytrue.profile import ReferenceColumn
from staytrue.signature import TensorSpec
from training.data.classes import CONFIDENCE, PROBABILITIES
from training.evaluate.classification import ClassJudge
from training.models.classifier import Classifier
from training.objectives import classification_loss, cross_entropy

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from staytrue.sections import TrainingSection
    from training.data.encode.encoder import Encoder
    from training.data.rows import Rows
    from training.models.model import Model
    from training.objectives import Objective


@dataclasses.dataclass(frozen=True)
class Classification:
    """One of the classes. An epoch is judged by the log loss."""

    target: str
    classes: tuple[str, ...]
    measure: ClassVar[str] = "validation_log_loss"

    @property
    def outputs(self) -> int:
        """One a class."""
        return len(self.classes)

    def model(self, encoder: Encoder, body: nn.Module) -> Model:
        """A classifier, which knows the classes."""
        return Classifier(encoder, body, self.classes)

    def truth(self, rows: Rows) -> Tensor:
        """Places of the classes. Shapes: [N,1]."""
        places = {name: place for place, name in enumerate(self.classes)}
        return torch.tensor([places[name] for name in rows.target], dtype=torch.int64).unsqueeze(1)

    def loss(self, settings: TrainingSection) -> Objective:
        """Cross-entropy."""
        return classification_loss(settings)

    def miss(self, made: Tensor, truth: Tensor) -> Tensor:
        """Minus the logarithm of the true class's probability."""
        return cross_entropy(made, truth)

    def specs(self) -> list[TensorSpec]:
        """The class by name, and the probability of each."""
        named = TensorSpec(name=self.target, datatype="BYTES", shape=[-1, 1], categories=list(self.classes))
        return [named, TensorSpec(name=PROBABILITIES, datatype="FP32", shape=[-1, self.outputs])]

    def judge(self, model: Model, rows: Rows, *, seed: int) -> ClassJudge:
        """The probability of each class."""
        del seed
        return ClassJudge.of(rows.target, _likely(model, rows), self.classes, rows.time)

    def told(self, rows: Rows) -> list[float | str]:
        """The names of the classes."""
        return list(rows.target.tolist())

    def predictions(self, model: Model, rows: Rows) -> tuple[list[float | str], list[ReferenceColumn]]:
        """The likeliest class; its probability is watched too."""
        likely = _likely(model, rows)
        names = np.array(self.classes, dtype=object)[likely.argmax(axis=1)].tolist()
        return names, [ReferenceColumn(name=CONFIDENCE, kind="numeric", values=likely.max(axis=1).tolist())]

    def described(self) -> dict[str, Any]:
        """Nothing but the classes, which the checkpoint names."""
        return {}


def _likely(model: Model, rows: Rows) -> NDArray[np.float64]:
    return model.answers(rows.columns)[1].astype(np.float64)
