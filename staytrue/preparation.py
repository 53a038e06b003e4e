"""Sections of ``staytrue.yaml`` on data: where rows come from and how they are cleaned."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from staytrue.collection import JoinSection, SourceSection
from staytrue.feature import Feature
from staytrue.repairs import MissingSection, NoiseSection, OutlierSection, TargetSection
from staytrue.section import Section, Share, refuse_unread

LEAST_MEMORY_KB = 16_000.0
"""Of less DuckDB cannot give each of its threads a block."""


class DataSection(Section):
    """Where the rows come from and what their columns mean."""

    source: Path | None = Field(default=None, description="CSV or Parquet file, relative to staytrue.yaml")
    sources: dict[str, SourceSection] = Field(default={}, description="instead of `source`: tables by name")
    join: list[JoinSection] = Field(default=[], description="how they become one table, in this order")
    query: str = Field(default="SELECT * FROM source", description="DuckDB SQL over `source`: choose, derive, filter")
    time: str = Field(description="column with the time of each row (a timestamp or an ISO 8601 text)")
    target: str | list[str] = Field(
        description="column to predict; a list of columns for several numbers, or for the labels of task multilabel"
    )
    features: dict[str, Feature] = Field(min_length=1, description="input columns, in the order of the model's inputs")
    max_bad_rows: float = Field(
        default=0, ge=0, lt=1, description="largest share of unreadable rows to set aside; any fails where it is 0"
    )
    quarantine: Path = Field(default=Path("quarantine.csv"), description="file of the rows set aside, with the reasons")
    schema_file: Path | None = Field(
        default=None, description="file of what the columns must be (docs/collect.md), checked on every load"
    )
    memory: str = Field(
        default="1GiB",
        pattern=r"^\d+(\.\d+)? ?[KMGT]i?B$",
        description="what DuckDB may hold; more goes to disk, and so do the columns beyond a quarter of it",
    )

    @field_validator("memory")
    @classmethod
    def _memory_suffices(cls, memory: str) -> str:
        number, power = memory[:-1].rstrip("iKMGT").strip(), memory.rstrip("iB")[-1]
        if float(number) * 1000.0 ** "KMGT".index(power) < LEAST_MEMORY_KB:
            raise ValueError(
                f"memory {memory} is too little to read anything with: at least {LEAST_MEMORY_KB / 1000:g}MB"
            )
        return memory

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if (self.source is None) == (not self.sources):
            raise ValueError("source or sources says where the rows are: one of them")
        if len(set(self.targets)) < len(self.targets) or not all(self.targets) or not self.targets:
            raise ValueError("target names a column, or several, each once")
        if self.join and not self.sources:
            raise ValueError("join needs sources")
        unfit = [name for name in self.sources if not name.isidentifier() or name.startswith("_")]
        if unfit or (self.join and "source" in self.sources):
            name = unfit[0] if unfit else "source"
            raise ValueError(
                f'a source cannot be called "{name}": letters, digits and underscores, as the query says it'
            )
        return self

    @property
    def targets(self) -> list[str]:
        """The columns to predict."""
        return [self.target] if isinstance(self.target, str) else self.target

    @property
    def goal(self) -> str:
        """What is predicted, for people."""
        return ", ".join(self.targets)

    @property
    def place(self) -> str:
        """What the rows come from, for people."""
        return self.source.name if self.source else ", ".join(self.sources)

    def identity(self) -> dict[str, Any]:
        """What decides which rows there are: neither where files lie nor how much memory reading them takes.

        A schema decides it only where bad rows may be set aside; else it lets all of them pass or none. It then counts
        as a source does, by its name: what is in the file tells in the digest of the rows that it let pass.
        """
        parts = self.model_dump(mode="json", exclude={"memory", "quarantine", "schema_file"})
        parts["source"] = self.source.name if self.source else None
        if self.schema_file and self.max_bad_rows:
            parts["schema_file"] = self.schema_file.name
        for name, source in self.sources.items():
            parts["sources"][name] |= source.told_apart() | {"path": source.path.name if source.path else None}
        for name, feature in self.features.items():
            del parts["features"][name]["description"]  # words decide nothing
            told, file = parts["features"][name].pop("tokenizer"), feature.tokenizer.file
            if feature.tokenizer:
                parts["features"][name]["tokenizer"] = told | {"file": file.name if file else None}
        absent: dict[str, Any] = {"source": None, "sources": {}, "join": [], "max_bad_rows": 0}
        return {key: value for key, value in parts.items() if key not in absent or value != absent[key]}

    def within(self, base: Path) -> DataSection:
        """With absolute paths."""
        sources = {
            name: source.model_copy(update={"path": base / source.path} if source.path else {})
            for name, source in self.sources.items()
        }
        features = {name: feature.within(base) for name, feature in self.features.items()}
        files = {"source": self.source, "schema_file": self.schema_file, "quarantine": self.quarantine}
        placed = {key: base / path for key, path in files.items() if path is not None}
        return self.model_copy(update={"sources": sources, "features": features, **placed})


class CleaningSection(Section):
    """What is done to the rows before they are split, and to those that train after it."""

    duplicates: Literal["drop", "keep", "fail"] = Field(default="drop", description="rows alike in every column")
    missing_target: Literal["drop", "fail"] = Field(default="drop", description="rows without a target")
    missing_features: Literal["impute", "drop", "fail"] = Field(
        default="impute", description="impute: median or the unknown category, inside the exported graph"
    )
    max_dropped: Share = Field(default=0.2, description="a larger share of rows dropped fails the run")
    max_missing_column: Share | None = Field(
        default=None, description="a feature that lacks more of its values among the training rows is sparse"
    )
    on_sparse_column: Literal["fail", "drop"] = Field(
        default="fail", description="drop: the model is made without sparse features, and callers do not send them"
    )
    max_missing_row: Share | None = Field(
        default=None, description="training rows that lack a larger share of their features are dropped"
    )
    missing: MissingSection = MissingSection()
    outliers: OutlierSection = OutlierSection()
    target: TargetSection = TargetSection()
    noise: NoiseSection = NoiseSection()

    @model_validator(mode="after")
    def _sparse_columns_are_looked_for(self, info: ValidationInfo[object]) -> Self:
        refuse_unread(self, {"on_sparse_column": self.max_missing_column is None}, info, by="max_missing_column")
        return self
