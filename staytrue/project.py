"""``staytrue.yaml``: the one description of a project that every command reads."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr

from staytrue import tuning, yamlfile
from staytrue.errors import InvalidConfig, StaytrueError
from staytrue.flag import FILE, add_flag, goes_without
from staytrue.labelling import LabellingSection
from staytrue.modelling import ModelSection
from staytrue.preparation import CleaningSection, DataSection
from staytrue.section import WRITTEN, Section
from staytrue.sections import ExportSection, MonitoringSection, RetrainingSection, TrainingSection
from staytrue.served import HINT, OTHERS, Cache, ModelName, Shelf, placed
from staytrue.server import ServingSection
from staytrue.settings import warn_of_strays
from staytrue.slicing import EvaluationSection
from staytrue.splitting import SplitSection
from staytrue.tuning import TuningSection

__all__ = [
    "BESIDE",
    "DECIDING",
    "FILE",
    "Project",
    "add_flag",
    "check_space",
    "goes_without",
    "load",
    "located",
    "schema",
]

DECIDING = ("name", "cleaning", "split", "model", "training")
"""Sections that decide what is trained, beside what is read of ``data``."""
BESIDE = ("checkpoint_seconds", "processes", "loggers", "metrics_port", "explosion", "watching")
"""Settings of a training that only decide who sees it, or when it is given up."""


class Project(Section):
    """A whole project. Paths are relative to the file's folder until :func:`load` makes them absolute."""

    _folder: Path = PrivateAttr(default=Path())
    name: ModelName
    store: Shelf = Path("store")
    store_cache: Cache = None
    data: DataSection
    cleaning: CleaningSection = CleaningSection()
    split: SplitSection = SplitSection()
    labelling: LabellingSection = LabellingSection()
    model: ModelSection = ModelSection()
    training: TrainingSection = TrainingSection()
    evaluation: EvaluationSection = EvaluationSection()
    tuning: TuningSection = TuningSection()
    export: ExportSection = ExportSection()
    serving: ServingSection = ServingSection()
    monitoring: MonitoringSection = MonitoringSection()
    retraining: RetrainingSection = RetrainingSection()

    @property
    def folder(self) -> Path:
        """Where its file lies; the working directory, if it comes from none."""
        return self._folder

    def fingerprint(self) -> str:
        """Digest of everything that decides what is trained: 16 hexadecimal digits."""
        parts = self.model_dump(mode="json", include=set(DECIDING))
        parts["training"] = {key: value for key, value in parts["training"].items() if key not in BESIDE}
        parts["data"] = self.data.identity()
        parts["training"]["augmentation"] = self.training.augmentation.identity()
        del parts["training"]["transfer"]
        parts["training"] |= self.training.transfer.identity()
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def load(path: Path, *, written: bool = True) -> Project:
    """Read a project file; relative paths in it mean the file's own folder.

    ``written``: by somebody, and not by a run, which keeps all settings there are.

    Raises:
        InvalidConfig: unreadable, not YAML, an unknown key, a wrong value: says file, line, expected and got.
    """
    project, tree = yamlfile.read(Project, path, HINT, WRITTEN if written else None)
    for role in (*project.data.targets, project.data.time):
        if role in project.data.features:
            where = yamlfile.place(path, tree, ["data", "features", role])
            raise InvalidConfig(where, "is the target or the time, which no feature may be", hint="remove it")
    check_space(project, path)
    warn_of_strays([*Project.model_fields, *OTHERS])
    whole = _absolute(project, path.resolve().parent)
    whole._folder = path.resolve().parent  # noqa: SLF001 - no field: it is no setting
    return whole


def check_space(project: Project, path: Path) -> None:
    """Look at what a study may try.

    Raises:
        InvalidConfig: an unknown setting, or a value that its section refuses: says file, line and setting.
    """
    for setting, fault in tuning.faults(project):
        keys = ["tuning", "space", setting]
        line = yamlfile.line(path, keys)
        where = f"{path}{f':{line}' if line else ''} {'.'.join(keys)}"
        raise InvalidConfig(where, fault.problem, expected=fault.expected, got=fault.got, hint=fault.hint)


def located(error: StaytrueError, path: Path) -> StaytrueError:
    """The same error with file and line, where it names a setting that stands in the project's file.

    A name in quotes behind a word (``model "bikes"``) is that of a thing, which may be called as a section is.
    """
    if re.match(r'\w+ "', error.where):
        return error
    keys = re.split(r"[\s,:]", error.where, maxsplit=1)[0].split(".")
    line = yamlfile.line(path, keys) if keys[0] in Project.model_fields else None
    if line is None:
        return error
    said = {name: getattr(error, name) for name in ("problem", "expected", "got", "hint")}
    return type(error)(f"{path}:{line} {error.where}", **said, retry_seconds=error.retry_seconds)


def schema() -> dict[str, Any]:
    """JSON Schema of ``staytrue.yaml``, for editors."""
    return Project.model_json_schema()


def _absolute(project: Project, base: Path) -> Project:
    serving = project.serving.within(base)
    monitoring = project.monitoring.model_copy(update={"data": base / project.monitoring.data})
    retraining = project.retraining.model_copy(update={"runs": base / project.retraining.runs})
    data = project.data.within(base)
    parts: dict[str, Section] = {"serving": serving, "monitoring": monitoring, "retraining": retraining, "data": data}
    given = {key: getattr(project.labelling, key) for key in ("annotations", "guideline", "features")}
    found = {key: base / path for key, path in given.items() if path is not None}
    if project.export.signing_key is not None:
        parts["export"] = project.export.model_copy(update={"signing_key": base / project.export.signing_key})
    parts["labelling"] = project.labelling.model_copy(update=found)
    varied = project.training.augmentation.within(base)
    begun = project.training.transfer.within(base)
    parts["training"] = project.training.model_copy(update={"augmentation": varied, "transfer": begun})
    store, cache = placed(project.store, project.store_cache, base)
    return project.model_copy(update={"store": store, "store_cache": cache, **parts})
