"""Prepare: a project's data become clean rows that are dealt to parts, and a report that they can be judged by."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from training import balance
from training.augment import chapter as augmenting
from training.augment import check as augmentation
from training.data import columns, files, spacing
from training.data.classes import check_names, classes_of
from training.data.clean import report as repairs
from training.data.clean import steps
from training.data.clean.cleaning import CleaningReport, clean
from training.data.collect import report as collection
from training.data.collect.source import Fingerprint, collect, collected
from training.data.encode import chapter as encoding
from training.data.encode import tokens
from training.data.encode.encoder import learn
from training.data.label import chapter as labelling
from training.data.schema import check
from training.data.schema import schema as schemas
from training.data.schema.infer import infer
from training.data.split import partition
from training.models.architectures import arguments_of
from training.progress import unwatched

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from staytrue.project import Project
    from training.data.chapters import Chapter
    from training.data.collect.report import CollectionReport
    from training.data.rows import Rows, TrainingRows
    from training.data.split.plan import Split
    from training.progress import Watch

STEPS = ("collect", "clean", "split", "repair", "encode")
ROWS, SCHEMA = "rows.parquet", "schema.yaml"


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Clean rows, and which are which."""

    rows: Rows
    split: Split
    fingerprint: Fingerprint
    collection: CollectionReport
    cleaning: CleaningReport
    parted: partition.SplitReport

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the target: all that the rows name; none where it is a number."""
        return classes_of(self.rows.target, self.training.target)

    @functools.cached_property
    def training(self) -> TrainingRows:
        """Rows to learn from; copied once, as every step asks for them."""
        return self.split.training(self.rows)

    @property
    def validation(self) -> Rows:
        """Rows held out; the sealed ones open through :func:`open_test` alone."""
        return self.split.validation(self.rows)


def check_settings(project: Project) -> None:
    """Look at the settings, before there are rows.

    Raises:
        InvalidConfig: names, sizes or settings that do not go with the task or the architecture.
    """
    check_names(project)
    balance.check(project)
    steps.check(project)
    arguments_of(project)
    augmentation.check(project.training, project.data.features)
    tokens.check(project.data.features)


def prepare(project: Project, *, watch: Watch = unwatched) -> Prepared:
    """Collect, clean, split.

    Raises:
        InvalidConfig: names, sizes or settings that do not go with the task or the architecture.
    """
    check_settings(project)
    with watch("collect"):
        found = collected(project.data, project.model.task, steps.marks(project))
    with watch("clean"):
        rows, report = clean(found.rows, project.cleaning)
    with watch("split"):
        plan, parted = partition.partition(rows, project.split, project.data.features, watch)
    return Prepared(rows, plan, found.fingerprint, found.report, report, parted)


def rows_after(project: Project, step: Literal["collect", "clean"], *, watch: Watch = unwatched) -> Rows:
    """What a step leaves, before there are parts: the same rows that :func:`prepare` goes on with."""
    with watch("collect"):
        rows, _ = collect(project.data, project.model.task, project.split.marks)
    if step == "clean":
        with watch("clean"):
            rows, _ = clean(rows, project.cleaning)
    return rows


def chapters(project: Project, prepared: Prepared, *, watch: Watch = unwatched) -> list[Chapter]:
    """What each step did; of the sealed rows nothing is told but counts, and how alike they are.

    Raises:
        InvalidInput: what training would end with: too many sparse columns or rows, a column without values.
    """
    with watch("repair"):
        given, project = project.data.features, steps.dense(project, prepared.training)
        features = project.data.features
        cleaned = steps.apply(prepared.training.only(features), features, project.cleaning, watch)
    with watch("encode"):
        states = cleaned.instruct(learn(cleaned.rows, features))
    schema, labels = prepared.collection.schema, project.labelling
    made = []
    if labels.annotations is not None:
        from training.data.label.settling import settle  # noqa: PLC0415 - it takes seconds, and few have any

        made = [labelling.chapter(settle(labels.annotations, labels).report)]
    return [
        collection.chapter(prepared.collection),
        *([check.chapter(schema)] if schema else []),
        *made,
        _without(given.keys() - features.keys(), repairs.chapter(cleaned.report, prepared.cleaning)),
        spacing.chapter(prepared.rows.time),
        columns.chapter(cleaned.rows, features, project.data.targets),
        partition.chapter(prepared.parted),
        encoding.chapter(states, columns.constant(cleaned.rows, project.data.targets)),
        *([augmenting.chapter(project.training, features)] if project.training.augmentation.varies else []),
    ]


def _without(sparse: Iterable[str], told: Chapter) -> Chapter:
    """The chapter on repairs, with a warning of features that the model does not get."""
    why = "is sparse and left out: the model is made without it, and callers do not send it"
    return msgspec.structs.replace(told, warnings=[*told.warnings, *(f"{name} {why}" for name in sorted(sparse))])


def write_schema(project: Project, prepared: Prepared, path: Path) -> None:
    """Write what the training rows look like, for people to review and then name as ``data.schema_file``."""
    schema, notes = infer(prepared.training, project.data)
    schemas.write(schema, path, notes)


def write_parts(project: Project, prepared: Prepared, path: Path) -> None:
    """Write the rows that train and those that validate, with the name of their part; the sealed ones stay sealed."""
    train, validation = prepared.split.index("train"), prepared.split.index("validation")
    shown = np.sort(np.concatenate([train, validation]))
    names = np.where(np.isin(shown, train), "train", "validation")
    files.write(prepared.rows.take(shown), project.data, path, names)
