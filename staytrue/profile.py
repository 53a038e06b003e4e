"""The reference profile: what a version was trained on and how it did on rows held out, for drift and quality."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from staytrue.errors import CorruptData
from staytrue.records import Record

ColumnKind = Literal["numeric", "category"]


class ReferenceColumn(Record, frozen=True, kw_only=True):
    """One input feature of the reference rows, raw, as a caller would send it."""

    name: str
    kind: ColumnKind
    values: list[float | str | None]
    """Numbers for ``numeric`` (missing: None), text for ``category``."""


class ReferenceProfile(Record, frozen=True, kw_only=True):
    """Rows in time order, with the version's own predictions. Rows of the sealed test split are never among them.

    ``split`` says of each row whether it was trained on ("train") or held out ("validation"): the null of drift is
    drawn from all, the baseline of quality from the held-out rows alone.
    """

    schema: int = 1
    columns: list[ReferenceColumn]
    time: list[float]
    """Unix seconds, ascending."""
    split: list[Literal["train", "validation"]]
    prediction: list[float | str]
    """Numbers (regression) or names of classes (classification)."""
    truth: list[float | str]
    weight: list[float] = msgspec.field(default_factory=list)
    """How much a row counted in training (1 where empty): recent rows may count for more."""

    def __post_init__(self) -> None:
        lengths = {len(self.time), len(self.split), len(self.prediction), len(self.truth)}
        lengths |= {len(column.values) for column in self.columns}
        if self.weight:
            lengths.add(len(self.weight))
        if len(lengths) != 1:
            raise CorruptData("reference profile", expected="columns of one length", got=str(sorted(lengths)))
        if any(b < a for a, b in zip(self.time, self.time[1:], strict=False)):
            raise CorruptData("reference profile", expected="rows in time order", got="time running backwards")
        if not all(map(math.isfinite, self.time)):
            raise CorruptData("reference profile", expected="finite times", got="NaN or infinity")

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return len(self.time)
