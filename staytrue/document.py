"""What every setting is called, takes and means, from the sections; ``python -m staytrue.document`` writes it down."""

from __future__ import annotations

import json
import sys
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import SecretStr

from staytrue.project import Project
from staytrue.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

PAGE = Path("docs/settings.md")
_NAMES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    SecretStr: "secret text",
}
_LIMITS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
_HEAD = """\
# Settings

<!-- Written by `python -m staytrue.document` from staytrue/sections.py: change the text there. -->

`staytrue.yaml` describes a project: every command reads it, and unknown keys are refused with the line they stand on.
`staytrue init DATA.csv` writes one for a file of yours, `staytrue schema` prints its JSON Schema for editors. Relative
paths mean the folder of the file.

A setting of a section is taken from, in this order: the command's flag (`--port 9000`), the environment
(`STAYTRUE_SERVING_PORT=9000`: section and key in capitals; lists and mappings as JSON, nothing as `null`), the file,
the default. In Kubernetes set `enableServiceLinks: false`, or a service called `staytrue-serving` puts variables of
that form into the environment.
"""


class Setting(NamedTuple):
    """One key: path within the section, what it takes, its default as JSON (None: it must be given), its meaning."""

    key: str
    takes: str
    default: str | None
    meaning: str


def settings_of(section: type[Section], prefix: str = "") -> Iterator[Setting]:
    """The settings of a section, those of its inner sections too, in the order of declaration."""
    for name, field in section.model_fields.items():
        inner, step = _inner(field.annotation)
        if inner is None or step:
            yield Setting(prefix + name, _takes(field), _default(field), field.description or "")
        if inner is not None:
            yield from settings_of(inner, f"{prefix}{name}{step}.")


def page() -> str:
    """The page ``docs/settings.md``."""
    parts = [_HEAD]
    top = [name for name, field in Project.model_fields.items() if _inner(field.annotation)[0] is None]
    parts.append(_table("The project", "", [s for s in settings_of(Project) if s.key in top]))
    for name, field in Project.model_fields.items():
        section, _ = _inner(field.annotation)
        if section is not None:
            parts.append(_table(f"`{name}`", (section.__doc__ or "").split("\n")[0], list(settings_of(section))))
    return "\n".join(parts)


def _table(title: str, summary: str, settings: list[Setting]) -> str:
    lines = [f"## {title}", "", *([summary, ""] if summary else [])]
    lines += ["| key | takes | default | meaning |", "|---|---|---|---|"]
    for key, takes, default, meaning in settings:
        shown = "*must be given*" if default is None else f"`{default}`"
        lines.append(f"| `{key}` | {takes} | {shown} | {meaning} |".replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


def _inner(annotation: Any) -> tuple[type[Section] | None, str]:
    """The section within a type, and the step to it: nothing, ``.NAME`` or ``[]``."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation, ""
    steps = {dict: ".NAME", list: "[]"}
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in steps and isinstance(arguments[-1], type) and issubclass(arguments[-1], Section):
        return arguments[-1], steps[origin]
    return None, ""


def _takes(field: FieldInfo) -> str:
    return _type(field.annotation) + _limits(field.metadata)


def _type(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        constraints = [limit for info in arguments[1:] for limit in getattr(info, "metadata", [info])]
        return _type(arguments[0]) + _limits(constraints)
    if origin is typing.Literal:
        return ", ".join(f"`{argument}`" for argument in arguments)
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(_type(a) if a is not types.NoneType else "nothing" for a in arguments)
    if origin is list:
        return f"list of {_plural(arguments[0])}"
    if origin is dict:
        return f"mapping of names to {_plural(arguments[1])}"
    return _NAMES[annotation]


def _plural(annotation: Any) -> str:
    return "sections" if _inner(annotation)[0] else _type(annotation)


def _limits(metadata: list[Any]) -> str:
    found = (
        f" {sign} {getattr(info, name):g}" for info in metadata for name, sign in _LIMITS.items() if hasattr(info, name)
    )
    return ",".join(found)


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True)
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False).strip('"') or '""'


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(page(), encoding="utf-8")
