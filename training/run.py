"""Run: a project's data becomes a finished run, ``runs/ID/``."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from staytrue.checkpoint import Checkpoint
from staytrue.errors import Conflict
from staytrue.evaluation import EVALUATION, Evaluation
from staytrue.lineage import Lineage
from staytrue.records import to_json, write_atomically
from training import checkpoint as checkpoints
from training import memory
from training.account import page
from training.augment.augmenter import augmentation
from training.augment.preview import FOLDER as PREVIEW
from training.augment.preview import preview
from training.balance import balanced
from training.batches import Batch
from training.curve import draw
from training.data import mapped
from training.data.clean import steps
from training.data.encode import tokenizers
from training.data.encode.encoder import learn
from training.data.split.ledger import Ledger, told_of
from training.data.split.partition import warnings_of
from training.devices import devices
from training.environment import environment
from training.fit import fit
from training.judgement.final import final
from training.judgement.parts import judged
from training.judgement.restored import Restored, settings_of
from training.models.architectures import arguments_of, check_processes
from training.models.generator import Generator
from training.parts import Parts
from training.prepare import STEPS, prepare
from training.progress import LONG_SECONDS, watched
from training.reference import profile, sample_pictures
from training.resume import STATE
from training.sheet import SHEET, sheet
from training.signature import signature_of
from training.tasks.tasks import learnt
from training.transfer import reading
from training.transfer.report import tell
from training.transfer.transferred import transferred

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staytrue.environment import Environment
    from staytrue.evaluation import PartEvaluation
    from staytrue.project import Project
    from training.augment.augmenter import Augmenter
    from training.data.encode.encoder import ColumnState
    from training.data.rows import TrainingRows
    from training.devices import Devices
    from training.history import History
    from training.models.model import Model
    from training.parts import Answering
    from training.prepare import Prepared
    from training.tasks.task import Task
    from training.watch.watcher import Watcher

Opening = Literal["skip", "once", "force"]
"""Of the sealed test split, once the run is finished: not at all, if it was never opened, or in any case."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """A fitted model, and how it came about."""

    parts: Parts
    task: Task
    model: Model
    history: History
    cleaned: steps.Cleaned
    environment: Environment


def train(
    project: Project,
    *,
    opening: Opening = "skip",
    resume: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Train a project's model, or go on with the killed run in the folder ``resume``; the folder of the finished run.

    What trains, stops and judges it finds the test rows blank; only ``opening`` has the finished run judged by them.

    Raises:
        Conflict: the killed run was of other settings or data, or is not killed: another process trains it.
    """
    machine = devices(project.training)
    check_processes(project.model, machine.processes)  # torchrun's, which no setting tells
    reading.check(project.training.transfer)
    if not machine.main:
        return _beside(project, machine, resume)
    with contextlib.ExitStack() as held:
        if resume is not None:
            held.enter_context(checkpoints.claimed(resume))
        return _train(project, machine, opening, resume, held, say)


def _train(
    project: Project,
    machine: Devices,
    opening: Opening,
    resume: Path | None,
    held: contextlib.ExitStack,
    say: Callable[[str], None],
) -> Path:
    """As the process that writes the run, which is claimed in ``held``."""
    with watched(len(STEPS), say, least_seconds=LONG_SECONDS) as watch:
        prepared = prepare(project, watch=watch)
    mapped.give_back()  # as after each step that made much of large sets: else the next one's comes on top of it
    for warning in warnings_of(prepared.parted):
        say(f"split: {warning}")
    given, project = project.data.features, steps.dense(project, prepared.training)
    for name in [name for name in given if name not in project.data.features]:
        say(f"cleaning: {name} is sparse and left out of the model")
    folder = resume or checkpoints.new_run(project.retraining.runs)
    if resume is None:
        held.enter_context(checkpoints.claimed(folder))
    else:
        checkpoints.refuse_changed(project, folder)
    checkpoints.begin(project, prepared, folder)
    seal = prepared.sealed.seal(project.data.features)
    opened = Ledger(project.retraining.runs).known(
        prepared.sealed.keys.all, seal, project.name
    )  # read before hours of work, not after
    trained = fit_parts(project, _parts(project, prepared), folder, prepared.fingerprint.sha256, machine, say=say)
    lineage = Lineage(
        run=folder.name,
        data_fingerprint=prepared.fingerprint.sha256,
        project_fingerprint=project.fingerprint(),
        trained_until=float(prepared.rows.time[-1]),
        trained_rows=len(trained.cleaned.rows),
        let_through=prepared.split.let_through,
        began_with=project.training.transfer.sha256(),
    )
    save(project, trained, evaluate_parts(project, trained), told_of(lineage, opened), folder)
    if opening != "skip":
        _open(project, prepared, folder, opening, say)
    return folder


def _beside(project: Project, machine: Devices, resume: Path | None) -> Path:
    """Train along with the process that writes the run; what this one writes is nobody's."""
    prepared = prepare(project)
    project = steps.dense(project, prepared.training)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if resume is not None and (resume / STATE).is_file():
            shutil.copy(resume / STATE, folder / STATE)
        fit_parts(project, _parts(project, prepared), folder, prepared.fingerprint.sha256, machine, drawn=False)
        return folder


def _parts(project: Project, prepared: Prepared) -> Parts:
    names = project.data.features
    return Parts(prepared.training.only(names), prepared.validation.only(names), classes=prepared.classes)


