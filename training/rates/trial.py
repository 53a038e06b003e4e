"""Trial: the range test of a project, on a fresh model and its training rows."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import torch

from training import memory
from training.balance import balanced
from training.batches import Batch
from training.data.clean import steps as cleaning
from training.data.encode.encoder import learn
from training.data.rows import evenly
from training.epoch import steps_of
from training.prepare import prepare
from training.rates.sweep import sweep
from training.sampling import order
from training.tasks.tasks import learnt
from training.transfer.transferred import transferred

if TYPE_CHECKING:
    from torch import Tensor

    from staytrue.project import Project
    from training.models.model import Model
    from training.rates.sweep import Sweep
    from training.tasks.task import Task


def try_rates(project: Project, *, lowest: float, highest: float, steps: int) -> Sweep:
    """Prepare the project's data and try rates on rows of the training part; nothing else is looked at."""
    settings = project.training
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    model, task, batch = _fresh(project, steps * settings.batch_size)
    loss_of = task.loss(settings)
    each = min(max(1, len(batch) // settings.batch_size), steps_of(len(batch), settings.batch_size, model.head, 1))
    truth = batch.truth if settings.sampling == "balanced" else None

    def loss(step: int) -> Tensor:
        epoch, place = divmod(step, each)
        which = torch.tensor_split(order(len(batch), epoch, settings.seed, truth), each)[place]
        (rows,) = batch.stream([which], None, epoch + 1)
        return rows.total(functools.partial(loss_of, model.head(rows.matrix))) / len(which)

    plain = settings.model_copy(update={"averaging": 0.0})
    with memory.told():
        return sweep(model.head, plain, loss, lowest=lowest, highest=highest, steps=steps)


def _fresh(project: Project, most: int) -> tuple[Model, Task, Batch]:
    """A model as training begins with, and rows for at most so many."""
    prepared = prepare(project)
    project = cleaning.dense(project, prepared.training)
    features = project.data.features
    cleaned = cleaning.apply(prepared.training.only(features), features, project.cleaning)
    train = cleaned.rows
    states = cleaned.instruct(learn(train, features))
    counted = np.ones(len(train))
    task = learnt(project, train, counted, prepared.classes)
    model = memory.assembled(project, states, task, "cpu")
    transferred(model.head, project.training.transfer)
    weight = balanced(train, project.training.class_weights, counted)
    some = evenly(len(train), most)
    return model, task, Batch.of(model, task, train.take(some), weight[some])
