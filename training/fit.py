"""Fit: one training, top to bottom."""

from __future__ import annotations

import json
import math
import sys
import time
from typing import TYPE_CHECKING

import torch
import tqdm

from training.history import History
from training.optim import Optimiser

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from staytrue.project import Project
    from training.batches import Batch
    from training.models.model import Model
    from training.objectives import Objective
    from training.tasks.task import Task


def fit(model: Model, task: Task, train: Batch, held: Batch, project: Project, metrics: Path) -> History:
    """Train the model's head in place, stopping early; each epoch is a line of ``metrics``.

    Raises:
        InvalidInput: the loss became NaN or infinite.
    """
    settings = project.training
    steps = math.ceil(len(train) / settings.batch_size)
    optimiser = Optimiser(model.head, settings, steps * settings.epochs)
    loss_of = task.loss(settings)
    order = torch.Generator().manual_seed(settings.seed)
    history = History(task.measure)
    bar = tqdm.tqdm(total=settings.epochs, desc="training", unit="epoch", disable=not sys.stderr.isatty())
    with metrics.open("w", encoding="utf-8") as journal, bar:
        while len(history.epochs) < settings.epochs and history.waited < settings.patience:
            began, rate = time.perf_counter(), optimiser.learning_rate
            batches = torch.tensor_split(torch.randperm(len(train), generator=order), steps)
            loss, error = _epoch(model, train, optimiser, loss_of, batches), _error(optimiser.kept, held, task)
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


def _error(module: nn.Module, held: Batch, task: Task) -> float:
    module.eval()
    sums = []
    with torch.no_grad():
        for begin in range(0, len(held), held.chunk):
            which = slice(begin, begin + held.chunk)
            sums.append((task.miss(module(held.matrix(which)), held.truth[which]) * held.weight[which]).sum())
    return float(torch.stack(sums).sum() / held.weight.sum())
