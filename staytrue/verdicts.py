"""A retraining job, and the verdict on the challenger that it made."""

from __future__ import annotations

from typing import Literal

import msgspec

from staytrue.records import Record

JobState = Literal["queued", "running", "succeeded", "failed"]


class RetrainJob(Record, frozen=True, kw_only=True):
    """One retraining, from the alert to the verdict. Monitoring writes it to a file, training reads it there."""

    schema: int = 1
    id: str
    model: str
    state: JobState = "queued"
    trigger: str
    """What started it, for people: the alert's summary."""
    fingerprints: list[str] = msgspec.field(default_factory=list)
    champion: str
    """The version that was champion when the job was created."""
    event_time: float
    """Event time of the trigger; the job learns nothing from later rows."""
    created: float
    """Unix seconds, wall clock."""
    started: float = 0.0
    finished: float = 0.0
    pid: int = 0
    error: str = ""
    log: str = ""
    """File that holds what the job printed."""


class Verdict(Record, frozen=True, kw_only=True):
    """Champion against challenger on rows that neither was trained on, paired row by row."""

    schema: int = 1
    job: str
    model: str
    champion: str
    challenger: str
    metric: str
    rows: int
    blocks: int
    champion_error: float
    challenger_error: float
    difference: float
    """Challenger minus champion: negative is better."""
    low: float
    high: float
    """Interval of the difference, by a block bootstrap."""
    confidence: float
    promote: bool
    reason: str
    decided: float
    """Event time, Unix seconds."""
    slices: dict[str, float] = msgspec.field(default_factory=dict)
    """Difference by slice, where floors per slice are set."""

    def figures(self) -> dict[str, float]:
        """What was decided on, for the store's journal."""
        return {
            "champion_error": self.champion_error,
            "challenger_error": self.challenger_error,
            "difference": self.difference,
            "low": self.low,
            "high": self.high,
            "rows": float(self.rows),
        }
