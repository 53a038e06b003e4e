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
from training.data.encode.encoder import CHUNK, tensors
from training.models.classifier import Classifier
from training.objectives import cross_entropy, distance, objective
from training.optim import Optimiser

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from staytrue.project import Project
    from training.data.rows import Rows
    from training.models.assembly import Model
    from training.objectives import Objective

MAE, LOG_LOSS = "validation_mae", "validation_log_loss"
"""What an epoch is judged by, for regression and for classification."""
LEAST_IMPROVEMENT = 1e-4
"""Share of the best error by which an epoch must beat it to count as better."""
ENCODED = 65_536
"""Rows of a table encoded at once: a column of quantiles compares each number with all of them."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """Rows to train on or to stop by. Shapes: each source [N,…], truth [N,1], weight [N,1].

    The encoder has no weights, so every epoch sees the same matrix: a table is encoded once. Pictures stay as they are,
    which is a quarter of the size, until they are taken.
    """

    sources: Sequence[Tensor]
    truth: Tensor
    weight: Tensor
    encode: Callable[..., Tensor]
    chunk: int
    """Rows that may be predicted at once."""

    @classmethod
    def of(cls, model: Model, rows: Rows, weight: NDArray[np.float64]) -> Batch:
        """The rows as the model takes them; the truth of a classifier is the class's place."""
        raw, encoder = tensors(rows.columns, model.encoder.states), model.encoder
        truth = _places(rows, model.classes) if isinstance(model, Classifier) else rows.target.astype(np.float32)
        marks = torch.from_numpy(truth).unsqueeze(1), torch.from_numpy(weight.astype(np.float32)).unsqueeze(1)
        if encoder.pictures:
            return cls(raw, *marks, encode=encoder, chunk=CHUNK)
        with torch.no_grad():
            parts = [encoder(*some) for some in zip(*(torch.split(source, ENCODED) for source in raw), strict=True)]
            return cls([torch.cat(parts)], *marks, encode=_as_it_is, chunk=len(rows))

    def __len__(self) -> int:
        return len(self.truth)

    def matrix(self, which: Tensor | slice) -> Tensor:
        """Some rows, encoded. Shapes: [n,width]."""
        with torch.no_grad():
            return self.encode(*(source[which] for source in self.sources))


@dataclasses.dataclass
class History:
    """What each epoch gave, and the weights of the best one (counted from 1) by the ``measure``."""

    measure: str = MAE
    epochs: list[dict[str, float]] = dataclasses.field(default_factory=list)
    best_epoch: int = 0
    best_error: float = math.inf
    best_weights: dict[str, Tensor] = dataclasses.field(default_factory=dict)

    def add(self, line: dict[str, float], module: nn.Module) -> None:
        """Note an epoch; keep the module's weights if it is the best so far.

        Raises:
            InvalidInput: the loss or the error is NaN or infinite; says at which epoch.
        """
        error = line[self.measure]
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


def fit(model: Model, train: Batch, held: Batch, project: Project, metrics: Path) -> History:
    """Train the model's head in place, stopping early; each epoch is a line of ``metrics``.

    The validation error is the weighted mean absolute error, in the target's unit: it means the same for every loss.
    Of a classifier it is the log loss.

    Raises:
        InvalidInput: the loss became NaN or infinite.
    """
    settings = project.training
    steps = math.ceil(len(train) / settings.batch_size)
    optimiser = Optimiser(model.head, settings, steps * settings.epochs)
    names = isinstance(model, Classifier)
    loss_of = objective(settings, project.model, 1.0 if isinstance(model, Classifier) else model.head.spread)
    miss = cross_entropy if names else distance
    order = torch.Generator().manual_seed(settings.seed)
    history = History(LOG_LOSS if names else MAE)
    bar = tqdm.tqdm(total=settings.epochs, desc="training", unit="epoch", disable=not sys.stderr.isatty())
    with metrics.open("w", encoding="utf-8") as journal, bar:
        while len(history.epochs) < settings.epochs and history.waited < settings.patience:
            began, rate = time.perf_counter(), optimiser.learning_rate
            batches = torch.tensor_split(torch.randperm(len(train), generator=order), steps)
            loss, error = _epoch(model, train, optimiser, loss_of, batches), _error(optimiser.kept, held, miss)
            line = {"epoch": len(history.epochs) + 1, "loss": loss, history.measure: error, "learning_rate": rate}
            history.add(line, optimiser.kept)
            journal.write(json.dumps(line | {"seconds": round(time.perf_counter() - began, 4)}) + "\n")
            bar.set_postfix(loss=f"{loss:.4g}", validation=f"{error:.4g}", refresh=False)
            bar.update()
    model.head.load_state_dict(history.best_weights)
    model.eval()
    return history


def _epoch(model: Model, train: Batch, optimiser: Optimiser, loss_of: Objective, batches: Sequence[Tensor]) -> float:
    """All batches once; the mean loss of a row."""
    model.head.train()
    total = 0.0
    for which in batches:
        loss = (loss_of(model.head(train.matrix(which)), train.truth[which]) * train.weight[which]).mean()
        optimiser.step(loss)
        total += loss.item() * len(which)
    return total / len(train)


def _error(module: nn.Module, held: Batch, miss: Objective) -> float:
    module.eval()
    sums = []
    with torch.no_grad():
        for begin in range(0, len(held), held.chunk):
            which = slice(begin, begin + held.chunk)
            sums.append((miss(module(held.matrix(which)), held.truth[which]) * held.weight[which]).sum())
    return float(torch.stack(sums).sum() / held.weight.sum())


def _places(rows: Rows, classes: Sequence[str]) -> NDArray[np.int64]:
    places = {name: place for place, name in enumerate(classes)}
    return np.array([places[name] for name in rows.target], dtype=np.int64)


def _as_it_is(matrix: Tensor) -> Tensor:
    return matrix
