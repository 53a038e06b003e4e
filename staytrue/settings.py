"""One frozen settings object per process: flags over environment over ``staytrue.yaml`` over defaults."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from staytrue.errors import InvalidConfig
from staytrue.faults import allows_none, annotation_at, first_fault
from staytrue.nearest import meant
from staytrue.section import Section
from staytrue.variables import gateway, variables_of_process

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["gateway", "resolve", "warn_of_strays"]
"""``gateway`` too: the handler in each archive for TorchServe, also of versions made long ago, looks for it here."""

log = logging.getLogger(__name__)
S = TypeVar("S", bound=Section)


def resolve(section: S, name: str, flags: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> S:
    """The section with its environment variables and flags applied.

    ``STAYTRUE_SERVING_PORT=9000`` sets ``port`` of section ``serving``; a list or mapping is given as JSON, nothing as
    ``null``. A flag that is None was not given.

    >>> from staytrue.server import ServingSection
    >>> resolve(ServingSection(), "serving", {"port": None}, {"STAYTRUE_SERVING_PORT": "9000"}).port
    9000

    Raises:
        InvalidConfig: an unknown variable of the section, or a value that does not fit; names its source.
    """
    variables = variables_of_process() if environment is None else environment
    kind, prefix = type(section), f"STAYTRUE_{name.upper()}_"
    given: dict[str, tuple[str, Any]] = {}
    for variable, text in variables.items():
        if variable.startswith(prefix):
            key = variable.removeprefix(prefix).lower()
            given[key] = (f"environment {variable}", _parsed(text, annotation_at(kind, [key])))
    for flag, value in flags.items():
        if value is not None:
            given[flag] = (f"--{flag.replace('_', '-')}", value)
    unknown = next((key for key in given if key not in kind.model_fields), None)
    if unknown is not None:
        known = ", ".join(kind.model_fields)
        raise InvalidConfig(given[unknown][0], "unknown setting", expected=f"one of {known}")
    merged = _values(section)
    merged |= {key: _merged(merged[key], value) for key, (_, value) in given.items()}
    try:
        return kind.model_validate(merged)
    except ValidationError as error:
        fault = first_fault(error, kind)
        key = fault.location[0] if fault.location else ""
        source = given[key][0] if key in given else f"staytrue.yaml {'.'.join([name, *fault.location[:1]])}"
        if not fault.location and given:  # of settings that do not go together, any of these may be the one
            source += f" with {', '.join(whose for whose, _ in given.values())}"
        where = ".".join([source, *fault.location[1:]])
        raise InvalidConfig(where, fault.problem, expected=fault.expected, got=fault.got, hint=fault.hint) from error


def warn_of_strays(sections: Iterable[str], environment: Mapping[str, str] | None = None) -> None:
    """Tell of variables that look as if a section was meant, and are not read.

    Others may be anybody's: Kubernetes makes some for each service, after its name.
    """
    known = list(sections)
    for variable in variables_of_process() if environment is None else environment:
        ours, _, key = variable.removeprefix("STAYTRUE_").partition("_")
        strange = variable.startswith("STAYTRUE_") and key and ours.lower() not in known
        if strange and (question := meant(ours, known)):
            log.warning("environment %s is not read: %s is no section of staytrue.yaml; %s", variable, ours, question)


def _values(section: Section) -> dict[str, Any]:
    return {key: getattr(section, key) for key in type(section).model_fields}


def _merged(current: Any, value: Any) -> Any:
    """A mapping changes the keys that it names of a section and leaves the others."""
    if isinstance(current, Section) and isinstance(value, dict):
        return _values(current) | value
    return value


def _parsed(text: str, annotation: Any) -> Any:
    if text == "null" and allows_none(annotation):
        return None
    if text[:1] in {"[", "{"}:
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return text
