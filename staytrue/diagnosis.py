"""The record of a diagnosis, ``runs/ID/diagnosis.json``: faults of a run, each with its figures and what to try."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from staytrue.records import Record

DIAGNOSIS = "diagnosis.json"

Kind = Literal["leakage", "rate too high", "rate too low", "noisy labels", "over-fitting", "under-fitting"]


class Symptom(Record, frozen=True, kw_only=True):
    """A figure that speaks for a finding."""

    what: str
    value: float
    low: float | None = None
    """Of its 95% interval, where it has one."""
    high: float | None = None
    limit: str
    """From where on it counts."""


class Remedy(Record, frozen=True, kw_only=True):
    """Something to try: a setting of ``staytrue.yaml`` by its path and what to set it to, or advice alone."""

    setting: str = ""
    value: Any = None
    reason: str


class Finding(Record, frozen=True, kw_only=True):
    """A fault."""

    kind: Kind
    summary: str
    evidence: list[Symptom]
    remedies: list[Remedy]
    """The most promising first."""
    source: str = ""
    """Where the rule comes from."""


class Diagnosis(Record, frozen=True, kw_only=True):
    """One finished run."""

    schema: int = 1
    run: str
    findings: list[Finding]
    """The one to mend first, first."""
    looked_for: list[Kind]
    dropped: dict[str, str] = msgspec.field(default_factory=dict)
    """What the curves make suspect and rows do not bear out, with the reason."""
    not_looked_for: dict[str, str] = msgspec.field(default_factory=dict)
    """What could not be, with the reason."""
