"""Multi-label classification: of each label by itself whether it holds."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import nn

from staytrue.errors import InvalidConfig
from staytrue.signature import TensorSpec
from training.data.classes import DECISIONS, PROBABILITIES
from training.evaluate.multilabel import LabelJudge
from training.models.labels import Labeller

if TYPE_CHECKING:
    from torch import Tensor

    from staytrue.profile import ReferenceColumn
    from staytrue.sections import TrainingSection
    from training.data.encode.encoder import Encoder
    from training.data.rows import Rows
    from training.models.model import Model
    from training.objectives import Objective


@dataclasses.dataclass(frozen=True)
class Multilabel:
    """Any of the labels, also none. An epoch is judged by the log loss, the mean over the labels."""

    classes: tuple[str, ...]
    measure: ClassVar[str] = "validation_log_loss"

    @property
    def outputs(self) -> int:
        """One a label."""
        return len(self.classes)

    def model(self, encoder: Encoder, body: nn.Module) -> Model:
        """A model that decides for each label."""
        return Labeller(encoder, body)

    def truth(self, rows: Rows) -> Tensor:
        """1 where a label holds. Shapes: [N,K]."""
        return torch.from_numpy(rows.target.astype(np.float32))

    def loss(self, settings: TrainingSection) -> Objective:
        """Binary cross-entropy, the mean over the labels.

        Raises:
            InvalidConfig: another loss.
        """
        if settings.loss not in (None, "binary_cross_entropy"):
            expected = "binary_cross_entropy for multilabel"
            raise InvalidConfig("training.loss", expected=expected, got=settings.loss)
        return self.miss

    def miss(self, made: Tensor, truth: Tensor) -> Tensor:
        """Minus the logarithm of what was said of the truth of each label, the mean over them."""
        losses = nn.functional.binary_cross_entropy_with_logits(made, truth, reduction="none")
        return losses.mean(dim=1, keepdim=True)

    def specs(self) -> list[TensorSpec]:
        """Decisions and probabilities, labels in the order of the settings."""
        shape = [-1, self.outputs]
        decided = TensorSpec(name=DECISIONS, datatype="BOOL", shape=shape)
        return [decided, TensorSpec(name=PROBABILITIES, datatype="FP32", shape=shape)]

    def judge(self, model: Model, rows: Rows, *, seed: int) -> LabelJudge:
        """What is decided of each label, and its probability."""
        del seed
        decided, likely = model.answers(rows.columns)
        return LabelJudge(rows.target, decided, likely.astype(np.float64), self.classes, rows.time)

    def told(self, rows: Rows) -> list[float | str]:
        """How many labels hold."""
        return list(rows.target.sum(axis=1).tolist())

    def predictions(self, model: Model, rows: Rows) -> tuple[list[float | str], list[ReferenceColumn]]:
        """How many labels are decided for."""
        return model.answers(rows.columns)[0].sum(axis=1).astype(np.float64).tolist(), []

    def described(self) -> dict[str, Any]:
        """Nothing but the labels, which the checkpoint names."""
        return {}
