"""The record of a comparison of runs, ``comparison.json``: what they differ in, and by how much, paired row by row."""

from __future__ import annotations

import msgspec

from staytrue.bundle import Metric
from staytrue.records import Record

COMPARISON = "comparison.json"


class Differences(Record, frozen=True, kw_only=True):
    """Metrics of another run minus those of the first, on some of the rows that both were judged by."""

    name: str
    """Of the slice; nothing of all rows."""
    holds: str
    """Which rows, in words."""
    rows: int
    blocks: int
    """Which are drawn whole."""
    metrics: dict[str, Metric]
    """Each with the interval of the difference; one that a run has no value of is not there."""
    verdicts: dict[str, str]
    """Of metrics of which less or more is better: better, worse or not told apart."""
    note: str = ""
    """Why there are no metrics; nothing where there are."""


class AgainstFirst(Record, frozen=True, kw_only=True):
    """One run beside the first: of all rows, then of each slice."""

    run: str
    differences: list[Differences]


class Comparison(Record, frozen=True, kw_only=True):
    """Runs side by side, the first being what the others are compared with."""

    schema: int = 1
    name: str
    runs: list[str]
    part: str
    """Of the data; rows of the sealed test split compare nothing."""
    rows: int
    blocks: int
    blocked_by: str
    """What the blocks are that are drawn whole: days, groups of the column that the split goes by, or rows."""
    settings: dict[str, list[str]]
    """Those that differ, as each run has them."""
    figures: dict[str, list[dict[str, Metric]]]
    """By part, of each run what its own evaluation says."""
    against: list[AgainstFirst]
    notes: list[str] = msgspec.field(default_factory=list)
    """What is to be known of how a run answered the rows; nothing of most."""
