"""Sections of ``staytrue.yaml`` on data: where rows come from and how they are cleaned."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from staytrue.repairs import MissingSection, NoiseSection, OutlierSection
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

    source: Path = Field(description="CSV or Parquet file, relative to staytrue.yaml")
    query: str = Field(default="SELECT * FROM source", description="DuckDB SQL over `source`: choose, derive, filter")
    time: str = Field(description="column with the time of each row (a timestamp or an ISO 8601 text)")
    target: str = Field(description="column to predict")
    features: dict[str, Feature] = Field(min_length=1, description="input columns, in the order of the model's inputs")


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
    noise: NoiseSection = NoiseSection()
