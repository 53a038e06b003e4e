"""The record of an opening of the sealed test split: a line of the ledger, ``runs/test_ledger.jsonl``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from staytrue.bundle import Metric
from staytrue.records import Record

if TYPE_CHECKING:
    from staytrue.lineage import Lineage

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

    >>> from staytrue.lineage import Lineage
    >>> opened(Lineage(run="b", data_fingerprint="", project_fingerprint="", test_openings=2,
    ...                test_opened=["2024-01-01", "2024-01-02"], test_opened_for=["a", ""]))
    'opened 2 times: on 2024-01-01 for run a, on 2024-01-02'
    """
    if not lineage.test_openings:
        return ""
    often = "once" if lineage.test_openings == 1 else f"{lineage.test_openings} times"
    none = [""] * len(lineage.test_opened)
    runs, models = [*lineage.test_opened_for, *none], [*lineage.test_opened_by_time, *none]
    each = [
        f"on {time}" + (f" for run {run}" if run else "") + (f" of {model} by their times alone" if model else "")
        for time, run, model in zip(lineage.test_opened, runs, models, strict=False)
    ]
    return f"opened {often}" + (f": {', '.join(each)}" if each else "")


def perhaps_others(lineage: Lineage) -> str:
    """What to know and to do where openings may be of other data; nothing where none may be.

    >>> from staytrue.lineage import Lineage
    >>> made = Lineage(run="b", data_fingerprint="", project_fingerprint="", test_opened_by_time=["", "cars"])
    >>> perhaps_others(made)[:75]
    'Rows of the same times count as the same: if cars is of other data, its ope'
    """
    models = list(dict.fromkeys(filter(None, lineage.test_opened_by_time)))
    if not models:
        return ""
    whose = f"if {' or '.join(models)} is of other data, its opening showed nothing of these rows"
    own = (
        "Models of other data take a folder of runs each (retraining.runs); a run trained there has a ledger of its own"
    )
    return f"Rows of the same times count as the same: {whose}. {own}."
