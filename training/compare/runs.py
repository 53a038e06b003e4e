"""Runs that are compared: their models, and the rows that each was judged by, prepared anew and held to be the same."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import numpy as np

from staytrue import project as projects
from staytrue.checkpoint import CHECKPOINT, CONFIGURATION
from staytrue.errors import Conflict, NotFound, Unsupported
from staytrue.evaluation import EVALUATION, Evaluation
from staytrue.project import BESIDE, DECIDING
from staytrue.records import read
from staytrue.yamlfile import flat
from training import checkpoint as checkpoints
from training.data.split.plan import day_of
from training.prepare import prepare
from training.tasks.tasks import restored

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from staytrue.checkpoint import Checkpoint
    from staytrue.evaluation import PartEvaluation
    from staytrue.feature import Feature
    from staytrue.profile import ReferenceProfile
    from staytrue.project import Project
    from training.data.rows import Rows, TrainingRows
    from training.evaluate.judge import Judge
    from training.models.model import Model
    from training.progress import Watch

LEFT_OUT = {f"training.{name}" for name in BESIDE}
"""Settings that decide nothing that could be compared."""
PREPARED = ("data", "cleaning", "split", "labelling", "evaluation")
"""Sections that decide which rows there are; runs that have all of them alike are prepared once."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run, and the rows that trained it and judged it."""

    project: Project
    checkpoint: Checkpoint
    model: Model
    train: TrainingRows
    held: Rows
    evaluation: dict[str, PartEvaluation]

    @property
    def id(self) -> str:
        """Its name."""
        return self.checkpoint.run

    def judge(self) -> Judge:
        """Its answers to the rows held out."""
        rows = self.held.only(self.project.data.features)
        return restored(self.checkpoint).judge(self.model, rows, seed=self.project.training.seed)

    @property
    def settings(self) -> dict[str, str]:
        """Those that decide what is trained and by what it is judged, by their paths."""
        told = flat(self.project.model_dump(mode="json", include={*DECIDING, "data", "evaluation"}))
        return {name: value for name, value in told.items() if name not in LEFT_OUT}


def found(given: Path, runs: Path) -> Path:
    """The folder of a run that is named by itself or by its path.

    Raises:
        NotFound: there is no finished run.
    """
    for folder in (given, runs / given):
        if (folder / CHECKPOINT).is_file():
            return folder
    there = sorted(path.parent.name for path in runs.glob(f"*/{CHECKPOINT}"))
    hint = f"{runs} holds {', '.join(there[-5:])}" if there else "`staytrue train` makes one"
    raise NotFound(str(given), "is no finished run", hint=hint)


def load(folders: Sequence[Path], sources: Project | None, watch: Watch) -> list[Run]:
    """The runs, each with the rows of its own settings; ``sources``: a project whose addresses hold the passwords.

    Raises:
        Conflict: a run that was judged by other rows than its settings give now, or than the first one was.
        Unsupported: a retraining, or pictures out of noise.
    """
    prepared: dict[str, tuple[TrainingRows, Rows]] = {}
    runs: list[Run] = []
    for folder in folders:
        with watch(folder.name):
            run = _loaded(folder, sources, prepared)
            if runs:
                refuse_other(runs[0], run)
            runs.append(run)
    return runs


def _loaded(folder: Path, sources: Project | None, prepared: dict[str, tuple[TrainingRows, Rows]]) -> Run:
    checkpoint, profile, model = checkpoints.load(folder)
    refuse_unpaired(checkpoint)
    project = projects.load(folder / CONFIGURATION, written=False)
    if sources is not None and sources.data.identity() == project.data.identity():
        project = project.model_copy(update={"data": sources.data})
    key = json.dumps([project.model.task, project.model_dump(mode="json", include=set(PREPARED))])
    if key not in prepared:
        made = prepare(project)
        prepared[key] = (made.training, made.validation)
    train, held = prepared[key]
    refuse_changed(checkpoint, profile, restored(checkpoint).told(held), held)
    return Run(project, checkpoint, model, train, held, read(Evaluation, folder / EVALUATION).parts)


def refuse_unpaired(checkpoint: Checkpoint) -> None:
    """Refuse runs whose rows are not the project's own, or whose answers are not to rows.

    Raises:
        Unsupported: says why.
    """
    if checkpoint.lineage.parent:
        hint = "its verdict compares it with the champion before it"
        raise Unsupported(f"run {checkpoint.run}", "is a retraining, judged by rows that were served too", hint=hint)
    if checkpoint.task == "generation":
        hint = "compare the scores in their evaluation.json"
        raise Unsupported(f"run {checkpoint.run}", "makes pictures of no row, which none could be paired by", hint=hint)


def refuse_changed(checkpoint: Checkpoint, profile: ReferenceProfile, told: list[float | str], held: Rows) -> None:
    """Refuse a run whose data have changed since.

    Raises:
        Conflict: says how many of the rows that it was judged by are still there.
    """
    rows = [place for place, part in enumerate(profile.split) if part == "validation"]
    were = [(profile.time[place], profile.truth[place]) for place in rows]
    are = list(zip(held.time.tolist(), told, strict=True))
    if were != are:
        expected = f"the {len(were)} validation rows that it was judged by"
        got = f"{len(are)}, {len(set(were) & set(are))} of them the same"
        raise Conflict(f"run {checkpoint.run}", expected=expected, got=got, hint="its data have changed: train it anew")


def refuse_other(first: Run, other: Run) -> None:
    """Refuse a run that was judged by other rows than the first: no row of theirs could be paired.

    Rows are the same by time, truth and the features that both have alike, in the same order.

    Raises:
        Conflict: says how many rows they share, or that they predict something else.
    """
    aims = [(run.checkpoint.task, run.project.data.goal) for run in (first, other)]
    where = f"run {other.id}"
    if aims[0] != aims[1]:
        expected, got = (f"{task} of {goal}"[:200] for task, goal in aims)
        raise Conflict(where, expected=f"{expected}, as run {first.id}", got=got, hint="compare runs of one task")
    features = [run.project.data.features for run in (first, other)]
    shared = [
        name
        for name, feature in features[0].items()
        if name in features[1] and _form(feature) == _form(features[1][name])
    ]
    digests = [dataclasses.replace(run.held.only(shared), marks={}).digest() for run in (first, other)]
    if digests[0] != digests[1]:
        same = _same(first.held, other.held)
        expected = f"the {_counted(first.held)} of run {first.id}"
        got = f"{_counted(other.held)}, {same} of them of the same time and truth"
        hint = "train both on the same data with the same cleaning and split"
        raise Conflict(where, expected=expected, got=got, hint=hint)


def _form(feature: Feature) -> tuple[str, str, tuple[int, ...]]:
    return feature.kind, feature.sent_as, tuple(feature.shape)


def _counted(rows: Rows) -> str:
    return f"{len(rows)} validation rows of {len(np.unique(day_of(rows.time)))} days"


def _same(first: Rows, other: Rows) -> int:
    """Rows of one that the other has too, by time and truth."""
    sets = [set(zip(rows.time.tolist(), map(str, rows.target.tolist()), strict=True)) for rows in (first, other)]
    return len(sets[0] & sets[1])
