"""``staytrue.yaml``: the one description of a project that every command reads."""

from __future__ import annotations

import difflib
import hashlib
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from staytrue.errors import InvalidConfig
from staytrue.sections import (
    CleaningSection,
    DataSection,
    ExportSection,
    ModelSection,
    MonitoringSection,
    RetrainingSection,
    Section,
    ServingSection,
    SplitSection,
    TrainingSection,
)

FILE = "staytrue.yaml"


class Project(Section):
    """A whole project. Paths are relative to the file's folder until :func:`load` makes them absolute."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$", description="name of the model, in addresses and metrics"
    )
    store: Path = Field(default=Path("store"), description="folder of the model store")
    data: DataSection
    cleaning: CleaningSection = CleaningSection()
    split: SplitSection = SplitSection()
    model: ModelSection = ModelSection()
    training: TrainingSection = TrainingSection()
    export: ExportSection = ExportSection()
    serving: ServingSection = ServingSection()
    monitoring: MonitoringSection = MonitoringSection()
    retraining: RetrainingSection = RetrainingSection()

    def fingerprint(self) -> str:
        """Digest of everything that decides what is trained: 16 hexadecimal digits."""
        parts = self.model_dump(mode="json", include={"name", "data", "cleaning", "split", "model", "training"})
        parts["data"]["source"] = Path(parts["data"]["source"]).name  # the place does not matter
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def load(path: Path) -> Project:
    """Read a project file; relative paths in it mean the file's own folder.

    Raises:
        InvalidConfig: unreadable, not YAML, an unknown key, a wrong value: says file, line, expected and got.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidConfig(
            str(path), f"cannot be read: {error.strerror}", hint="`staytrue init DATA.csv` writes one"
        ) from error
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise InvalidConfig(where, f"is not YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(values, dict):
        raise InvalidConfig(str(path), expected="a mapping of sections", got=type(values).__name__)
    try:
        project = Project.model_validate(values)
    except ValidationError as error:
        raise _explain(error, path, tree, Project) from error
    return _absolute(project, path.resolve().parent)


def schema() -> dict[str, Any]:
    """JSON Schema of ``staytrue.yaml``, for editors."""
    return Project.model_json_schema()


def _absolute(project: Project, base: Path) -> Project:
    serving = project.serving.model_copy(update={"log": base / project.serving.log})
    monitoring = project.monitoring.model_copy(update={"data": base / project.monitoring.data})
    retraining = project.retraining.model_copy(update={"runs": base / project.retraining.runs})
    data = project.data.model_copy(update={"source": base / project.data.source})
    parts = {"serving": serving, "monitoring": monitoring, "retraining": retraining, "data": data}
    return project.model_copy(update={"store": base / project.store, **parts})


def _explain(error: ValidationError, path: Path, tree: yaml.Node | None, kind: type[Section]) -> InvalidConfig:
    """The first fault, with its line and, for an unknown key, the nearest known one."""
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    line = _line(tree, location)
    where = f"{path}:{line} {'.'.join(location)}" if line else f"{path} {'.'.join(location)}"
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(location[-1], known_keys(kind, location[:-1]), n=1)
        return InvalidConfig(where, "unknown key", hint=f"did you mean '{near[0]}'?" if near else "remove it")
    if first["type"] == "missing":
        return InvalidConfig(where, "is missing", expected=_described(kind, location))
    return InvalidConfig(where, first["msg"][0].lower() + first["msg"][1:], got=repr(first["input"])[:200])


def known_keys(kind: type[Section], location: list[str]) -> list[str]:
    """Keys that a section at a location knows."""
    section = _section(kind, location)
    return list(section.model_fields) if section else []


def _section(kind: type[Section], location: list[str]) -> type[Section] | None:
    section: Any = kind
    for part in location:
        field = section.model_fields.get(part) if isinstance(section, type) and issubclass(section, Section) else None
        section = field.annotation if field else None
    return section if isinstance(section, type) and issubclass(section, Section) else None


def _described(kind: type[Section], location: list[str]) -> str:
    section = _section(kind, location[:-1])
    field = section.model_fields.get(location[-1]) if section else None
    return (field.description if field else None) or "a value"


def _line(node: yaml.Node | None, location: list[str]) -> int:
    """Line of the deepest part of a location that the file has."""
    line = 0
    for part in location:
        if not isinstance(node, yaml.MappingNode):
            break
        for key, value in node.value:
            if key.value == part:
                line, node = key.start_mark.line + 1, value
                break
        else:
            break
    return line
