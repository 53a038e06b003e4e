"""Sections of ``staytrue.yaml`` on where rows come from: the sources of a project and how they are joined."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_serializer, field_validator, model_validator

from staytrue.addresses import MASK, has_password, is_secret, masked
from staytrue.section import Option, Section

Format = Literal["csv", "tsv", "parquet", "json", "excel", "sqlite", "postgresql", "images", "texts"]


class SourceSection(Section):
    """One source of rows: a path, an address, or a factory in Python. A text alone is its path or address."""

    path: Path | None = Field(
        default=None, description="file, folder, or pattern such as `days/*.csv`, relative to staytrue.yaml"
    )
    url: str | None = Field(
        default=None,
        repr=False,
        description="address that fsspec opens (`s3://`, `https://`), or `postgresql://` of a database",
    )
    factory: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="`package.module:function` that returns an Arrow table, batches of one, or a dict of arrays",
    )
    format: Format | None = Field(default=None, description="what it is, where the suffix does not say")
    table: str = Field(default="", description="sheet of a workbook (default: the first), or table of a database")
    query: str = Field(default="", description="SQL for a database to answer, in place of a table")
    columns: dict[str, str] = Field(
        default={}, description="column to DuckDB type, where the file leaves doubt: `{day: DATE, price: DOUBLE}`"
    )
    pictures: str = Field(default="", description="column of paths whose pictures are read into a column `image`")
    options: dict[str, Option] = Field(
        default={},
        repr=False,
        description="for the reader: DuckDB's of that format (`delim`, `dateformat`), fsspec's, a factory's arguments",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str | Path):
            return {"url": value} if "://" in str(value) else {"path": value}
        return value

    @field_validator("url")
    @classmethod
    def _no_password(cls, value: str | None) -> str | None:
        if value is not None and has_password(value):
            raise ValueError("an address with a password: keep it in ~/.pgpass, or in the driver's own settings")
        return value

    @field_serializer("url", when_used="json")
    def _shown_address(self, value: str | None) -> str | None:
        return None if value is None else masked(value)

    @field_serializer("options", when_used="json")
    def _shown_options(self, value: dict[str, Option]) -> dict[str, Option]:
        return {key: MASK if is_secret(key) else _shown(option) for key, option in value.items()}

    def told_apart(self) -> dict[str, Any]:
        """Address and options that tell this source from others: a digest stands for what may not be shown."""
        shown = self.model_dump(mode="json", include={"url", "options"})
        if shown["url"] != self.url:
            shown["url"] += _digest(self.url)
        for key, value in self.options.items():
            if shown["options"][key] != value:
                shown["options"][key] = _digest(value)
        return shown

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(place is not None for place in (self.path, self.url, self.factory)) != 1:
            raise ValueError("one of path, url and factory says where a source is")
        if self.table and self.query:
            raise ValueError("a table or a query, not both")
        return self


def _digest(value: object) -> str:
    return hashlib.sha256(str(value).encode()).hexdigest()


def _shown(option: Option) -> Option:
    if isinstance(option, list):
        return [masked(part) for part in option]
    return masked(option) if isinstance(option, str) else option


class JoinSection(Section):
    """Two sources become one, called ``source`` for the joins after it and for ``data.query``."""

    left: str = Field(default="", description="source that keeps its rows (default: what the joins before gave)")
    right: str = Field(description="source that is joined or appended")
    key: list[str] = Field(default=[], description="columns that both have; may be left out to append")
    how: Literal["inner", "left", "append"] = Field(
        default="left", description="rows with a match alone, all of the left, or both one below the other"
    )

    @model_validator(mode="after")
    def _has_key(self) -> Self:
        if not self.key and self.how != "append":
            raise ValueError(f"how: {self.how} needs a key: [column]")
        return self
