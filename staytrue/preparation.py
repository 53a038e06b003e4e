"""Sections of ``staytrue.yaml`` on data: where rows come from, how they are cleaned, and how they are split."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from staytrue.collection import JoinSection, SourceSection
from staytrue.section import Count, Section, Share

_SENT: dict[str, tuple[Literal["FP32", "INT64", "UINT8", "BYTES"], ...]] = {
    "numeric": ("FP32", "INT64"),
    "category": ("BYTES", "INT64"),
    "image": ("UINT8", "FP32"),
}
"""Datatypes that each kind of feature may be sent as, the usual one first."""


class Feature(Section):
    """One input column."""

    kind: Literal["numeric", "category", "image"] = Field(
        description="numeric is scaled, category is one-hot encoded, image is normalised by channel"
    )
    datatype: Literal["FP32", "INT64", "UINT8", "BYTES"] | None = Field(
        default=None, description="what callers send: by default FP32 for numeric, BYTES for category, UINT8 for image"
    )
    shape: list[Count] = Field(default=[], description="of one image: channels, height, width; its values row by row")
    unit: str = Field(default="", description="unit, shown in the model's metadata")

    @model_validator(mode="after")
    def _kind_fits_datatype(self) -> Self:
        if self.sent_as not in _SENT[self.kind]:
            raise ValueError(f"kind {self.kind} cannot be sent as {self.datatype}")
        if (self.kind == "image") != (len(self.shape) == 3):
            raise ValueError("an image needs shape: [channels, height, width], and nothing else has one")
        return self

    @property
    def sent_as(self) -> Literal["FP32", "INT64", "UINT8", "BYTES"]:
        """The datatype that callers send."""
        return self.datatype or _SENT[self.kind][0]


class DataSection(Section):
    """Where the rows come from and what their columns mean."""

    source: Path | None = Field(default=None, description="CSV or Parquet file, relative to staytrue.yaml")
    sources: dict[str, SourceSection] = Field(default={}, description="instead of `source`: tables by name")
    join: list[JoinSection] = Field(default=[], description="how they become one table, in this order")
    query: str = Field(default="SELECT * FROM source", description="DuckDB SQL over `source`: choose, derive, filter")
    time: str = Field(description="column with the time of each row (a timestamp or an ISO 8601 text)")
    target: str = Field(description="column to predict")
    features: dict[str, Feature] = Field(min_length=1, description="input columns, in the order of the model's inputs")
    max_bad_rows: float = Field(
        default=0, ge=0, lt=1, description="largest share of unreadable rows to set aside; any fails where it is 0"
    )
    quarantine: Path = Field(default=Path("quarantine.csv"), description="file of the rows set aside, with the reasons")
    schema_file: Path | None = Field(
        default=None, description="file of what the columns must be (docs/collect.md), checked on every load"
    )
    memory: str = Field(
        default="1GiB", pattern=r"^\d+(\.\d+)? ?[KMGT]i?B$", description="what DuckDB may hold; more goes to disk"
    )

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if (self.source is None) == (not self.sources):
            raise ValueError("source or sources says where the rows are: one of them")
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
    def place(self) -> str:
        """What the rows come from, for people."""
        return self.source.name if self.source else ", ".join(self.sources)

    def identity(self) -> dict[str, Any]:
        """What decides which rows there are: neither where files lie nor how much memory reading them takes."""
        parts = self.model_dump(mode="json", exclude={"memory", "quarantine", "schema_file"})
        parts["source"] = self.source.name if self.source else None
        for name, source in self.sources.items():
            parts["sources"][name]["path"] = source.path.name if source.path else None
        absent: dict[str, Any] = {"source": None, "sources": {}, "join": [], "max_bad_rows": 0}
        return {key: value for key, value in parts.items() if key not in absent or value != absent[key]}

    def within(self, base: Path) -> DataSection:
        """With absolute paths."""
        sources = {
            name: source.model_copy(update={"path": base / source.path} if source.path else {})
            for name, source in self.sources.items()
        }
        files = {"source": self.source, "schema_file": self.schema_file, "quarantine": self.quarantine}
        placed = {key: base / path for key, path in files.items() if path is not None}
        return self.model_copy(update={"sources": sources, **placed})


class CleaningSection(Section):
    """What is done to the rows before they are split."""

    duplicates: Literal["drop", "keep", "fail"] = Field(default="drop", description="rows alike in every column")
    missing_target: Literal["drop", "fail"] = Field(default="drop", description="rows without a target")
    missing_features: Literal["impute", "drop", "fail"] = Field(
        default="impute", description="impute: median or the unknown category, inside the exported graph"
    )
    max_dropped: Share = Field(default=0.2, description="a larger share of rows dropped fails the run")


class SplitSection(Section):
    """How rows become training, validation and test, by whole blocks of time."""

    block_days: Count = Field(default=7, description="rows of one block stay together: neighbours in time are alike")
    validation: Share = Field(default=0.2, description="share of blocks for early stopping and the quality baseline")
    test: Share = Field(default=0.1, description="share of blocks sealed until the final evaluation")

    @model_validator(mode="after")
    def _something_trains(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation {self.validation:g} and test {self.test:g} leave nothing to train on: below 1 together"
            )
        return self
