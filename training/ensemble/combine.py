"""Combine: runs become one, a run like any other: weights, settings, lineage, evaluation, profile."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import msgspec
import torch

from staytrue.checkpoint import Checkpoint
from staytrue.lineage import Lineage
from staytrue.records import write_atomically
from training import checkpoint as checkpoints
from training.data.clean import steps
from training.data.encode import tokenizers
from training.data.split.ledger import Ledger, told_of
from training.devices import devices
from training.ensemble import comparison as comparing
from training.ensemble.comparison import Comparison, Line
from training.ensemble.hearing import PLAIN, Heard, crossed, each_of, noted
from training.ensemble.listed import ENSEMBLE, Listed
from training.ensemble.losses import losses
from training.ensemble.members import agree, refuse_unfit
from training.ensemble.weights import equal, fitted
from training.environment import environment
from training.evaluate.blocks import blocks_of
from training.judgement.parts import judged
from training.judgement.restored import restore, whose
from training.models.ensemble import Ensemble, united
from training.parts import Parts
from training.prepare import STEPS, prepare
from training.progress import LONG_SECONDS, watched
from training.run import conclude
from training.signature import signature_of
from training.tasks.tasks import restored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.evaluation import PartEvaluation
    from staytrue.project import Project
    from training.data.rows import Rows
    from training.ensemble.listed import Method
    from training.judgement.restored import Restored
    from training.models.model import Model
    from training.prepare import Prepared
    from training.tasks.task import Task


@dataclasses.dataclass(frozen=True)
class Combined:
    """Members that answer together."""

    parts: Parts
    task: Task
    model: Model


def combine(
    project: Project,
    folders: Sequence[Path],
    method: Method,
    name: str | None = None,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Path, Comparison]:
    """Make a run of runs; its folder, and how it compares with its members on validation rows.

    Weights are fitted on validation rows; the sealed ones stay sealed.

    Raises:
        Conflict: they are not of one task, of the same rows dealt alike, or take inputs that cannot be united.
        InvalidConfig: a vote on numbers.
    """
    torch.set_num_threads(project.training.threads)
    for folder in folders:
        refuse_unfit(folder, method)
    with watched(len(STEPS), say, least_seconds=LONG_SECONDS) as watch:
        prepared = prepare(project, watch=watch)
    members = [restore(whose(project, folder), folder, prepared=prepared) for folder in folders]
    agree(members, prepared)
    task = restored(members[0].checkpoint)
    project = steps.dense(project, prepared.training)
    names = project.data.features
    parts = Parts(prepared.training.only(names), prepared.validation.only(names), classes=prepared.classes)
    weights, comparison, heard = _weighed(members, task, parts.held, method, project)
    model = _together(members, weights, method)
    combined = Combined(parts, task, model)
    evaluation = judged(project, task, model, parts.train, {"train": parts.train})
    said = model if heard is None else Heard(model, heard)
    evaluation |= noted(
        judged(project, task, said, parts.train, {"validation": parts.held}),
        comparison.note if method == "weighted" else "",
    )
    folder = checkpoints.new_run(project.retraining.runs)
    line = msgspec.structs.replace(comparison.ensemble, run=folder.name)
    comparison = msgspec.structs.replace(comparison, ensemble=line)
    _save(project, prepared, combined, members, comparison, evaluation, folder, name or project.name)
    return folder, comparison


def _together(members: Sequence[Restored], weights: Sequence[float], method: Method) -> Ensemble:
    models = [member.model for member in members]
    made = Ensemble(models, united(models), weights, vote=method == "vote")
    made.eval()
    return made


def _weighed(
    members: Sequence[Restored], task: Task, held: Rows, method: Method, project: Project
) -> tuple[list[float], Comparison, Tensor | None]:
    """Weights; how the ensemble compares; and what it says of the rows by weights that they did not choose."""
    seed = project.training.seed
    blocks = blocks_of(held, project.split, seed)
    weights, plain = equal(len(members)), equal(len(members))
    model = _together(members, plain, method)
    each, truth = each_of(model, held.columns), task.truth(held)
    measures = losses(task, model)
    heard, note = None, PLAIN
    if method == "weighted":
        *_, by = measures.values()
        weights = fitted(each, truth, by)
        model = _together(members, weights, method)
        heard, note = crossed(each, truth, by, blocks)
    numbers = model.combined(each) if heard is None else heard
    lines = []
    for member, weight, one in zip(members, weights, each, strict=True):
        costs = comparing.rows_of(measures, one, truth)
        lines.append((_line(member.run, member.checkpoint.architecture, weight, costs), costs))
    costs = comparing.rows_of(measures, numbers, truth)
    together = _line("", f"{ENSEMBLE}, {method}", None, costs), costs
    told = comparing.compared(method, lines, together, blocks, note=note, seed=seed)
    return weights, told, heard


def _line(run: str, architecture: str, weight: float | None, costs: Mapping[str, NDArray[np.float64]]) -> Line:
    measures = {name: float(cost.mean()) for name, cost in costs.items()}
    return Line(run=run, architecture=architecture, weight=weight, measures=measures)


def _save(
    project: Project,
    prepared: Prepared,
    combined: Combined,
    members: Sequence[Restored],
    comparison: Comparison,
    evaluation: dict[str, PartEvaluation],
    folder: Path,
    name: str,
) -> None:
    tokenizers.save(combined.model.encoder.states, folder)
    write_atomically(folder / comparing.FILE, msgspec.json.format(msgspec.json.encode(comparison)))
    sha256 = checkpoints.save_weights(combined.model, folder)
    listed = [
        Listed.of(member.checkpoint, line.weight or 0.0)
        for member, line in zip(members, comparison.members, strict=True)
    ]
    checkpoint = Checkpoint(
        run=folder.name,
        name=name,
        task=members[0].checkpoint.task,
        target=members[0].checkpoint.target,
        targets=members[0].checkpoint.targets,
        signature=signature_of(combined.model, combined.task, project.data.features, combined.parts.train),
        classes=list(combined.task.classes),
        architecture=ENSEMBLE,
        model={"method": comparison.method, "members": msgspec.to_builtins(listed), **combined.task.described()},
        preprocessing={"columns": []},
        evaluation={part: told.metrics for part, told in evaluation.items()},
        lineage=_lineage(project, prepared, members, comparison, folder.name, name),
        epochs=0,
        best_epoch=0,
        weights_sha256=sha256,
        environment=environment(project.folder, project.training.seed, devices(project.training).device),
    )
    checkpoints.begin(project, prepared, folder)
    conclude(project, checkpoint, combined, evaluation, folder, combined.parts)


def _lineage(
    project: Project, prepared: Prepared, members: Sequence[Restored], comparison: Comparison, run: str, name: str
) -> Lineage:
    """What the members saw, and who they are."""
    told = [f"{line.run} ({line.architecture}, weight {line.weight:.3g})" for line in comparison.members]
    seen = [member.checkpoint.lineage for member in members]
    seal = prepared.sealed.seal(project.data.features)
    opened = Ledger(project.retraining.runs).known(prepared.sealed.keys.all, seal, name)
    lineage = Lineage(
        run=run,
        data_fingerprint=prepared.fingerprint.sha256,
        project_fingerprint=project.fingerprint(),
        reason=f"ensemble by {comparison.method} of {', '.join(told)}",
        trained_until=max(lineage.trained_until for lineage in seen),
        trained_rows=max(lineage.trained_rows for lineage in seen),
        let_through=prepared.split.let_through,
        began_with=", ".join(dict.fromkeys(lineage.began_with for lineage in seen if lineage.began_with)),
        members=[member.run for member in members],
    )
    return told_of(lineage, opened)
