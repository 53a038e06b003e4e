"""Writing: settings go into the text of a ``staytrue.yaml``, and everything else of it stays, comments too."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import yaml

from staytrue.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Mapping


def written(text: str, settings: Mapping[str, str | int | float]) -> str:
    r"""The text with these settings, named ``section.key``: values replaced in place, new keys first of a section.

    Raises:
        Conflict: the file is written such that a setting cannot be changed without harm to something else.

    >>> print(written("model: # small\n  width: 8 # enough\n", {"model.width": 16, "model.depth": 1}), end="")
    model: # small
      depth: 1
      width: 16 # enough
    """
    wanted: dict[str, Any] = copy.deepcopy(yaml.safe_load(text)) or {}
    for name, value in settings.items():
        section, key = name.split(".")
        text = _with(text, section, key, str(value))
        wanted[section] = {**(wanted.get(section) or {}), key: value}
        try:
            made = yaml.safe_load(text)
        except yaml.YAMLError:
            made = None
        if made != wanted:
            hint = "write it by hand"
            raise Conflict("staytrue.yaml", f"{name} cannot be set to {value} without harm to the rest", hint=hint)
    return text


def _with(text: str, section: str, key: str, value: str) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    found = _child(root, section)
    newline = "\r\n" if "\r\n" in text else "\n"
    if found is None:
        gap = "" if text.endswith("\n") or not text else newline
        return f"{text}{gap}{newline}{section}:{newline}  {key}: {value}{newline}"
    head, body = found
    inside = _child(body, key)
    if inside is not None:
        old = inside[1]
        return text[: old.start_mark.index] + value + text[old.end_mark.index :]
    at = body.start_mark.index
    if isinstance(body, yaml.MappingNode) and body.flow_style:
        return f"{text[: at + 1]}{key}: {value}{', ' if body.value else ''}{text[at + 1 :]}"
    if isinstance(body, yaml.MappingNode):
        line = text.rfind("\n", 0, at) + 1
        return f"{text[:line]}{' ' * body.start_mark.column}{key}: {value}{newline}{text[line:]}"
    end = text.find("\n", head.end_mark.index)  # a section that is empty
    whole, end = (text, end) if end >= 0 else (text + newline, len(text) + len(newline) - 1)
    return f"{whole[: end + 1]}  {key}: {value}{newline}{whole[end + 1 :]}"


def _child(node: yaml.Node | None, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next(((name, value) for name, value in node.value if name.value == key), None)
