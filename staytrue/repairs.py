"""Sections of ``staytrue.yaml`` on repairs: missing values, outliers and noise of the rows that train."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, model_validator

from staytrue.section import Count, Filling, Positive, Section, refuse_unread

FillMethod = Literal["keep", "drop_rows", "mean", "median", "mode", "constant", "knn", "iterative"]


class FillSection(Section):
    """What becomes of the missing values of one column."""

    method: FillMethod = Field(description="as missing.method, for this column alone")
    value: Filling | None = Field(default=None, description="what constant fills in")

    @model_validator(mode="after")
    def _constant_has_a_value(self) -> Self:
        if (self.method == "constant") != (self.value is not None):
            raise ValueError("method constant needs a value, and no other method takes one")
        return self


class MissingSection(FillSection):
    """What becomes of missing values."""

    method: FillMethod = Field(
        default="keep",
        description="of every column that it suits. keep: median or the unknown category; mean, median, mode and "
        "constant fill in the exported graph too; drop_rows, knn and iterative change training rows alone",
    )
    columns: dict[str, FillSection] = Field(default={}, description="columns that go another way")
    neighbours: Count = Field(default=5, description="rows that knn takes the mean of")
    rounds: Count = Field(default=10, description="of iterative, at most")
    donors: Count = Field(default=10_000, description="training rows that knn and iterative learn from, at most")

    @model_validator(mode="after")
    def _numbers_are_read(self, info: ValidationInfo[object]) -> Self:
        methods = {self.method, *(way.method for way in self.columns.values())}
        readers = {"neighbours": {"knn"}, "rounds": {"iterative"}, "donors": {"knn", "iterative"}}
        refuse_unread(self, {name: not methods & those for name, those in readers.items()}, info)
        return self


class OutlierSection(Section):
    """Which numbers lie too far out, and what becomes of them."""

    method: Literal["none", "zscore", "robust_z", "iqr", "isolation_forest"] = Field(
        default="none", description="how they are found, by bounds learnt from the training rows"
    )
    threshold: Positive | None = Field(
        default=None,
        description="deviations (unset: 3, robust 3.5), interquartile ranges (1.5), or the share of rows that "
        "isolation_forest flags (unset: its own score decides)",
    )
    action: Literal["drop", "clip", "mark", "missing"] = Field(
        default="mark",
        description="drop the training row, clip to the bounds (in the exported graph too), mark it in the report "
        "alone, or set the training value missing",
    )
    columns: list[str] = Field(default=[], description="numeric features to look at; none named: all")
    trees: Count = Field(default=100, description="of isolation_forest")
    seed: int = Field(default=0, description="of isolation_forest")

    @model_validator(mode="after")
    def _threshold_is_a_share(self, info: ValidationInfo[object]) -> Self:
        if self.method == "isolation_forest" and self.threshold is not None and self.threshold > 0.5:
            raise ValueError("threshold of isolation_forest is a share of rows, at most 0.5")
        off, forest = self.method == "none", self.method == "isolation_forest"
        unread = dict.fromkeys(("threshold", "action", "columns"), off) | dict.fromkeys(("trees", "seed"), not forest)
        refuse_unread(self, unread, info)
        return self


class TargetSection(Section):
    """Which numbers of the target lie too far out among the training rows, and what becomes of them."""

    method: Literal["none", "zscore", "robust_z", "iqr"] = Field(
        default="none", description="as of outliers, for the target of a regression; learnt from the training rows"
    )
    threshold: Positive | None = Field(default=None, description="as of outliers")
    action: Literal["drop", "clip", "mark"] = Field(
        default="mark",
        description="drop the training row, clip its target to the bounds, or mark it in the report alone; the targets "
        "of validation, test and later labels are never changed",
    )

    @model_validator(mode="after")
    def _method_reads_them(self, info: ValidationInfo[object]) -> Self:
        refuse_unread(self, dict.fromkeys(("threshold", "action"), self.method == "none"), info)
        return self


class NoiseSection(Section):
    """How series and signals among the training rows are smoothed."""

    method: Literal["none", "rolling_median", "rolling_mean", "savitzky_golay", "hampel"] = Field(
        default="none",
        description="filter over the training rows in time order, whose validation, test and callers' values stay as "
        "they come; of sequences over the steps of each, in the exported graph",
    )
    window: Annotated[int, Field(ge=2)] = Field(default=5, description="rows or steps that a filter sees at once")
    columns: list[str] = Field(default=[], description="numeric features and sequences to smooth; they must be named")
    by: str | None = Field(
        default=None,
        description="column that names whose series a row is, such as a sensor: each is filtered by itself",
    )
    centred: bool = Field(
        default=False, description="windows reach as far into the future as into the past; else they end with their row"
    )
    order: Count = Field(default=2, description="of Savitzky-Golay's polynomial")
    threshold: Positive = Field(default=3.0, description="robust deviations beyond which hampel puts the median")

    @model_validator(mode="after")
    def _window_fits(self, info: ValidationInfo[object]) -> Self:
        if self.method != "none" and not self.columns:
            raise ValueError("columns must name what is a series: smoothing a code or a date would spoil it")
        if self.method == "savitzky_golay" and self.order >= self.window:
            raise ValueError(f"order {self.order} needs a window of more than {self.order} rows")
        if self.centred and self.window % 2 == 0:
            raise ValueError("a centred window has an odd number of rows")
        unread = dict.fromkeys(("window", "columns", "by", "centred"), self.method == "none")
        refuse_unread(
            self, unread | {"order": self.method != "savitzky_golay", "threshold": self.method != "hampel"}, info
        )
        return self
