"""Settings of a study: from file, environment and flags, and what is looked at before anything is prepared."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from staytrue import project as projects
from staytrue.errors import InvalidConfig, Unsupported
from staytrue.settings import resolve

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.project import Project

SECTIONS = ("cleaning", "labelling", "split", "model", "training", "tuning")
"""Sections that decide what a trial is."""
FOLDER = "tuning"
"""Beside the folder of runs; the studies are in it by their names."""


def resolved(path: Path, **flags: object) -> Project:
    """The project, with what the environment and flags of the section ``tuning`` say; its space still fits.

    Raises:
        InvalidConfig: a value that does not fit.
    """
    project = projects.load(path)
    sections = {name: resolve(getattr(project, name), name, flags if name == "tuning" else {}) for name in SECTIONS}
    project = project.model_copy(update=sections)
    projects.check_space(project, path)
    return project


def check(project: Project) -> None:
    """Look at what a study needs.

    Raises:
        InvalidConfig: what is not installed, no setting to try, or trainings that are several processes each.
        Unsupported: an executor that is not there yet.
    """
    if not project.tuning.space:
        hint = "write settings with their choices there (docs/tuning.md)"
        raise InvalidConfig("tuning.space", "names no setting to try", hint=hint)
    if importlib.util.find_spec("optuna") is None:
        raise InvalidConfig("tuning", "needs optuna, which is not installed", hint="pip install -e '.[tune]' brings it")
    if project.tuning.executor == "ray":
        if importlib.util.find_spec("ray") is None:
            hint = "set it to local, whose workers are processes on this machine"
            raise InvalidConfig("tuning.executor", "needs ray, which is not installed", hint=hint)
        raise Unsupported("tuning.executor", "ray does not run trials yet", hint="set it to local")
    if project.training.processes > 1:
        hint = "set it to 1 and tuning.workers to the trainings that are to run at once"
        raise InvalidConfig(
            "training.processes", expected="1 in a study", got=str(project.training.processes), hint=hint
        )


def folder_of(project: Project, name: str | None) -> Path:
    """Where a study lies; the model's name where it has none of its own.

    Raises:
        InvalidConfig: no name of a folder.
    """
    name = name or project.name
    if "/" in name or name in {".", ".."}:
        raise InvalidConfig("--study", expected="a name without a slash", got=name)
    return project.retraining.runs.parent / FOLDER / name
