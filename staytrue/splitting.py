"""The section ``split`` of ``staytrue.yaml``: how rows become training, validation and test."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, ValidationInfo, model_validator

from staytrue.section import Count, Positive, Section, Share, refuse_unread

Method = Literal["blocks", "random", "stratified", "grouped", "time", "given"]
Leakage = Literal["duplicates", "near_duplicates", "groups", "time"]
"""What two parts may share although they should not."""

READERS: dict[str, set[Method]] = {
    "block_days": {"blocks"},
    "bins": {"stratified"},
    "seed": {"random", "stratified", "grouped"},
    "test": {"blocks", "random", "stratified", "grouped", "time"},
}
"""Methods that read a setting; with others it has no effect."""


class SplitSection(Section):
    """How rows become training, validation and test."""

    method: Method = Field(
        default="blocks",
        description="blocks: whole blocks of time, spread over the span; random; stratified: by class, or by quantiles "
        "of a numeric target; grouped: whole groups of `group`; time: oldest rows train, newest test; given: `column`",
    )
    block_days: Count = Field(default=7, description="rows of one block stay together: neighbours in time are alike")
    validation: Share = Field(
        default=0.2, description="share of rows for early stopping and the quality baseline; of newly labelled rows too"
    )
    test: Share = Field(default=0.1, description="share of rows sealed until the final evaluation")
    seed: int = Field(default=0, ge=0, description="of what is drawn: the same seed deals the same rows alike")
    bins: Count = Field(default=10, description="quantile bins that a numeric target is stratified by")
    group: str | None = Field(
        default=None, description="column that names whose row it is; a group in two parts fails the run"
    )
    column: str | None = Field(default=None, description="column that holds train, validation or test (method given)")
    near_distance: Positive = Field(
        default=0.02,
        description="near duplicates: numbers, patches of pictures and parts of sequences within so many deviations, "
        "by the root of the mean square, all else alike",
    )
    allow: list[Leakage] = Field(
        default=[], description="leakage that does not fail the run; the report and the model card tell of it"
    )

    @model_validator(mode="after")
    def _something_trains(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation {self.validation:g} and test {self.test:g} leave nothing to train on: below 1 together"
            )
        return self

    @model_validator(mode="after")
    def _method_has_its_column(self) -> Self:
        if self.method == "grouped" and self.group is None:
            raise ValueError("method grouped needs group: the column that names whose row it is")
        if (self.method == "given") != (self.column is not None):
            raise ValueError("method given needs column: the one that holds train, validation or test; no other does")
        return self

    @model_validator(mode="after")
    def _method_reads_them(self, info: ValidationInfo[object]) -> Self:
        refuse_unread(self, {name: self.method not in methods for name, methods in READERS.items()}, info)
        if "time" in self.allow and self.method not in {"time", "given"}:
            raise ValueError(
                f"allow: [time] has no effect with method: {self.method}, where times may overlap; remove it"
            )
        if "groups" in self.allow and self.group is None:
            raise ValueError("allow: [groups] has no effect without group; remove it, or name the column of groups")
        return self

    @property
    def marks(self) -> list[str]:
        """Columns that the split goes by."""
        return [name for name in (self.group, self.column) if name is not None]
