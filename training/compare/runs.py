"""Runs that are compared: each restored with the rows that it was judged by, which are to be the same rows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from staytrue.checkpoint import CHECKPOINT, Checkpoint
from staytrue.errors import Conflict, Unsupported
from staytrue.project import BESIDE, DECIDING
from staytrue.records import read
from staytrue.yamlfile import flat
from training.data.split.plan import day_of
from training.judgement.restored import restore, whose

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from staytrue.feature import Feature
    from staytrue.project import Project
    from training.data.rows import Rows
    from training.evaluate.judge import Judge
    from training.judgement.restored import Restored
    from training.prepare import Prepared
    from training.progress import Watch

LEFT_OUT = {f"training.{name}" for name in BESIDE}
"""Settings that decide nothing that could be compared."""


def judge_of(run: Restored) -> Judge:
    """A run's answers to the rows held out: of an ensemble not by weights that these rows chose."""
    return run.task.judge(run.heard[0], run.validation, seed=run.project.training.seed)


def settings_told(run: Restored) -> dict[str, str]:
    """Those that decide what is trained and by what it is judged, by their paths."""
    told = flat(run.project.model_dump(mode="json", include={*DECIDING, "data", "evaluation"}))
    return {name: value for name, value in told.items() if name not in LEFT_OUT}


def load(folders: Sequence[Path], project: Project | None, watch: Watch) -> list[Restored]:
    """The runs, each with the rows of its own settings; ``project`` says where the data of its own runs lie.

    Raises:
        Conflict: a run that was judged by other rows than its settings give now, or than the first one was.
        Unsupported: a retraining, or pictures out of noise.
    """
    known: dict[str, Prepared] = {}
    runs: list[Restored] = []
    for folder in folders:
        with watch(folder.name):
            refuse_unpaired(read(Checkpoint, folder / CHECKPOINT))  # before its rows are collected
            run = restore(whose(project, folder), folder, known=known)
            run.refuse_others()
            if runs:
                refuse_other(runs[0], run)
            runs.append(run)
    return runs


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


def refuse_other(first: Restored, other: Restored) -> None:
    """Refuse a run that was judged by other rows than the first: no row of theirs could be paired.

    Rows are the same by time, truth and the features that both have alike, in the same order.

    Raises:
        Conflict: says how many rows they share, or that they predict something else.
    """
    aims = [(run.checkpoint.task, run.project.data.goal) for run in (first, other)]
    where = f"run {other.run}"
    if aims[0] != aims[1]:
        expected, got = (f"{task} of {goal}"[:200] for task, goal in aims)
        raise Conflict(where, expected=f"{expected}, as run {first.run}", got=got, hint="compare runs of one task")
    features = [run.project.data.features for run in (first, other)]
    shared = [
        name
        for name, feature in features[0].items()
        if name in features[1] and _form(feature) == _form(features[1][name])
    ]
    held = [run.validation for run in (first, other)]
    digests = [dataclasses.replace(rows.only(shared), marks={}).digest() for rows in held]
    if digests[0] != digests[1]:
        same = _same(*held)
        expected = f"the {_counted(held[0])} of run {first.run}"
        got = f"{_counted(held[1])}, {same} of them of the same time and truth"
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
