"""Trial: the range test of a project, on a fresh model and its training rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from training.balance import balanced
from training.data.clean import steps as cleaning
from training.data.encode.encoder import learn
from training.data.rows import evenly
from training.fit import Batch
from training.models.architectures import arguments_of
from training.models.assembly import assemble
from training.models.classifier import Classifier
from training.models.regressor import Scale
from training.objectives import objective
from training.prepare import prepare
from training.rates.sweep import sweep
from training.sampling import order

if TYPE_CHECKING:
    from torch import Tensor

    from staytrue.project import Project
    from training.models.assembly import Model
    from training.rates.sweep import Sweep


def try_rates(project: Project, *, lowest: float, highest: float, steps: int) -> Sweep:
    """Prepare the project's data and try rates on rows of the training part; nothing else is looked at."""
    settings = project.training
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    model, batch = _fresh(project, steps * settings.batch_size)
    loss_of = objective(settings, project.model, 1.0 if isinstance(model, Classifier) else model.head.spread)
    each = max(1, len(batch) // settings.batch_size)
    truth = batch.truth if settings.sampling == "balanced" else None

    def loss(step: int) -> Tensor:
        epoch, place = divmod(step, each)
        which = torch.tensor_split(order(len(batch), epoch, settings.seed, truth), each)[place]
        return (loss_of(model.head(batch.matrix(which)), batch.truth[which]) * batch.weight[which]).mean()

    plain = settings.model_copy(update={"averaging": 0.0})
    return sweep(model.head, plain, loss, lowest=lowest, highest=highest, steps=steps)


def _fresh(project: Project, most: int) -> tuple[Model, Batch]:
    """A model as training begins with, and rows for at most so many."""
    prepared = prepare(project)
    project = cleaning.dense(project, prepared.training)
    features = project.data.features
    cleaned = cleaning.apply(prepared.training.only(features), features, project.cleaning)
    train = cleaned.rows
    states = cleaned.instruct(learn(train, features))
    counted = np.ones(len(train))
    scale = None if prepared.classes else Scale.of(train.target, counted, project.model.output)
    model = assemble(states, project.model.architecture, arguments_of(project), scale or prepared.classes)
    weight = balanced(train, project.training.class_weights, counted)
    some = evenly(len(train), most)
    return model, Batch.of(model, train.take(some), weight[some])
