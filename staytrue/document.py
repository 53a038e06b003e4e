"""What every setting is called, takes and means, from the sections; ``python -m staytrue.document`` writes it down."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from staytrue.kinds import section_in, taken_by
from staytrue.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

    from staytrue.section import Section

PAGE = Path("docs/settings.md")
_HEAD = """\
# Settings

<!-- Written by `python -m staytrue.document` from the sections in staytrue/: change the text there. -->

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
        inner, step = section_in(field.annotation)
        if inner is None or step:
            yield Setting(prefix + name, taken_by(field), _default(field), field.description or "")
        if inner is not None:
            yield from settings_of(inner, f"{prefix}{name}{step}.")


def page() -> str:
    """The page ``docs/settings.md``."""
    parts = [_HEAD]
    top = [name for name, field in Project.model_fields.items() if section_in(field.annotation)[0] is None]
    parts.append(_table("The project", "", [s for s in settings_of(Project) if s.key in top]))
    for name, field in Project.model_fields.items():
        section, _ = section_in(field.annotation)
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


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True)
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False).strip('"') or '""'


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(page(), encoding="utf-8")
