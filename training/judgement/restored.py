"""Restored: a finished run with the rows that it was made of, each where it was."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import msgspec
import yaml

from staytrue.checkpoint import CONFIGURATION
from staytrue.errors import Conflict, CorruptData, InvalidConfig
from training import checkpoint as checkpoints
from training.prepare import prepare
from training.progress import unwatched
from training.tasks.tasks import restored

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.checkpoint import Checkpoint
    from staytrue.project import Project
    from training.data.rows import Rows, TrainingRows
    from training.models.model import Model
    from training.prepare import Prepared
    from training.progress import Watch
    from training.tasks.task import Task


@dataclasses.dataclass(frozen=True)
class Restored:
    """A run, by its own settings, and its rows."""

    folder: Path
    project: Project
    checkpoint: Checkpoint
    model: Model
    prepared: Prepared

    @property
    def task(self) -> Task:
        """As it was trained."""
        return restored(self.checkpoint)

    @property
    def training(self) -> TrainingRows:
        """Rows that it learnt from."""
        self._refuse_others()
        return self.prepared.training.only(self.project.data.features)

    @property
    def validation(self) -> Rows:
        """Rows that it was stopped by."""
        self._refuse_others()
        return self.prepared.validation.only(self.project.data.features)

    def _refuse_others(self) -> None:
        """Refuse rows that are not the run's own.

        Raises:
            Conflict: a retraining's rows came from served traffic, or the data have changed.
        """
        where = str(self.folder)
        if self.checkpoint.lineage.parent:
            hint = "its figures as of then are in its evaluation.json"
            raise Conflict(where, "is a retraining, whose rows came from served traffic", hint=hint)
        was, found = self.checkpoint.lineage.data_fingerprint, self.prepared.fingerprint.sha256
        if was != found:
            hint = "bring the data back, or train anew; the figures as of then are in its evaluation.json"
            raise Conflict(where, "was trained on other data", expected=was[:16], got=found[:16], hint=hint)


def restore(project: Project, folder: Path, *, watch: Watch = unwatched) -> Restored:
    """A run and its rows: the project's data are read and split anew, by the settings that the run was trained with.

    Raises:
        NotFound: no finished run there.
        CorruptData: its files are damaged.
    """
    checkpoint, _, model = checkpoints.load(folder)
    own = settings_of(project, folder)
    return Restored(folder, own, checkpoint, model, prepare(own, watch=watch))


def settings_of(project: Project, folder: Path) -> Project:
    """The settings of a run; where its data lie, and the secrets that ask for them, are the project's.

    Raises:
        InvalidConfig: it is another model's run.
        CorruptData: the file is none, or of a version with other settings.
    """
    path = folder / CONFIGURATION
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
        own = type(project).model_validate(said)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise CorruptData(str(path), f"cannot be read: {error}", hint="train anew with `staytrue train`") from error
    if own.name != project.name:
        hint = "name its project's file by --project"
        raise InvalidConfig("RUN", expected=f'a run of "{project.name}"', got=f'one of "{own.name}"', hint=hint)
    data = {name: getattr(project.data, name) for name in ("quarantine", "memory")}
    if own.data.schema_file and project.data.schema_file:
        data["schema_file"] = project.data.schema_file
    if (own.data.source is None, own.data.sources.keys()) == (project.data.source is None, project.data.sources.keys()):
        data |= {"source": project.data.source, "sources": project.data.sources}
    placed = {"data": own.data.model_copy(update=data), "labelling": project.labelling}
    return own.model_copy(update=placed | {"retraining": project.retraining, "store": project.store})


class Sealing(msgspec.Struct, frozen=True, kw_only=True):
    """What a run's split.json says of the test rows; nothing in that of a retraining before it was written there."""

    seal: str = ""
    lineage: str = ""


def sealing_of(folder: Path) -> Sealing:
    """Which rows are sealed for a run.

    Raises:
        CorruptData: the file cannot be read.
    """
    path = folder / checkpoints.SPLIT
    try:
        return msgspec.json.decode(path.read_bytes(), type=Sealing)
    except (OSError, msgspec.MsgspecError) as error:
        raise CorruptData(str(path), f"cannot be read: {error}", hint="train anew with `staytrue train`") from error
