"""The base of all sections of ``staytrue.yaml``, and the kinds of numbers in them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_LARGEST = 3.4e38


def _held(value: float) -> float:
    if abs(value) > _LARGEST:
        raise ValueError(f"FP32 holds numbers up to {_LARGEST:g}")
    return value


Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Single = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_held)]
"""A number that FP32 holds."""
Option = str | int | float | bool | list[str] | list[int]
"""What a function of somebody else's may be called with."""


class Section(BaseModel):
    """Base of all sections."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)
