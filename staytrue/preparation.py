"""Sections of ``staytrue.yaml`` on data: where rows come from and how they are cleaned."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from staytrue.feature import Feature
from staytrue.repairs import MissingSection, NoiseSection, OutlierSection
from staytrue.section import Section, Share

__all__ = ["CleaningSection", "DataSection", "Feature"]


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
