"""Sections of ``staytrue.yaml`` on data: where rows come from, how they are cleaned, and how they are split."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from staytrue.feature import Feature
from staytrue.section import Count, Section, Share

__all__ = ["CleaningSection", "DataSection", "Feature", "SplitSection"]


class DataSection(Section):
    """Where the rows come from and what their columns mean."""

    source: Path = Field(description="CSV or Parquet file, relative to staytrue.yaml")
    query: str = Field(default="SELECT * FROM source", description="DuckDB SQL over `source`: choose, derive, filter")
    time: str = Field(description="column with the time of each row (a timestamp or an ISO 8601 text)")
    target: str = Field(description="column to predict")
    features: dict[str, Feature] = Field(min_length=1, description="input columns, in the order of the model's inputs")


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
