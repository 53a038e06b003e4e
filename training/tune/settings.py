"""Settings of a study: from file, environment and flags, and what is looked at before anything is prepared."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from staytrue import project as projects
from staytrue.errors import InvalidConfig
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
    """
    if not project.tuning.space:
        hint = "write settings with their choices there (docs/tuning.md)"
        raise InvalidConfig("tuning.space", "names no setting to try", hint=hint)
    if importlib.util.find_spec("optuna") is None:
        raise InvalidConfig("tuning", "needs optuna, which is not installed", hint="pip install -e '.[tune]' brings it")
    if project.tuning.executor == "ray":
        _check_ray(project)
    elif project.tuning.address is not None:
        hint = "set tuning.executor: ray (--executor ray), or remove the address"
        raise InvalidConfig("tuning.address", "is of a Ray cluster, and the executor is local", hint=hint)
    if project.tuning.ensemble > 1 and project.model.task == "generation":
        hint = "leave it at 1: the answers of generators are pictures, which no mean makes better"
        raise InvalidConfig("tuning.ensemble", "is of models that predict, and model.task is generation", hint=hint)
    if project.training.processes > 1:
        hint = "set it to 1 and tuning.workers to the trainings that are to run at once"
        raise InvalidConfig(
            "training.processes", expected="1 in a study", got=str(project.training.processes), hint=hint
        )


def _check_ray(project: Project) -> None:
    needed = ["ray", *(["hyperopt"] if project.tuning.method == "tpe" else [])]
    for name in needed:
        if importlib.util.find_spec(name) is None:
            what = " for method tpe" if name == "hyperopt" else ""
            hint = "pip install -e '.[tune]' brings it; or set it to local, whose workers are processes on this machine"
            raise InvalidConfig("tuning.executor", f"ray needs {name}{what}, which is not installed", hint=hint)


def folder_of(project: Project, name: str | None) -> Path:
    """Where a study lies; the model's name where it has none of its own.

    Raises:
        InvalidConfig: no name of a folder.
    """
    name = name or project.name
    if "/" in name or name in {".", ".."}:
        raise InvalidConfig("--study", expected="a name without a slash", got=name)
    return project.retraining.runs.parent / FOLDER / name
