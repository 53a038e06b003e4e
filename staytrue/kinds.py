"""What a setting takes, in words, from its type: for the page of settings and for messages."""

from __future__ import annotations

import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from staytrue.section import Section

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_NAMES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    SecretStr: "secret text",
    Any: "any value",
}
_LIMITS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def section_in(annotation: Any) -> tuple[type[Section] | None, str]:
    """The section within a type, and the step to it: nothing, ``.NAME`` or ``[]``."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation, ""
    steps = {dict: ".NAME", list: "[]"}
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in steps and isinstance(arguments[-1], type) and issubclass(arguments[-1], Section):
        return arguments[-1], steps[origin]
    return None, ""


def taken_by(field: FieldInfo) -> str:
    """What a setting takes, its limits too."""
    return words(field.annotation) + _limits(field.metadata)


def words(annotation: Any) -> str:
    """What a type takes; a section is a mapping."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        constraints = [limit for info in arguments[1:] for limit in getattr(info, "metadata", [info])]
        return words(arguments[0]) + _limits(constraints)
    if origin is typing.Literal:
        return ", ".join(f"`{argument}`" for argument in arguments)
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(words(a) if a is not types.NoneType else "nothing" for a in arguments)
    if origin is list:
        return f"list of {_plural(arguments[0])}"
    if origin is dict:
        return f"mapping of names to {_plural(arguments[1])}"
    return "mapping" if section_in(annotation)[0] else _NAMES[annotation]


def _plural(annotation: Any) -> str:
    return "sections" if section_in(annotation)[0] else words(annotation)


def _limits(metadata: list[Any]) -> str:
    found = (
        f" {sign} {getattr(info, name):g}" for info in metadata for name, sign in _LIMITS.items() if hasattr(info, name)
    )
    return ",".join(found)
