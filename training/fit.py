"""Fit: one training, top to bottom."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import torch
import tqdm

from staytrue.errors import InvalidInput
from training.data.encode import tensors
from training.objectives import objective
from training.optim import Optimiser

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from staytrue.project import Project
    from training.data.rows import Rows
    from training.models.regressor import Regressor
    from training.objectives import Objective

LEAST_IMPROVEMENT = 1e-4
"""Share of the best error by which an epoch must beat it to count as better."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """Encoded rows. Shapes: matrix [N,width], truth [N,1], weight [N,1]."""

    matrix: Tensor
    truth: Tensor
    weight: Tensor

    @classmethod
    def of(cls, model: Regressor, rows: Rows, weight: NDArray[np.float64]) -> Batch:
        """Encode once: the encoder has no weights, so every epoch sees the same matrix."""
        with torch.no_grad():
            matrix = model.encoder(*tensors(rows.columns, model.encoder.states))
        truth = torch.from_numpy(rows.target.astype(np.float32)).unsqueeze(1)
        return cls(matrix, truth, torch.from_numpy(weight.astype(np.float32)).unsqueeze(1))


@dataclasses.dataclass
class History:
    """What each epoch gave, and the weights of the best one (counted from 1)."""

    epochs: list[dict[str, float]] = dataclasses.field(default_factory=list)
    best_epoch: int = 0
    best_error: float = math.inf
    best_weights: dict[str, Tensor] = dataclasses.field(default_factory=dict)

    def add(self, line: dict[str, float], module: nn.Module) -> None:
        """Note an epoch; keep the module's weights if it is the best so far.

        Raises:
            InvalidInput: the loss or the error is NaN or infinite; says at which epoch.
        """
        error = line["validation_mae"]
        if not math.isfinite(line["loss"] + error):
            where = f"training, epoch {len(self.epochs) + 1}"
            hint = "lower training.learning_rate"
            raise InvalidInput(where, expected="a finite loss and error", got=f"{line['loss']} and {error}", hint=hint)
        self.epochs.append(line)
        if error < self.best_error * (1 - LEAST_IMPROVEMENT):
            self.best_epoch, self.best_error = len(self.epochs), error
            self.best_weights = {name: value.clone() for name, value in module.state_dict().items()}

    @property
    def waited(self) -> int:
        """Epochs since the best one."""
        return len(self.epochs) - self.best_epoch


def fit(model: Regressor, train: Batch, held: Batch, project: Project, metrics: Path) -> History:
    """Train the model's head in place, stopping early; each epoch is a line of ``metrics``.

    The validation error is the weighted mean absolute error, in the target's unit: it means the same for every loss.

    Raises:
        InvalidInput: the loss became NaN or infinite.
    """
    settings = project.training
    steps = math.ceil(len(train.matrix) / settings.batch_size)
    optimiser = Optimiser(model.head, settings, steps * settings.epochs)
    loss_of = objective(settings, project.model, model.head.spread)
    order = torch.Generator().manual_seed(settings.seed)
    history = History()
    bar = tqdm.tqdm(total=settings.epochs, desc="training", unit="epoch", disable=not sys.stderr.isatty())
    with metrics.open("w", encoding="utf-8") as journal, bar:
        while len(history.epochs) < settings.epochs and history.waited < settings.patience:
            began, rate = time.perf_counter(), optimiser.learning_rate
            batches = torch.tensor_split(torch.randperm(len(train.matrix), generator=order), steps)
            loss, error = _epoch(model, train, optimiser, loss_of, batches), _error(optimiser.kept, held)
            line = {"epoch": len(history.epochs) + 1, "loss": loss, "validation_mae": error, "learning_rate": rate}
            history.add(line, optimiser.kept)
            journal.write(json.dumps(line | {"seconds": round(time.perf_counter() - began, 4)}) + "\n")
            bar.set_postfix(loss=f"{loss:.4g}", mae=f"{error:.4g}", refresh=False)
            bar.update()
    model.head.load_state_dict(history.best_weights)
    model.eval()
    return history


def _epoch(
    model: Regressor, train: Batch, optimiser: Optimiser, loss_of: Objective, batches: Sequence[Tensor]
) -> float:
    """All batches once; the mean loss of a row."""
    model.head.train()
    total = 0.0
    for which in batches:
        loss = (loss_of(model.head(train.matrix[which]), train.truth[which]) * train.weight[which]).mean()
        optimiser.step(loss)
        total += loss.item() * len(which)
    return total / len(train.matrix)


def _error(module: nn.Module, held: Batch) -> float:
    module.eval()
    with torch.no_grad():
        misses = (module(held.matrix) - held.truth).abs() * held.weight
    return float(misses.sum() / held.weight.sum())
