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
from training.evaluate import LEAST_PROBABILITY, resampled_sums
from training.models.labels import Labeller

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.bundle import Metric
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

    def evaluate(self, model: Model, rows: Rows, *, seed: int) -> dict[str, Metric]:
        """Log loss, subset accuracy, micro and macro F1."""
        decided, likely = model.answers(rows.columns)
        table = _judged(rows.target > 0, decided, likely.astype(np.float64))
        return resampled_sums(table, rows.time, _metrics, seed=seed)

    def told(self, rows: Rows) -> list[float | str]:
        """How many labels hold."""
        return list(rows.target.sum(axis=1).tolist())

    def predictions(self, model: Model, rows: Rows) -> tuple[list[float | str], list[ReferenceColumn]]:
        """How many labels are decided for."""
        return model.answers(rows.columns)[0].sum(axis=1).astype(np.float64).tolist(), []

    def described(self) -> dict[str, Any]:
        """Nothing but the labels, which the checkpoint names."""
        return {}


def _judged(truth: NDArray[np.bool_], decided: NDArray[np.bool_], likely: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the metrics need of each row: 1, log loss, all right; then right, decided and true by label.

    Shapes: [N,K] → [N,3+3K].
    """
    said = np.maximum(np.where(truth, likely, 1 - likely), LEAST_PROBABILITY)
    rows = [np.ones(len(truth)), -np.log(said).mean(axis=1), (truth == decided).all(axis=1)]
    return np.concatenate([np.stack(rows, axis=1), truth & decided, decided, truth], axis=1).astype(np.float64)


def _metrics(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Metrics from sums. Shapes: [...,3+3K] → [...] each.

    F1 is 2 * right / (decided + true): micro of the sums over all labels, macro the mean of that of each label which is
    there, among the truths or the decisions; 0 where there is none.
    """
    right, decided, true = np.split(sums[..., 3:], 3, axis=-1)
    both = decided + true
    there = both > 0
    score = 2 * right / np.where(there, both, 1.0)
    return {
        "log_loss": sums[..., 1] / sums[..., 0],
        "subset_accuracy": sums[..., 2] / sums[..., 0],
        "micro_f1": 2 * right.sum(axis=-1) / np.maximum(both.sum(axis=-1), 1.0),
        "macro_f1": score.sum(axis=-1) / np.maximum(there.sum(axis=-1), 1),
    }
