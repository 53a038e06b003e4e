"""What pydantic refuses, said in our words: where in a section, expected, got, what to do; never a secret."""

from __future__ import annotations

import datetime
import types
import typing
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import SecretStr

from staytrue.addresses import is_secret, masked
from staytrue.kinds import taken_by, words
from staytrue.nearest import meant
from staytrue.section import Refused, Section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails


class Fault(NamedTuple):
    """The first of the faults found. ``problem``, ``expected``, ``got`` and ``hint`` are those of our errors."""

    location: list[str]
    problem: str = ""
    expected: str = ""
    got: str = ""
    hint: str = ""


def first_fault(error: ValidationError, kind: type[Section]) -> Fault:
    """What was wrong with the values of a section; for an unknown key also the nearest known one."""
    first = _misspelt(error, kind) or error.errors()[0]
    location = [str(part) for part in first["loc"] if part != "[key]"]
    if first["type"] == "extra_forbidden":
        question = meant(location[-1], known_keys(kind, location[:-1]))
        return Fault(location, "unknown key", hint=question or "remove it")
    field = _field_at(kind, location)
    meaning = (field.description if field else None) or ""
    if first["type"] == "missing":
        return Fault(location, "is missing", expected=meaning or "a value")
    annotation = annotation_at(kind, location)
    secret = _holds_secret(annotation) or ("options" in location and any(is_secret(part) for part in location))
    got = "" if secret else said(first["input"])
    if first["type"] == "value_error":  # a check of ours, in our words: of a whole section they say all there is
        message = first["msg"].removeprefix("Value error, ")
        error_of = first.get("ctx", {}).get("error")
        hint = error_of.hint if isinstance(error_of, Refused) else ""
        return Fault(location, message, got="" if isinstance(first["input"], dict) else got, hint=hint)
    if annotation is None or first["loc"][-1] == "[key]":
        return Fault(location, expected="text for a name", got=got, hint="write it in quotes")
    taken = _taken(taken_by(field) if field else words(annotation), first.get("ctx", {}))
    unquoted = first["type"] == "string_type" and isinstance(first["input"], bool | int | float | datetime.date)
    hint = "put it in quotes" if unquoted else _hint(annotation, first["input"], meaning)
    return Fault(location, expected=taken, got=got, hint=hint)


def _misspelt(error: ValidationError, kind: type[Section]) -> ErrorDetails | None:
    """The unknown key that was meant for the one that is missing first: to hear of that alone would not help."""
    first, *others = error.errors()
    for other in others if first["type"] == "missing" else ():
        if other["type"] == "extra_forbidden" and other["loc"][:-1] == first["loc"][:-1]:
            location, wanted = [str(part) for part in other["loc"]], str(first["loc"][-1])
            if meant(location[-1], known_keys(kind, location[:-1])) == meant(wanted, [wanted]):
                return other
    return None


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
    return takes(annotation, types.NoneType)


def takes(annotation: Any, kind: type) -> bool:
    """Whether values of a plain type may stand there.

    >>> takes(int | None, int), takes(list[int], int)
    (True, False)
    """
    return kind in _options(annotation)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _field_at(kind: type[Section], location: Sequence[str]) -> FieldInfo | None:
    """The field at a location; None for what is no field of a section."""
    sections = (option for option in _options(annotation_at(kind, location[:-1])) if _is_section(option))
    return next((section.model_fields.get(location[-1]) for section in sections), None) if location else None


def _taken(taken: str, context: Mapping[str, Any]) -> str:
    """What is expected, from what the page of settings says and what pydantic adds."""
    told = taken.replace("`", "'")
    told = f"one of {told}" if told.startswith("'") else told
    told = f"a {told}" if told.startswith(("whole", "number", "list", "mapping", "path")) else told
    if "pattern" in context:
        told += f" of the form {context['pattern']}"
    return f"{told}, at least {context['min_length']}" if "min_length" in context else told


def said(value: Any) -> str:
    """What stands there, in YAML's words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        keys = ", ".join(str(key) for key in value)
        return (f"a mapping with the keys {keys}" if value else "an empty mapping")[:200]
    if isinstance(value, list):
        return "an empty list" if not value else f"a list of {len(value)}"
    return repr(masked(value))[:200] if isinstance(value, str) else str(value)[:200]


def _hint(annotation: Any, value: Any, meaning: str) -> str:
    """The word that was meant, the keys of a section, or what the setting means."""
    options = _options(annotation)
    literals = [word for option in options if typing.get_origin(option) is Literal for word in typing.get_args(option)]
    if question := meant(str(value), literals):
        return question
    section = next((option for option in options if _is_section(option)), None)
    if section is not None:
        return f"its keys: {', '.join(section.model_fields)}"
    return f"meaning: {meaning}" if meaning else ""
