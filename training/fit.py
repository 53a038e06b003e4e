"""Fit: one training, top to bottom."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import torch

from training.history import History
from training.journal import Journal
from training.optim import Optimiser
from training.resume import Keeper
from training.sampling import order
from training.transfer.layers import groups

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn

    from staytrue.sections import TrainingSection
    from training.augment.augmenter import Augmenter
    from training.batches import Batch
    from training.devices import Devices
    from training.models.model import Model
    from training.tasks.task import Task


def fit(
    model: Model,
    task: Task,
    parts: tuple[Batch, Batch],
    settings: TrainingSection,
    machine: Devices,
    augmenter: Augmenter | None,
    folder: Path,
    identity: Mapping[str, str],
) -> History:
    """Train the model's head in place on the first part, and stop early by the second.

    What each epoch gave is a line of ``metrics.jsonl`` in the run's folder. A run that was killed goes on from what its
    folder keeps, to the same weights; ``identity`` is what must not have changed since.

    Raises:
        InvalidInput: the loss became NaN or infinite.
        Conflict: the folder keeps a training of other settings or data.
    """
    (train, held), head = parts, machine.placed(model.head)
    steps = math.ceil(len(train) / settings.batch_size)
    optimiser = Optimiser(head, settings, steps * settings.epochs, groups=groups(head, settings.transfer))
    loss_of, history = task.loss(settings), History(task.measure)
    keeper = Keeper(folder, settings.checkpoint_seconds, identity, head, optimiser, history)
    at, called = keeper.restore(), machine.prepared(head)
    classes = train.truth if settings.sampling == "balanced" else None
    with Journal(folder, settings.epochs, at.epoch) as journal:
        while at.epoch < settings.epochs and history.waited < settings.patience:
            rate = optimiser.learning_rate if not at.step else at.rate
            head.train()
            batches = torch.tensor_split(order(len(train), at.epoch, settings.seed, classes), steps)[at.step :]
            own = train.stream(map(machine.share, batches), augmenter, at.epoch + 1)
            for which, rows in zip(batches, map(machine.moved, own), strict=True):
                loss = rows.total(functools.partial(loss_of, called(rows.matrix))) / len(which)
                optimiser.step(loss, machine.backward)
                at.took(machine.total(loss) * len(which), rate)
                keeper.keep(at)
            history.add(at.loss / len(train), _error(optimiser.kept, held, task, machine), rate, optimiser.kept)
            at.turn()
            journal.add(history.epochs[-1])
            keeper.keep(at)
    head.load_state_dict(history.best_weights)
    machine.done(model)
    model.eval()
    return history


def _error(module: nn.Module, held: Batch, task: Task, machine: Devices) -> float:
    """The measure of the rows held out; each process takes some of them."""
    module.eval()
    total = torch.zeros(())
    with torch.no_grad():
        for begin in machine.share(torch.arange(0, len(held), held.chunk)).tolist():
            rows = machine.moved(held.taken(slice(begin, begin + held.chunk)))
            total = total + rows.total(functools.partial(task.miss, module(rows.matrix)))
    return machine.total(total) / held.weight.sum().item()
