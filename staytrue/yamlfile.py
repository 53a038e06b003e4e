"""YAML files that people write: read as sections, whose faults are told with their lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import ValidationError

from staytrue.errors import InvalidConfig
from staytrue.faults import first_fault, said
from staytrue.section import QUOTES, WRITTEN, Section

if TYPE_CHECKING:
    from pathlib import Path


S = TypeVar("S", bound=Section)
_OTHERWISE = frozenset({"bool", "timestamp", "float"})
"""Kinds of keys that YAML would call otherwise than they are written, so that nobody would find them."""


def read(kind: type[S], path: Path, hint: str, context: str | None = WRITTEN) -> tuple[S, yaml.Node | None]:
    """The file as a section, and the tree that knows its lines, for :func:`place`.

    ``context`` is None where nobody wrote the file: then all settings stand there, also those that nothing reads.

    Raises:
        InvalidConfig: unreadable, not YAML, an unknown key, a wrong value: says file, line, expected and got; ``hint``
            says who writes such a file.
    """
    tree, values = _parse(path, hint)
    try:
        return kind.model_validate(values, context=context), tree
    except ValidationError as error:
        fault = first_fault(error, kind)
        where = place(path, tree, fault.location)
        raise InvalidConfig(where, fault.problem, expected=fault.expected, got=fault.got, hint=fault.hint) from error


def _parse(path: Path, hint: str) -> tuple[yaml.Node | None, dict[Any, Any]]:
    """The file as a tree that knows its lines, and as values.

    Raises:
        InvalidConfig: unreadable, not YAML, no mapping, or a key that stands twice; ``hint`` says who writes one.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
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
        raise InvalidConfig(str(path), expected="a mapping of sections", got=said(values), hint=hint)
    _check_keys(tree, path, set())
    return tree, values


def _check_keys(node: yaml.Node | None, path: Path, seen: set[int]) -> None:
    """Refuse a key that stands twice, of which YAML would silently keep the last, and one that is no text to YAML."""
    if node is None or id(node) in seen:  # an anchor may lead back to where it stands
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_keys(item, path, seen)
    elif isinstance(node, yaml.MappingNode):
        keys: set[Any] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag.rpartition(":")[2] in _OTHERWISE:
                raise InvalidConfig(f"{path}:{key.start_mark.line + 1}", f"key '{key.value}' {QUOTES}")
            if isinstance(key, yaml.ScalarNode) and key.value in keys:
                raise InvalidConfig(f"{path}:{key.start_mark.line + 1}", f"key '{key.value}' stands there twice")
            keys.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
            _check_keys(value, path, seen)


def line(path: Path, location: list[str]) -> int | None:
    """Line of the deepest part of a location that the file has; None where it lacks the first, or cannot be read."""
    try:
        tree = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None
    return _found(tree, location) or None


def place(path: Path, tree: yaml.Node | None, location: list[str]) -> str:
    """File, line and keys: of the deepest part of a location that the file has."""
    found = _found(tree, location)
    return " ".join(filter(None, [f"{path}:{found}" if found else str(path), ".".join(location)]))


def _found(tree: yaml.Node | None, location: list[str]) -> int:
    number, node = 0, tree
    for part in location:
        found = _child(node, part)
        if found is None:
            break
        number, node = found
    return number


def _child(node: yaml.Node | None, part: str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark.line + 1, value) for key, value in node.value if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and part.isdecimal():
        item = node.value[int(part)]
        return item.start_mark.line + 1, item
    return None


def flat(tree: Any, path: tuple[str, ...] = ()) -> dict[str, str]:
    """Values of nested settings as texts, by their paths.

    >>> flat({"model": {"width": 8, "options": {}}})
    {'model.width': '8', 'model.options': '{}'}
    """
    if not (isinstance(tree, dict) and tree):
        return {".".join(path): str(tree)}
    found: dict[str, str] = {}
    for key, inner in tree.items():
        found |= flat(inner, (*path, str(key)))
    return found
