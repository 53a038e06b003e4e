"""Restored: a finished run with the rows that it was made of, each where it was.

Whatever asks for a finished run again comes by here: evaluation, diagnosis, comparison and ensembles.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import yaml

from staytrue import project as projects
from staytrue.checkpoint import CONFIGURATION
from staytrue.errors import Conflict, InvalidConfig
from staytrue.evaluation import EVALUATION, Evaluation
from staytrue.project import DECIDING
from staytrue.records import read
from training import checkpoint as checkpoints
from training.data.split.plan import Split
from training.ensemble import hearing
from training.ensemble.listed import fitted_on_validation
from training.judgement.asked import asked, not_kept, refusal, unreadable
from training.prepare import prepare
from training.progress import unwatched
from training.tasks.tasks import restored

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.checkpoint import Checkpoint
    from staytrue.evaluation import PartEvaluation
    from staytrue.project import Project
    from training.data.rows import Rows, TrainingRows
    from training.models.model import Model
    from training.prepare import Prepared
    from training.progress import Watch
    from training.tasks.task import Task

OWN = ("data", *DECIDING[1:], "evaluation")
"""Sections that a run is restored by; the others are the project's, as their secrets are not kept."""
PREPARED = ("data", "cleaning", "split", "labelling", "evaluation")
"""Those that decide which rows there are, and what comes along with them."""


S = TypeVar("S", bound=msgspec.Struct)


@dataclasses.dataclass(frozen=True)
class Restored:
    """A run, by its own settings, and its rows."""

    folder: Path
    project: Project
    checkpoint: Checkpoint
    model: Model
    prepared: Prepared

    @property
    def run(self) -> str:
        """Its name."""
        return self.checkpoint.run

    @property
    def task(self) -> Task:
        """As it was trained."""
        return restored(self.checkpoint)

    @property
    def training(self) -> TrainingRows:
        """Rows that it learnt from."""
        self.refuse_others()
        return self.prepared.training.only(self.project.data.features)

    @property
    def validation(self) -> Rows:
        """Rows that it was stopped by."""
        self.refuse_others()
        return self.prepared.validation.only(self.project.data.features)

    @functools.cached_property
    def heard(self) -> tuple[Model, str]:
        """What answers its validation rows, and what is to be known of that; of most runs the model, and nothing.

        Of an ensemble whose weights these rows chose it is what its own evaluation was told of.
        """
        if not fitted_on_validation(self.checkpoint):
            return self.model, ""
        return hearing.heard(self.model, self.task, self.validation, self.project.split, self.project.training.seed)

    @functools.cached_property
    def evaluation(self) -> dict[str, PartEvaluation]:
        """What it was told of each part."""
        return read(Evaluation, self.folder / EVALUATION).parts

    @functools.cached_property
    def split(self) -> Split:
        """Which rows were which.

        Raises:
            CorruptData: the file cannot be read.
        """
        return _read_split(self.folder, Split)

    def refuse_others(self) -> None:
        """Refuse rows that are not the run's own: other ones, altered ones, or the same dealt to other parts.

        Raises:
            Conflict: a retraining's rows came from served traffic, or the data have changed.
        """
        where = f"run {self.run}"
        if self.checkpoint.lineage.parent:
            hint = "its figures as of then are in its evaluation.json"
            raise Conflict(where, "is a retraining, whose rows came from served traffic", hint=hint)
        was, found = self.checkpoint.lineage.data_fingerprint, self.prepared.fingerprint.sha256
        if was != found:
            if names := not_kept(self.project, self.folder):
                raise refusal(where, names, (was, found))
            hint = "bring the data back, or train anew; the figures as of then are in its evaluation.json"
            raise Conflict(where, "was trained on other data", expected=was[:16], got=found[:16], hint=hint)
        others = [part for part, rows in self.split.parts.items() if rows != self.prepared.split.parts[part]]
        if others:
            hint = "train anew; the figures as of then are in its evaluation.json"
            raise Conflict(where, f"was split in another way: other {', '.join(others)} rows", hint=hint)


def restore(
    project: Project | None,
    folder: Path,
    *,
    watch: Watch = unwatched,
    prepared: Prepared | None = None,
    known: dict[str, Prepared] | None = None,
) -> Restored:
    """A run and its rows: the project's data are read and split anew, by the settings that the run was trained with.

    Without a ``project`` the data lie where they lay. ``prepared`` are rows that are there already, ``known`` those of
    runs restored before: such as were made by the same settings are not made again.

    Raises:
        NotFound: no finished run there.
        CorruptData: its files are damaged.
    """
    checkpoint, _, model = checkpoints.load(folder)
    own = settings_of(project, folder)
    if prepared is None:
        whole, known = asked(own, folder, project), {} if known is None else known
        key = json.dumps([whole.model.task, whole.model_dump(mode="json", include=set(PREPARED))])
        prepared = known[key] = known[key] if key in known else prepare(whole, watch=watch)
    return Restored(folder, own, checkpoint, model, prepared)


def whose(project: Project | None, folder: Path) -> Project | None:
    """The project, if the run is its own: one of another model is restored by what it says of its data itself.

    Raises:
        CorruptData: the run's settings cannot be read.
    """
    return project if project is not None and _said(folder / CONFIGURATION)["name"] == project.name else None


def settings_of(project: Project | None, folder: Path) -> Project:
    """The settings of a run; where its data lie, and the secrets that ask for them, are the project's if there is one.

    Raises:
        InvalidConfig: it is another model's run.
        CorruptData: the file is none, or of a version with other settings.
    """
    path = folder / CONFIGURATION
    if project is None:
        return projects.load(path, written=False)
    said = _said(path)
    if said["name"] != project.name:
        hint = "name its project's file by --project"
        raise InvalidConfig("RUN", expected=f'a run of "{project.name}"', got=f'one of "{said["name"]}"', hint=hint)
    try:
        said["data"] |= _placed(said["data"], project)
        sections = {name: type(getattr(project, name)).model_validate(said[name]) for name in OWN if name in said}
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable(path, error) from error
    return project.model_copy(update=sections)


def _said(path: Path) -> dict[str, Any]:
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
        found: dict[str, Any] = said | {"name": said["name"]}
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise unreadable(path, error) from error
    return found


def _placed(said: dict[str, Any], project: Project) -> dict[str, Any]:
    """Where the data lie, by the project; what decides which rows there are is told by their digest."""
    data = project.data
    placed: dict[str, Any] = {"quarantine": data.quarantine, "memory": data.memory}
    if said.get("schema_file") and data.schema_file:
        placed["schema_file"] = data.schema_file
    if (said.get("source") is None, list(said.get("sources") or {})) == (data.source is None, list(data.sources)):
        placed |= {"source": data.source, "sources": data.sources}
    return placed


class Sealing(msgspec.Struct, frozen=True, kw_only=True):
    """What a run's split.json says of the test rows; nothing in that of a retraining before it was written there."""

    seal: str = ""
    lineage: str = ""


def sealing_of(folder: Path) -> Sealing:
    """Which rows are sealed for a run.

    Raises:
        CorruptData: the file cannot be read.
    """
    return _read_split(folder, Sealing)


def _read_split(folder: Path, kind: type[S]) -> S:
    path = folder / checkpoints.SPLIT
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise unreadable(path, error) from error
