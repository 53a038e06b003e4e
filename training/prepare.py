"""Prepare: a project's data become clean rows that are dealt to parts, and a report that they can be judged by."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import msgspec

from staytrue.addresses import shown
from staytrue.errors import NotFound
from training import balance, epoch
from training.augment import chapter as augmenting
from training.augment import check as augmentation
from training.data import columns, relation, spacing
from training.data.chapters import Chapter, many
from training.data.classes import check_names, check_sign, check_varies, classes_of
from training.data.clean import missing, steps
from training.data.clean import report as repairs
from training.data.clean.cleaning import CleaningReport, clean
from training.data.collect import report as collection
from training.data.collect.source import Fingerprint, collected
from training.data.encode import chapter as encoding
from training.data.encode import tokens
from training.data.encode.encoder import learn
from training.data.label import chapter as labelling
from training.data.schema import check as checks
from training.data.schema import schema as schemas
from training.data.schema.infer import infer
from training.data.split import partition, sizes
from training.data.split.seal import Sealed, seal_off
from training.evaluate import slices
from training.evaluate.columns import spoken
from training.models.architectures import arguments_of
from training.progress import unwatched
from training.tasks import tasks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from staytrue.project import Project
    from training.data.collect.report import CollectionReport
    from training.data.rows import Rows, TrainingRows
    from training.data.split.plan import Split
    from training.progress import Watch

STEPS = ("collect", "clean", "split", "repair", "encode")
REPORTED = (*STEPS, "chapters", "report")
"""And what the report takes, beside the labels where there are any."""


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Clean rows, and which are which. Of those of the test part ``rows`` hold times and marks: the rest is sealed."""

    rows: Rows
    split: Split
    fingerprint: Fingerprint
    collection: CollectionReport
    cleaning: CleaningReport
    parted: partition.SplitReport
    sealed: Sealed
    times: NDArray[np.float64]
    """Of all rows as they were read: what cleaning drops is no pause. Shapes: [N]. Units: Unix seconds."""
    project: Project
    """Whose data they are, with every feature that was asked for, sparse ones too."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the target: all that the training rows name, as none is named by others alone; none of numbers."""
        return classes_of(self.training.target, self.training.target, self.split.method)

    @functools.cached_property
    def training(self) -> TrainingRows:
        """Rows to learn from; copied once, as every step asks for them."""
        return self.split.training(self.rows)

    @property
    def sizes(self) -> dict[str, int]:
        """Rows of each part."""
        return {part: len(which) for part, which in self.split.parts.items()}

    @property
    def validation(self) -> Rows:
        """Rows held out; the sealed ones open through :meth:`Sealed.open` alone."""
        return self.split.validation(self.rows)


def prepare(project: Project, *, watch: Watch = unwatched) -> Prepared:
    """Collect, clean, split.

    Raises:
        InvalidConfig: names, sizes or settings that do not go with the task or the architecture.
        InvalidInput: rows that cannot be split, classes that cannot be learnt, or a target of one value.
    """
    check(project)
    with watch("collect"):
        beside = functools.partial(spoken, project)
        found = collected(project.data, project.model.task, steps.marks(project), beside)
    slices.check(project, found.rows, found.fingerprint.columns)
    with watch("clean"):
        rows, report = clean(found.rows, project.cleaning)
    with watch("split"):
        plan, parted = partition.partition(rows, project.split, project.data.features, watch)
    if project.model.task != "generation":  # whose pictures may be of one class
        check_target(rows.target, plan, project.data.targets)
    if project.model.output == "positive":
        check_sign(rows.target[plan.index("train")], project.data.targets)
    rows, sealed = seal_off(rows, plan, project)
    plan = msgspec.structs.replace(plan, lineage=sealed.lineage)
    return Prepared(rows, plan, found.fingerprint, found.report, report, parted, sealed, found.rows.time, project)


