"""The section ``evaluation`` of ``staytrue.yaml``: which rows are also judged by themselves."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from staytrue.section import Count, Section


def _or_condition(schema: dict[str, Any]) -> None:
    """Let an editor know that a condition may stand alone."""
    schema["additionalProperties"] = {"anyOf": [schema["additionalProperties"], {"type": "string"}]}


class SliceSection(Section):
    """A slice for each value of a column, or one of the rows for which a condition holds."""

    column: str | None = Field(
        default=None,
        description="any that the query gives, feature or not, with one value a row; numbers and times are cut at "
        "the quartiles of the rows that train; unset: the column of the slice's name",
    )
    where: str | None = Field(
        default=None, description='instead: DuckDB SQL over such columns; `night: "hour >= 22 or hour < 6"` for short'
    )
    values: Count = Field(default=10, description="of `column`: the most frequent ones, others are one slice together")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.column is not None and self.where is not None:
            raise ValueError("a slice is of a column or of the rows where a condition holds: one of them")
        return self


class EvaluationSection(Section):
    """Which rows are also judged by themselves (docs/evaluation.md)."""

    slices: dict[str, SliceSection] = Field(
        default={}, json_schema_extra=_or_condition, description="by name: a column's values, or a condition as text"
    )
    minimum_rows: Count = Field(default=30, description="of a slice; one of fewer is told of without metrics")

    @field_validator("slices", mode="before")
    @classmethod
    def _conditions(cls, given: Any) -> Any:
        """Take a text for a condition, and nothing for the column of the name."""
        if not isinstance(given, dict):
            return given
        spelt = {name: {"where": value} if isinstance(value, str) else value for name, value in given.items()}
        return {name: {} if value is None else value for name, value in spelt.items()}
