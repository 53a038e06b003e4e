"""Run: a project's data becomes a finished run, ``runs/ID/``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import torch

from staytrue.bundle import Lineage
from staytrue.checkpoint import Checkpoint
from staytrue.records import write_atomically
from training import checkpoint as checkpoints
from training.curve import draw
from training.data.clean import steps
from training.data.encode import tokenizers
from training.data.encode.encoder import learn
from training.data.split.partition import warnings_of
from training.data.split.seal import LEDGER, open_test, openings
from training.evaluate import classification, regression
from training.fit import Batch, History, fit
from training.models.architectures import arguments_of
from training.models.assembly import assemble
from training.models.classifier import Classifier
from training.models.regressor import Scale
from training.prepare import prepare
from training.reference import profile, sample_pictures
from training.signature import signature_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.bundle import Metric
    from staytrue.project import Project
    from training.data.rows import Rows, TrainingRows
    from training.models.assembly import Model

Opening = Literal["once", "skip", "force"]
"""Of the sealed test split: if it was never opened, not at all, or whatever the ledger says."""


@dataclasses.dataclass(frozen=True)
class Parts:
    """What one training sees, and how much each row counts. Shapes: weights [rows of the part], mean 1 or absent."""

    train: TrainingRows
    held: Rows
    weights: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    classes: tuple[str, ...] = ()
    """All that a classifier may answer."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """A fitted model, and how it came about; a classifier has no scale."""

    parts: Parts
    model: Model
    history: History
    scale: Scale | None
    cleaned: steps.Cleaned


def train(project: Project, *, opening: Opening = "once", say: Callable[[str], None] = lambda _: None) -> Path:
    """Train a project's model; the folder of the finished run."""
    prepared = prepare(project)
    for warning in warnings_of(prepared.parted):
        say(f"split: {warning}")
    given, project = project.data.features, steps.dense(project, prepared.training)
    for name in [name for name in given if name not in project.data.features]:
        say(f"cleaning: {name} is sparse and left out of the model")
    folder = checkpoints.new_run(project.retraining.runs)
    write_atomically(folder / checkpoints.SPLIT, msgspec.json.encode(prepared.split))
    data = {
        "fingerprint": prepared.fingerprint,
        "collection": prepared.collection,
        "cleaning": prepared.cleaning,
        "split": prepared.parted,
    }
    write_atomically(folder / checkpoints.DATA, msgspec.json.format(msgspec.json.encode(data)))
    names = project.data.features
    parts = Parts(prepared.training.only(names), prepared.validation.only(names), classes=prepared.classes)
    trained = fit_parts(project, parts, folder)
    evaluation = evaluate_parts(project, trained)
    ledger = project.retraining.runs / LEDGER
    before = openings(ledger, prepared.split.seal)
    if opening == "force" or (opening == "once" and not before):
        test = open_test(ledger, prepared.rows, prepared.split, run=folder.name, force=opening == "force")
        evaluation["test"] = _evaluate(project, trained.model, test)
    elif before:
        say(f"test split stays sealed: run {before[-1]} opened it; judge by validation, or force it with --test force")
    lineage = Lineage(
        run=folder.name,
        data_fingerprint=prepared.fingerprint.sha256,
        project_fingerprint=project.fingerprint(),
        trained_until=float(prepared.rows.time[-1]),
        trained_rows=len(trained.cleaned.rows),
        test_openings=len(openings(ledger, prepared.split.seal)),
        let_through=prepared.split.let_through,
    )
    save(project, trained, evaluation, lineage, folder)
    return folder


def fit_parts(project: Project, parts: Parts, folder: Path) -> Trained:
    """Learn the encoder and the weights; the curve and metrics.jsonl go to the run's folder."""
    settings = project.training
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    weights = parts.weights or (np.ones(len(parts.train)), np.ones(len(parts.held)))
    cleaned = steps.apply(parts.train, project.data.features, project.cleaning)
    checkpoints.save_cleaning(cleaned.report, folder)
    train, weight = cleaned.rows, weights[0][cleaned.kept]
    if len(train) < len(parts.train):
        weight = weight / weight.mean()
    states = cleaned.instruct(learn(train, project.data.features))
    scale = None if parts.classes else Scale.of(train.target, weight, project.model.output)
    model = assemble(states, project.model.architecture, arguments_of(project), scale or parts.classes)
    batches = Batch.of(model, train, weight), Batch.of(model, parts.held, weights[1])
    history = fit(model, *batches, project, folder / checkpoints.METRICS)
    draw(history, project.data.target, folder / checkpoints.CURVE)
    return Trained(parts, model, history, scale, cleaned)


def evaluate_parts(project: Project, trained: Trained) -> dict[str, dict[str, Metric]]:
    """Metrics of the rows trained on and of those held out."""
    parts = {"train": trained.parts.train, "validation": trained.parts.held}
    return {name: _evaluate(project, trained.model, rows) for name, rows in parts.items()}


def save(
    project: Project,
    trained: Trained,
    evaluation: dict[str, dict[str, Metric]],
    lineage: Lineage,
    folder: Path,
    reference: Parts | None = None,
) -> None:
    """Finish the run: weights, configuration, reference profile, record.

    ``reference`` stands in for the run's own parts in the profile, where more rows were held out than it stopped by.
    """
    described = checkpoints.describe(trained.model, arguments_of(project), trained.scale, trained.cleaned.state)
    arguments, preprocessing = described
    checkpoints.save_configuration(project, folder)
    tokenizers.save(trained.model.encoder.states, folder)
    checkpoint = Checkpoint(
        run=folder.name,
        name=project.name,
        task=project.model.task,
        target=project.data.target,
        signature=signature_of(trained.model, project.data.target),
        classes=list(trained.parts.classes),
        architecture=project.model.architecture,
        model=arguments,
        preprocessing=preprocessing,
        evaluation=evaluation,
        lineage=lineage,
        epochs=len(trained.history.epochs),
        best_epoch=trained.history.best_epoch,
        weights_sha256=checkpoints.save_weights(trained.model, folder),
    )
    parts = reference or trained.parts
    rows = profile(trained.model, parts.train, parts.held, project.data.features, parts.weights)
    checkpoints.save_pictures(sample_pictures(parts.train, parts.held, project.data.features), folder)
    checkpoints.finish(checkpoint, rows, folder)


def _evaluate(project: Project, model: Model, rows: Rows) -> dict[str, Metric]:
    seed = project.training.seed
    if isinstance(model, Classifier):
        return classification(rows.target, model.probabilities(rows.columns), model.classes, rows.time, seed=seed)
    return regression(rows.target, model.predict(rows.columns), rows.time, seed=seed)
