"""What pydantic refuses, said in our words: where in a section, expected, got, what to do; never a secret."""

from __future__ import annotations

import difflib
import types
import typing
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import SecretStr

from staytrue.section import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import ValidationError


class Fault(NamedTuple):
    """The first of the faults found. ``problem``, ``expected``, ``got`` and ``hint`` are those of our errors."""

    location: list[str]
    problem: str
    expected: str = ""
    got: str = ""
    hint: str = ""


def first_fault(error: ValidationError, kind: type[Section]) -> Fault:
    """What was wrong with the values of a section; for an unknown key also the nearest known one."""
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(location[-1], known_keys(kind, location[:-1]), n=1)
        return Fault(location, "unknown key", hint=f"did you mean '{near[0]}'?" if near else "remove it")
    if first["type"] == "missing":
        return Fault(location, "is missing", expected=_described(kind, location))
    message = first["msg"].removeprefix("Value error, ")
    got = "" if _holds_secret(annotation_at(kind, location)) else repr(first["input"])[:200]
    return Fault(location, message[0].lower() + message[1:], got=got)


def known_keys(kind: type[Section], location: Sequence[str]) -> list[str]:
    """Keys that the section at a location knows; none where there is no section."""
    found = annotation_at(kind, location)
    return next((list(option.model_fields) for option in _options(found) if _is_section(option)), [])


def annotation_at(kind: type[Section], location: Sequence[str]) -> Any:
    """Type of what stands at a location: through sections, lists, mappings and optional fields; None where unknown."""
    annotation: Any = kind
    for part in location:
        annotation = next((found for option in _options(annotation) if (found := _inside(option, part))), None)
    return annotation


def _inside(annotation: Any, part: str) -> Any:
    if _is_section(annotation):
        field = annotation.model_fields.get(part)
        return field.annotation if field else None
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    return arguments[-1] if origin in {list, dict} else None


def _options(annotation: Any) -> list[Any]:
    """The alternatives of a union, without their constraints."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _options(arguments[0])
    if origin in {typing.Union, types.UnionType}:
        return [option for argument in arguments for option in _options(argument)]
    return [annotation]


def _holds_secret(annotation: Any) -> bool:
    return any(
        option is SecretStr
        or (_is_section(option) and any(_holds_secret(field.annotation) for field in option.model_fields.values()))
        or any(_holds_secret(argument) for argument in typing.get_args(option) if argument is not option)
        for option in _options(annotation)
    )


def allows_none(annotation: Any) -> bool:
    """Whether a field may be None."""
    return types.NoneType in _options(annotation)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _described(kind: type[Section], location: Sequence[str]) -> str:
    sections = (option for option in _options(annotation_at(kind, location[:-1])) if _is_section(option))
    field = next((section.model_fields.get(location[-1]) for section in sections), None)
    return (field.description if field else None) or "a value"
