"""One frozen settings object per process: flags over environment over ``staytrue.yaml`` over defaults."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from staytrue.errors import InvalidConfig
from staytrue.sections import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

S = TypeVar("S", bound=Section)


def resolve(section: S, name: str, flags: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> S:
    """The section with its environment variables and flags applied.

    ``STAYTRUE_SERVING_PORT=9000`` sets ``port`` of section ``serving``; a list or a mapping is given as JSON. A flag
    that is None was not given.

    >>> from staytrue.sections import ServingSection
    >>> resolve(ServingSection(), "serving", {"port": None}, {"STAYTRUE_SERVING_PORT": "9000"}).port
    9000

    Raises:
        InvalidConfig: an unknown variable of the section, or a value that does not fit; names its source.
    """
    surroundings = os.environ if environment is None else environment  # noqa: TID251 - the one place that reads it
    prefix = f"STAYTRUE_{name.upper()}_"
    given: dict[str, tuple[str, Any]] = {}
    for variable, text in surroundings.items():
        if variable.startswith(prefix):
            given[variable.removeprefix(prefix).lower()] = (f"environment {variable}", _parsed(text))
    for flag, value in flags.items():
        if value is not None:
            given[flag] = (f"--{flag.replace('_', '-')}", value)
    unknown = next((key for key in given if key not in type(section).model_fields), None)
    if unknown:
        known = ", ".join(type(section).model_fields)
        raise InvalidConfig(given[unknown][0], "unknown setting", expected=f"one of {known}")
    merged = {key: getattr(section, key) for key in type(section).model_fields}
    merged |= {key: value for key, (_, value) in given.items()}
    try:
        return type(section).model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        source = given[key][0] if key in given else f"staytrue.yaml {name}.{key}"
        raise InvalidConfig(source, first["msg"][0].lower() + first["msg"][1:], got=repr(first["input"])) from error


def _parsed(text: str) -> Any:
    if text[:1] in "[{":
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return text