def _open(project: Project, prepared: Prepared, folder: Path, opening: Opening, say: Callable[[str], None]) -> None:
    """Have the finished run judged by the sealed rows, if they may be opened."""
    checkpoint, _, model = checkpoints.load(folder)
    try:
        final(Restored(folder, settings_of(project, folder), checkpoint, model, prepared), force=opening == "force")
    except Conflict as error:
        say(f"test split stays sealed: {error}")


def fit_parts(
    project: Project,
    parts: Parts,
    folder: Path,
    data: str,
    machine: Devices,
    *,
    say: Callable[[str], None] = lambda _: None,
    vital: Sequence[Watcher] = (),
    drawn: bool = True,
) -> Trained:
    """Learn the encoder and the weights; curve and metrics.jsonl go to the run's folder. ``data``: the rows' digest.

    ``vital`` watchers may end it; what is not ``drawn`` has no pictures.
    """
    settings = project.training
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    surroundings = environment(project.folder, settings.seed, machine.device)
    weights = parts.weights or (np.ones(len(parts.train)), np.ones(len(parts.held)))
    with watched(1, say, least_seconds=LONG_SECONDS) as watch, watch("repair"):
        cleaned = steps.apply(parts.train, project.data.features, project.cleaning, watch)
    for warning in cleaned.report.warnings:
        say(f"cleaning: {warning}")
    checkpoints.save_cleaning(cleaned.report, folder)
    train, weight = cleaned.rows, weights[0][cleaned.kept]
    if len(train) < len(parts.train):
        weight = weight / weight.mean()
    weight = balanced(train, settings.class_weights, weight)
    states = cleaned.instruct(learn(train, project.data.features))
    task = learnt(project, train, weight, parts.classes)
    model = memory.assembled(project, states, task, machine.device)
    tell(transferred(model.head, settings.transfer), folder, say)
    batches = Batch.of(model, task, train, weight), Batch.of(model, task, parts.held, weights[1])
    identity = {"settings": project.fingerprint(), "data": data}
    augmenter = _augmenter(project, train, states)
    if augmenter is not None and drawn:
        preview(augmenter, train, project.data.features, folder / PREVIEW)
    history = fit(model, task, batches, project, machine, augmenter, folder, identity, surroundings, say, vital)
    if drawn:
        draw(history, project.data.goal, folder / checkpoints.CURVE)
    if drawn and isinstance(model, Generator):
        sheet(model, parts.held, settings.seed, folder / SHEET)
    return Trained(parts, task, model, history, cleaned, surroundings)


def _augmenter(project: Project, train: TrainingRows, states: Sequence[ColumnState]) -> Augmenter | None:
    """What varies the rows that train; None where nothing is to be varied."""
    tensors, features = {state.name: state.tensor for state in states}, project.data.features
    return augmentation(project.training, features, len(train), lambda name: (train.columns[name], tensors[name]))


def evaluate_parts(project: Project, trained: Answering) -> dict[str, PartEvaluation]:
    """All that is told of the rows trained on and of those held out."""
    mapped.give_back()
    parts = {"train": trained.parts.train, "validation": trained.parts.held}
    return judged(project, trained.task, trained.model, trained.parts.train, parts)


def save(
    project: Project,
    trained: Trained,
    evaluation: dict[str, PartEvaluation],
    lineage: Lineage,
    folder: Path,
    reference: Parts | None = None,
) -> None:
    """Finish the run: weights, configuration, reference profile, record.

    ``reference`` stands in for the run's own parts in the profile, where more rows were held out than it stopped by.
    """
    described = checkpoints.describe(trained.model, arguments_of(project), trained.task, trained.cleaned.state)
    arguments, preprocessing = described
    tokenizers.save(trained.model.encoder.states, folder)
    checkpoint = Checkpoint(
        run=folder.name,
        name=project.name,
        task=project.model.task,
        target=project.data.goal,
        targets=project.data.targets if len(project.data.targets) > 1 else [],
        signature=signature_of(trained.model, trained.task, project.data.features, trained.cleaned.rows),
        classes=list(trained.task.classes),
        architecture=project.model.architecture,
        model=arguments,
        preprocessing=preprocessing,
        evaluation={name: part.metrics for name, part in evaluation.items()},
        lineage=lineage,
        epochs=len(trained.history.epochs),
        best_epoch=trained.history.best_epoch,
        weights_sha256=checkpoints.save_weights(trained.model, folder),
        environment=trained.environment,
    )
    conclude(project, checkpoint, trained, evaluation, folder, reference or trained.parts)


def conclude(
    project: Project,
    checkpoint: Checkpoint,
    trained: Answering,
    evaluation: dict[str, PartEvaluation],
    folder: Path,
    parts: Parts,
) -> None:
    """Write all that stands beside the weights; ``parts`` are those of the reference profile."""
    mapped.give_back()
    rows = profile(trained.model, trained.task, parts.train, parts.held, project.data.features, parts.weights)
    proofs = trained.model.proofs() or sample_pictures(parts.train, parts.held, project.data.features)
    checkpoints.save_pictures(proofs, folder)
    write_atomically(folder / EVALUATION, to_json(Evaluation(run=folder.name, parts=evaluation)))
    checkpoints.finish(checkpoint, rows, folder)
    page.write(
        project, checkpoint, evaluation, {"train": trained.parts.train, "validation": trained.parts.held}, folder
    )
