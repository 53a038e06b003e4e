"""The record of an opening of the sealed test split: a line of the ledger, ``runs/test_ledger.jsonl``."""

from __future__ import annotations

from typing import Literal

import msgspec

from staytrue.bundle import Lineage, Metric
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


def opened(lineage: Lineage) -> str:
    """How often the sealed test split was opened, when and for which runs, for people; nothing if it was not.

    >>> opened(Lineage(run="b", data_fingerprint="", project_fingerprint="", test_openings=2,
    ...                test_opened=["2024-01-01", "2024-01-02"], test_opened_for=["a", ""]))
    'opened 2 times: on 2024-01-01 for run a, on 2024-01-02'
    """
    if not lineage.test_openings:
        return ""
    often = "once" if lineage.test_openings == 1 else f"{lineage.test_openings} times"
    runs = [*lineage.test_opened_for, *[""] * len(lineage.test_opened)]
    each = [
        f"on {time}" + (f" for run {run}" if run else "") for time, run in zip(lineage.test_opened, runs, strict=False)
    ]
    return f"opened {often}" + (f": {', '.join(each)}" if each else "")
