"""The base of all sections of ``staytrue.yaml``, and the kinds of numbers in them."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_LARGEST = 3.4e38
QUOTES = "is no text as YAML reads it (yes, no, on, off; numbers; dates): put it in quotes"


def _held(value: float) -> float:
    if abs(value) > _LARGEST:
        raise ValueError(f"FP32 holds numbers up to {_LARGEST:g}")
    return value


def _as_meant(value: object) -> object:
    """Refuse what YAML reads as something else than was meant: pydantic would take true for 1."""
    if isinstance(value, bool | datetime.date):
        raise ValueError(QUOTES)  # noqa: TRY004 - pydantic tells of ValueErrors alone
    return value


def _as_written(value: object) -> object:
    """Refuse fractions too: of ``1.50`` YAML keeps ``1.5``."""
    if isinstance(value, float):
        raise ValueError(QUOTES)  # noqa: TRY004 - as above
    return _as_meant(value)


if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import ValidationInfo

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Single = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_held)]
"""A number that FP32 holds."""
Filling = Annotated[Single | str, BeforeValidator(_as_meant)]
"""A number or a text."""
Name = Annotated[str | int, BeforeValidator(_as_written)]
"""A text or a whole number that something is called."""
Option = str | int | float | bool | list[str] | list[int]
"""What a function of somebody else's may be called with."""


WRITTEN = "written"
"""Context in which a file of somebody's is validated: what stands there was meant, also where it is the default."""


class Refused(ValueError):
    """A value that a check of ours refuses, with what to do beside what was expected."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Section(BaseModel):
    """Base of all sections."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)


def says(section: Section, name: str, info: ValidationInfo[object]) -> bool:
    """Whether a setting says something: what the default does not, or, where somebody wrote it into a file, anything.

    Of a section whose every setting is there nobody wrote them: so are a run's configurations.
    """
    some, fields = section.model_fields_set, type(section).model_fields
    written = info.context == WRITTEN and name in some and some < fields.keys()
    return written or bool(getattr(section, name) != fields[name].default)


def refuse_unread(
    section: Section, unread: Mapping[str, bool], info: ValidationInfo[object], by: str = "method"
) -> None:
    """Refuse settings that nothing reads with what the setting ``by`` says, unless they say nothing (:func:`says`).

    Raises:
        ValueError: names both settings.
    """
    for name, nothing_reads in unread.items():
        if nothing_reads and says(section, name, info):
            value = getattr(section, by)
            with_ = f"without {by}" if value is None else f"with {by}: {value}"
            how = f"set {by}" if value is None else f"take a {by} that reads it"
            raise ValueError(f"{name} has no effect {with_}; remove it, or {how}")
