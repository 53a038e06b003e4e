"""The record of an opening of the sealed test split: a line of the ledger, ``runs/test_ledger.jsonl``."""

from __future__ import annotations

from typing import Literal

import msgspec

from staytrue.bundle import Metric
from staytrue.records import Record

LEDGER = "test_ledger.jsonl"


class Opening(Record, frozen=True, kw_only=True):
    """One opening, or what was seen at one. Lines from before some fields were written down lack these."""

    schema: int = 1
    event: Literal["opened", "judged"] = "opened"
    """``opened`` stands there before a row is given; ``judged``, which is no further opening, tells the figures."""
    time: str
    by: str = ""
    """User and machine."""
    model: str = ""
    run: str
    weights_sha256: str = ""
    lineage: str = ""
    """Which rows: SHA-256 of their keys, ``test_ledger/LINEAGE.keys`` beside the ledger."""
    rows: int = 0
    seal: str
    """SHA-256 of what the rows held."""
    forced: bool = False
    """Whether some of them had been opened before."""
    evaluation: dict[str, Metric] = msgspec.field(default_factory=dict)
