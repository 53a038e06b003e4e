"""Schema: the file ``schema.yaml``, which says what each column must be; written with comments, read with lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

import yaml
from pydantic import Field, ValidationInfo, field_validator, model_validator

from staytrue import yamlfile
from staytrue.records import write_atomically
from staytrue.section import Name, Section

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Kind = Literal["number", "whole number", "text", "time", "picture", "sequence"]
_HINT = "`staytrue prepare` writes one"
_HEAD = """\
# What each column of the data must be. Inferred: look it over, correct it, and set data.schema_file in staytrue.yaml;
# every load is then checked against it. `missing` says whether values may be missing; a line that is left out
# (minimum, maximum, categories) is not checked.
"""
_GAPS = "missing: true lets rows without a value pass, false makes each of them a violation"


class ColumnSchema(Section):
    """What one column must be."""

    type: Kind = Field(description="number, whole number, text, time, picture or sequence")
    unit: str = Field(default="", description="of its values, for people")
    missing: bool = Field(default=False, description="whether values may be missing")
    minimum: float | None = Field(default=None, description="smallest value allowed")
    maximum: float | None = Field(default=None, description="largest value allowed")
    categories: list[Name] | None = Field(default=None, description="the values allowed")

    @field_validator("categories")
    @classmethod
    def _texts_are_quoted(cls, found: list[str | int] | None, info: ValidationInfo) -> list[str | int] | None:
        number = next((value for value in found or [] if isinstance(value, int)), None)
        if info.data.get("type") == "text" and number is not None:
            raise ValueError(f"{number} is a number, and the column a text: put it in quotes, as it is written there")
        return found

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum:g} is above maximum {self.maximum:g}")
        if "number" not in self.type and (self.minimum is not None or self.maximum is not None):
            raise ValueError(f"a {self.type} has neither minimum nor maximum")
        if self.type in {"time", "picture", "sequence"} and self.categories is not None:
            raise ValueError(f"a {self.type} has no categories")
        return self


class Schema(Section):
    """What the columns must be."""

    columns: dict[str, ColumnSchema] = Field(min_length=1, description="column to what it must be")


def read(path: Path) -> Schema:
    """Read a schema.

    Raises:
        InvalidConfig: unreadable, not YAML, an unknown key, a wrong value: says file, line, expected and got.
    """
    return yamlfile.read(Schema, path, _HINT)[0]


def write(schema: Schema, path: Path, notes: Mapping[str, str] | None = None) -> None:
    """Write a schema for people to review; ``notes`` stand above their columns."""
    parts = [_HEAD, "columns:"]
    for name, column in schema.columns.items():
        note = (notes or {}).get(name)
        values = column.model_dump(exclude_none=True, exclude_defaults=True) | {"missing": column.missing}
        order = [key for key in ColumnSchema.model_fields if key in values]
        text = yaml.safe_dump(
            {name: {key: values[key] for key in order}},
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=None,
            width=116,
        )
        parts += [f"  # {note}"] if note else []
        parts += [f"  # {_GAPS}"] if column.missing else []
        parts += [f"  {line}" for line in text.splitlines()]
    write_atomically(path, ("\n".join(parts) + "\n").encode())
