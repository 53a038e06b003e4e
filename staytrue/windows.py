"""One look of the analyst: the rows of a span of event time, what was checked and what was found."""

from __future__ import annotations

from typing import Literal

import msgspec

from staytrue.records import Record

Sufficiency = Literal["sufficient", "insufficient"]


class Check(Record, frozen=True, kw_only=True):
    """A verdict on the data itself, before any statistics."""

    name: str
    """``schema``, ``missing``, ``infinite``, ``new_category``, ``constant``, ``range``, ``volume`` …"""
    column: str = ""
    verdict: Literal["ok", "warn", "fail"]
    detail: str = ""
    value: float = 0.0


class Evidence(Record, frozen=True, kw_only=True):
    """How far one detector is towards its alarm on one feature: 1.0 is the threshold that the budget sets."""

    detector: str
    feature: str
    evidence: float
    statistic: float = 0.0
    p_value: float | None = None
    sufficiency: Sufficiency = "sufficient"
    detail: str = ""


class Quality(Record, frozen=True, kw_only=True):
    """Performance on the rows of the window whose labels are there."""

    metric: str
    value: float
    baseline: float
    evidence: float
    """1.0 is the threshold that the budget sets."""
    rows: int
    coverage: float
    """Share of the window's rows that have a label."""
    delay_seconds: float = 0.0
    """Median time from event to label."""
    sufficiency: Sufficiency = "sufficient"


class Window(Record, frozen=True, kw_only=True):
    """What one look found, for one version of one model."""

    schema: int = 1
    model: str
    version: str
    start: float
    end: float
    """Event time, Unix seconds; the look is taken when the watermark passes ``end``."""
    rows: int
    failures: int = 0
    """Requests of the span that failed; they carry no outputs and enter no statistic."""
    checks: list[Check] = msgspec.field(default_factory=list)
    drift: list[Evidence] = msgspec.field(default_factory=list)
    quality: Quality | None = None
    note: str = ""

    @property
    def drift_evidence(self) -> float:
        """The largest sufficient evidence of drift; 0 where there is none."""
        return max((item.evidence for item in self.drift if item.sufficiency == "sufficient"), default=0.0)
