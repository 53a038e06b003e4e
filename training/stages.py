"""Stages: the rows that each step of a preparation leaves, for people to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch

from training.data import files, mapped
from training.data.clean import missing, steps
from training.data.clean.cleaning import clean
from training.data.collect.source import collect
from training.data.encode.encoder import learn
from training.data.rows import Rows
from training.data.split import partition
from training.prepare import check
from training.progress import unwatched

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.project import Project
    from training.data.encode.encoder import ColumnState
    from training.data.split.plan import Split
    from training.progress import Watch

Step = Literal["collect", "clean", "split", "repair", "encode"]


class Stage(NamedTuple):
    """Rows as a step leaves them."""

    rows: Rows
    parts: NDArray[np.str_] | None = None
    """Name of each row's part, where they are dealt; the sealed ones are not among them. Shapes: [N]."""


def rows_after(project: Project, step: Step, *, watch: Watch = unwatched) -> Stage:
    """What a step leaves: the same rows that :func:`training.prepare.prepare` goes on with; no later step is done.

    Raises:
        InvalidConfig: names, sizes or settings that do not go with the task or the architecture.
    """
    check(project)
    with watch("collect"):
        rows, _ = collect(project.data, project.model.task, steps.marks(project))
    if step == "collect":
        return Stage(rows)
    with watch("clean"):
        rows, _ = clean(rows, project.cleaning)
    if step == "clean":
        return Stage(rows)
    with watch("split"):
        plan, _ = partition.partition(rows, project.split, project.data.features, watch)
    if step == "split":
        return shown(rows, plan)
    with watch("repair"):
        train = plan.training(rows)
        project = steps.dense(project, train)
        features = project.data.features
        cleaned = steps.apply(train.only(features), features, project.cleaning, watch)
    if step == "repair":
        rows = missing.filled(cleaned.rows, cleaned.state.missing)
        return Stage(rows, np.full(len(rows), "train"))
    with watch("encode"):
        states = cleaned.instruct(learn(cleaned.rows, features))
        return Stage(encoded(cleaned.rows, states), np.full(len(cleaned.rows), "train"))


def shown(rows: Rows, plan: Split) -> Stage:
    """The rows that train and those that validate, in the order of time; the sealed ones stay sealed."""
    train, validation = plan.index("train"), plan.index("validation")
    some = np.sort(np.concatenate([train, validation]))
    return Stage(rows.take(some), np.where(np.isin(some, train), "train", "validation"))


def encoded(rows: Rows, states: list[ColumnState]) -> Rows:
    """The rows with each column as the numbers that the model gets. Shapes: columns [N] or [N,width]."""
    columns = {}
    for state in states:
        module, column = state.module(), rows.columns[state.name]
        made = mapped.empty((len(rows), module.width), np.float32, rows.share)
        for some in mapped.parts(column, most=1024 if column.ndim > 1 else 65_536):
            with torch.no_grad():
                made[some] = module(state.tensor(column[some])).numpy()
        columns[state.name] = made[:, 0] if module.width == 1 else made
    return Rows(rows.time, columns, rows.target, rows.marks, rows.most_bytes)


def write(stage: Stage, project: Project, path: Path) -> None:
    """Write the rows as a Parquet file, with the name of their part in the column ``part`` where they are dealt."""
    files.write(stage.rows, project.data, path, stage.parts)
