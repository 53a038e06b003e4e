"""Diagnosis: all faults that are looked for, the one to mend first, first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.diagnosis import DIAGNOSIS, Diagnosis, Finding, Kind
from staytrue.records import to_json, write_atomically
from training.diagnose import creep, labels, leakage, leaps, overfitting, underfitting
from training.diagnose.case import Dropped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from training.diagnose.case import Case

FAULTS: dict[Kind, Callable[[Case], Finding | Dropped | str | None]] = {
    "leakage": leakage.find,
    "rate too high": leaps.find,
    "rate too low": creep.find,
    "noisy labels": labels.find,
    "over-fitting": overfitting.find,
    "under-fitting": underfitting.find,
}
"""In this order they are to be mended: what deceives about all figures, what decides the others, what is left."""
CAUSED: dict[Kind, Kind] = {"rate too high": "under-fitting", "rate too low": "under-fitting"}
"""What follows from a fault, and is none of its own."""


def diagnose(case: Case) -> Diagnosis:
    """Look for each fault; one that is another's consequence is not told beside it."""
    findings: list[Finding] = []
    reasons: dict[str, str] = {}
    dropped: dict[str, str] = {}
    for kind, find in FAULTS.items():
        if any(CAUSED.get(one.kind) == kind for one in findings):
            reasons[kind] = "it follows from the learning rate"
            continue
        found = find(case)
        if isinstance(found, str):
            reasons[kind] = found
        elif isinstance(found, Dropped):
            dropped[kind] = found.reason
        elif found is not None:
            findings.append(found)
    looked = [kind for kind in FAULTS if kind not in reasons]
    run = case.checkpoint.run
    return Diagnosis(run=run, findings=findings, looked_for=looked, dropped=dropped, not_looked_for=reasons)


def write(diagnosis: Diagnosis, folder: Path) -> Path:
    """Put it into the run's folder."""
    path = folder / DIAGNOSIS
    write_atomically(path, to_json(diagnosis))
    return path
