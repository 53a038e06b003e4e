"""Spacing: from when to when rows are, the usual step between them, and where it is far longer."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from staytrue.records import utc
from training.data.chapters import Chapter, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.data.chapters import Cell

FAR = 10.0
"""A pause so many times as long as nearly all others is told as a gap."""
NEARLY_ALL = 0.99
SHOWN = 5


class Gap(NamedTuple):
    """A pause between two times at which rows are. Units: Unix seconds."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.begin

    def __str__(self) -> str:
        return f"{lasting(self.seconds)} from {utc(self.begin)} to {utc(self.end)}"


def chapter(time: NDArray[np.float64]) -> Chapter:
    """What is told of the times of all rows. Shapes: [N], in order."""
    moments = np.unique(time)
    steps = np.diff(moments)
    first = [Gap(*moments[at : at + 2].tolist()) for at in np.argsort(-steps, kind="stable")[:SHOWN]]
    usual = f", usually {lasting(float(np.median(steps)))} apart" if len(steps) else ""
    rows: list[list[Cell]] = [[lasting(gap.seconds), utc(gap.begin), utc(gap.end)] for gap in first]
    return Chapter(
        title="Time",
        summary=f"{len(time)} rows at {len(moments)} times{usual}, from {utc(float(moments[0]))} to "
        f"{utc(float(moments[-1]))}.",
        tables=[Table(title="Longest pauses", columns=["pause", "after", "before"], rows=rows)] if rows else [],
        warnings=warnings_of(moments, first),
    )


def warnings_of(moments: NDArray[np.float64], first: Sequence[Gap]) -> list[str]:
    """A sentence where pauses are far longer than nearly all others: rows are missing, or nothing was measured."""
    steps = np.diff(moments)
    if not len(steps):
        return []
    longest = FAR * float(np.quantile(steps, NEARLY_ALL, method="lower"))
    count = int((steps > longest).sum())
    if not count:
        return []
    usual = lasting(float(np.median(steps)))
    more = f", the longest of {count}" if count > 1 else ""
    return [f"no rows for {first[0]}{more}, where they are usually {usual} apart: are rows missing?"]


def lasting(seconds: float) -> str:
    """A duration for people.

    >>> lasting(3600), lasting(252_000.0), lasting(0.25)
    ('1:00:00', '2 days, 22:00:00', '0.25 s')
    """
    return f"{seconds:.3g} s" if seconds < 1 else str(datetime.timedelta(seconds=round(seconds)))
