"""Writing: settings go into the text of a ``staytrue.yaml``, and everything else of it stays, comments too."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import yaml

from staytrue.errors import Conflict, StaytrueError
from staytrue.project import load
from staytrue.tuning import changed
from training.models.architectures import arguments_of
from training.suggest.proposals import UNSET

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Settings = Mapping[str, str | int | float]


def fitting(path: Path, settings: Settings) -> tuple[str, dict[str, str]]:
    """The text of a project file with those of the settings that fit what it holds, and why the others do not.

    One that does not go with what somebody has set stays away; the file itself is not touched.

    Raises:
        Conflict: as :func:`written`.
    """
    text, taken, refused = path.read_bytes().decode(), dict[str, str | int | float](), dict[str, str]()
    together = written(text, settings)
    if _fault(path, together) is None:  # some fit only together
        return together, {}
    for name, value in settings.items():
        fault = _fault(path, written(text, {**taken, name: value}))
        if fault is None:
            taken[name] = value
        else:
            refused[name] = fault
    return written(text, taken), refused


def _fault(path: Path, text: str) -> str | None:
    """Why a project file with this text would be refused, if it would."""
    tried = path.with_name(f".{path.name}.tried")  # beside it: paths are relative to where it lies
    tried.write_text(text, encoding="utf-8", newline="")
    try:
        arguments_of(load(tried))
    except StaytrueError as error:
        return str(error).replace(str(tried), str(path))
    finally:
        tried.unlink()
    return None


def written(text: str, settings: Mapping[str, Any]) -> str:
    r"""The text with these settings, named by their paths: values replaced in place, new keys first of a section.

    Those that are :data:`UNSET` are taken out.

    Raises:
        Conflict: the file is written such that a setting cannot be changed without harm to something else.

    >>> print(written("model: # small\n  width: 8 # enough\n", {"model.width": 16, "model.depth": 1}), end="")
    model: # small
      depth: 1
      width: 16 # enough
    """
    wanted: dict[str, Any] = copy.deepcopy(yaml.safe_load(text)) or {}
    for name, value in settings.items():
        keys = name.split(".")
        if value == UNSET:
            text, wanted = _without(text, keys), _less(wanted, keys)
        else:
            text, wanted = _with(text, keys, _said(value)), changed(wanted, keys, value)
        try:
            made = yaml.safe_load(text)
        except yaml.YAMLError:
            made = None
        if made != wanted:
            hint = "write it by hand"
            raise Conflict("staytrue.yaml", f"{name} cannot be set to {value} without harm to the rest", hint=hint)
    return text


def _said(value: Any) -> str:
    """A value as YAML says it in a line."""
    if isinstance(value, str) and not value.startswith(("'", '"')) and _read(value) == value:
        return value
    return (
        yaml.safe_dump(value, default_flow_style=True, width=10**9, allow_unicode=True).removesuffix("\n...\n").strip()
    )


def _read(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _with(text: str, keys: list[str], value: str) -> str:
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    newline = "\r\n" if "\r\n" in text else "\n"
    found = _child(node, keys[0])
    if found is None:
        gap = "" if text.endswith("\n") or not text else newline
        return f"{text}{gap}{newline}{keys[0]}:{newline}{_nested(keys[1:], value, '  ', newline)}"
    place = 1
    while place < len(keys) and (inner := _child(found[1], keys[place])) is not None:
        found, place = inner, place + 1
    head, body = found
    if place == len(keys):
        return text[: body.start_mark.index] + value + text[body.end_mark.index :]
    rest, at = keys[place:], body.start_mark.index
    if isinstance(body, yaml.MappingNode) and body.flow_style:
        said = f"{rest[-1]}: {value}"
        for key in reversed(rest[:-1]):
            said = f"{key}: {{{said}}}"
        return f"{text[: at + 1]}{said}{', ' if body.value else ''}{text[at + 1 :]}"
    if isinstance(body, yaml.MappingNode):
        line = text.rfind("\n", 0, at) + 1
        return f"{text[:line]}{_nested(rest, value, ' ' * body.start_mark.column, newline)}{text[line:]}"
    end = text.find("\n", head.end_mark.index)  # a section that is empty
    whole, end = (text, end) if end >= 0 else (text + newline, len(text) + len(newline) - 1)
    indent = " " * (head.start_mark.column + 2)
    return f"{whole[: end + 1]}{_nested(rest, value, indent, newline)}{whole[end + 1 :]}"


def _without(text: str, keys: list[str]) -> str:
    """The text without a key and its value, if it is there; with its whole lines where it has some of its own."""
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    parent, begin, end = node, 0, 0
    for key in keys:
        parent, found = node, _child(node, key)
        if found is None:
            return text
        node, begin, end = found[1], found[0].start_mark.index, found[1].end_mark.index
    if isinstance(parent, yaml.MappingNode) and parent.flow_style:
        before, after = text[:begin], text[end:]
        return before + after.lstrip(", ") if after.lstrip().startswith(",") else before.rstrip(", ") + after
    following = text.find("\n", end)
    return text[: text.rfind("\n", 0, begin) + 1] + (text[following + 1 :] if following >= 0 else "")


def _less(tree: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    """Nested settings without one of them."""
    first, *rest = keys
    inner = tree.get(first)
    if rest and isinstance(inner, dict):
        return tree | {first: _less(inner, rest)}
    return {key: value for key, value in tree.items() if key != first}


def _nested(keys: list[str], value: str, indent: str, newline: str) -> str:
    """Lines of a key within keys."""
    *outer, last = keys
    lines = [f"{indent}{'  ' * depth}{key}:" for depth, key in enumerate(outer)]
    return newline.join([*lines, f"{indent}{'  ' * len(outer)}{last}: {value}", ""])


def _child(node: yaml.Node | None, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next(((name, value) for name, value in node.value if name.value == key), None)
