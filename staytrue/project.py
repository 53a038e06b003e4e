"""``staytrue.yaml``: the one description of a project that every command reads."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import Field, ValidationError

from staytrue.errors import InvalidConfig
from staytrue.faults import first_fault, said
from staytrue.preparation import CleaningSection, DataSection, SplitSection
from staytrue.section import Section
from staytrue.sections import ExportSection, ModelSection, MonitoringSection, RetrainingSection, TrainingSection
from staytrue.server import ServingSection
from staytrue.settings import warn_of_strays

if TYPE_CHECKING:
    import argparse

FILE = "staytrue.yaml"
OTHERS = ("rules", "gateway")
"""What variables set beside the sections."""


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
        parts["data"] = self.data.identity()
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def load(path: Path) -> Project:
    """Read a project file; relative paths in it mean the file's own folder.

    Raises:
        InvalidConfig: unreadable, not YAML, an unknown key, a wrong value: says file, line, expected and got.
    """
    tree, values = _parse(path)
    try:
        project = Project.model_validate(values)
    except ValidationError as error:
        fault = first_fault(error, Project)
        where = _where(path, tree, fault.location)
        raise InvalidConfig(where, fault.problem, expected=fault.expected, got=fault.got, hint=fault.hint) from error
    for role in (project.data.target, project.data.time):
        if role in project.data.features:
            where = _where(path, tree, ["data", "features", role])
            raise InvalidConfig(where, "is the target or the time, which no feature may be", hint="remove it")
    warn_of_strays([*Project.model_fields, *OTHERS])
    return _absolute(project, path.resolve().parent)


def add_flag(parser: argparse.ArgumentParser) -> None:
    """The flag ``--project``, which every command that reads a project has."""
    parser.add_argument("--project", type=Path, default=Path(FILE), help="project file (default: %(default)s)")


def schema() -> dict[str, Any]:
    """JSON Schema of ``staytrue.yaml``, for editors."""
    return Project.model_json_schema()


def _absolute(project: Project, base: Path) -> Project:
    files = {key: getattr(project.serving, key) for key in ("keys", "tls_certificate", "tls_key", "tls_client_ca")}
    placed = {key: base / path for key, path in files.items() if path is not None}
    serving = project.serving.model_copy(update={"log": base / project.serving.log, **placed})
    monitoring = project.monitoring.model_copy(update={"data": base / project.monitoring.data})
    retraining = project.retraining.model_copy(update={"runs": base / project.retraining.runs})
    data = project.data.within(base)
    parts = {"serving": serving, "monitoring": monitoring, "retraining": retraining, "data": data}
    return project.model_copy(update={"store": base / project.store, **parts})


def _parse(path: Path) -> tuple[yaml.Node | None, dict[Any, Any]]:
    """The file as a tree that knows its lines, and as values."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        hint = "`staytrue init DATA.csv` writes one"
        raise InvalidConfig(str(path), f"cannot be read: {error.strerror}", hint=hint) from error
    except UnicodeDecodeError as error:
        raise InvalidConfig(str(path), expected="text in UTF-8", got=f"byte {error.start} that is none") from error
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise InvalidConfig(where, f"is not YAML: {getattr(error, 'problem', error)}") from error
    except RecursionError as error:
        raise InvalidConfig(str(path), "is nested too deeply") from error
    if not isinstance(values, dict):
        raise InvalidConfig(
            str(path), expected="a mapping of sections", got=said(values), hint="`staytrue init DATA.csv` writes one"
        )
    _refuse_repeated(tree, path, set())
    return tree, values


def _refuse_repeated(node: yaml.Node | None, path: Path, seen: set[int]) -> None:
    """Refuse a key that stands twice: YAML would silently keep the last."""
    if node is None or id(node) in seen:  # an anchor may lead back to where it stands
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated(item, path, seen)
    elif isinstance(node, yaml.MappingNode):
        keys: set[Any] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in keys:
                raise InvalidConfig(f"{path}:{key.start_mark.line + 1}", f"key '{key.value}' stands there twice")
            keys.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
            _refuse_repeated(value, path, seen)


def _where(path: Path, tree: yaml.Node | None, location: list[str]) -> str:
    """File, line and keys: of the deepest part of a location that the file has."""
    line, node = 0, tree
    for part in location:
        found = _child(node, part)
        if found is None:
            break
        line, node = found
    return " ".join(filter(None, [f"{path}:{line}" if line else str(path), ".".join(location)]))


def _child(node: yaml.Node | None, part: str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark.line + 1, value) for key, value in node.value if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and part.isdecimal():
        item = node.value[int(part)]
        return item.start_mark.line + 1, item
    return None