def check_target(target: NDArray[Any], plan: Split, targets: Sequence[str]) -> None:
    """Refuse what cannot be learnt. Shapes: target [N] or [N,K] of all rows.

    Raises:
        InvalidInput: a target of one value, a class that does not train, or too many.
    """
    trains = target[plan.index("train")]
    if target.dtype == object and (target != target[0]).any():
        classes_of(target, trains, plan.method)
    check_varies(trains, targets, {part: len(which) for part, which in plan.parts.items()})


def check(project: Project) -> None:
    """Refuse what does not go with the task or the architecture.

    Raises:
        InvalidConfig: names the setting.
        NotFound: a file of the labels is not there.
    """
    check_names(project)
    balance.check(project)
    steps.check(project)
    arguments_of(project)
    epoch.check(project)
    tasks.check(project)
    augmentation.check(project.training, project.data.features)
    tokens.check(project.data.features)
    slices.check(project)
    for name in ("annotations", "guideline", "features"):
        path = getattr(project.labelling, name)
        if path is not None and not path.is_file():
            hint = "paths are relative to staytrue.yaml"
            raise NotFound(f"labelling.{name}", f"no file {shown(path)}", hint=hint)


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
    labels = project.labelling
    made = []
    if labels.annotations is not None:
        from training.data.label.settling import settle  # noqa: PLC0415 - it takes seconds, and few have any

        with watch("label"):
            made = [labelling.chapter(settle(labels.annotations, labels, watch=watch).report)]
    with watch("chapters"):
        schema, targets = prepared.collection.schema, project.data.targets
        return [
            _flow(prepared),
            collection.chapter(prepared.collection),
            *([checks.chapter(schema)] if schema else []),
            *made,
            _without(given.keys() - features.keys(), repairs.chapter(cleaned.report, prepared.cleaning)),
            spacing.chapter(prepared.times),
            columns.chapter(missing.filled(cleaned.rows, cleaned.state.missing), features, targets),
            relation.chapter(cleaned.rows, features, targets),
            _warned(partition.chapter(prepared.parted), sizes.warnings_of(prepared.sizes, project.model.task)),
            encoding.chapter(states, columns.constant(cleaned.rows, targets)),
            *([augmenting.chapter(project.training, features)] if project.training.augmentation.varies else []),
        ]


def _flow(prepared: Prepared) -> Chapter:
    """What became of all rows, in a line: those of the sources, and what joins and query made of them."""
    before, found = prepared.cleaning, prepared.collection
    dropped = {"without a target": before.missing_target, "with gaps": before.dropped_for_missing_features}
    gone = before.rows_before - before.rows_after
    dropped = {"duplicates": gone - sum(dropped.values()), **dropped}
    why = ", ".join(f"{count:,} {what}" for what, count in dropped.items() if count)
    parts = ", ".join(f"{count:,} {part}" for part, count in prepared.sizes.items())
    if found.made is None:
        read = f"{many(before.rows_before, 'row')} read, {found.bad.rows:,} more set aside as bad"
    else:
        read = f"{many(found.read or 0, 'row')} read, {found.bad_read:,} more set aside as bad"
        late = found.bad.rows - found.bad_read
        of = "joins and query make" if found.joins else "the query makes"
        read += f", and {found.made:,} that {of} of them" + (f", {late:,} set aside as bad" if late else "")
    told = f"{gone:,} dropped" + (f" ({why})" if why else "")
    return Chapter(title="Rows", summary=f"{read}; {told}; {parts} (sealed).")


def _without(sparse: Iterable[str], told: Chapter) -> Chapter:
    """The chapter on repairs, with a warning of features that the model does not get."""
    why = "is sparse and left out: the model is made without it, and callers do not send it"
    return _warned(told, [f"{name} {why}" for name in sorted(sparse)])


def _warned(told: Chapter, more: Sequence[str]) -> Chapter:
    """A chapter with more warnings."""
    return msgspec.structs.replace(told, warnings=[*told.warnings, *more])


def write_schema(project: Project, prepared: Prepared, path: Path) -> None:
    """Write what the training rows look like, for people to review and then name as ``data.schema_file``."""
    schema, notes = infer(prepared.training, project.data)
    schemas.write(schema, path, notes)
