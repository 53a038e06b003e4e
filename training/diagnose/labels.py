"""Noisy labels: a model that never saw them finds more of them wrong than labels usually are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from staytrue.diagnosis import Finding, Remedy, Symptom
from training.data.rows import join
from training.data.shares import wilson
from training.diagnose import remedies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.diagnose.case import Case

USUAL = 0.033
"""Share of wrong labels that well-known data sets have."""
SHOWN = 5
FOLDS = 5
SOURCE = (
    "Northcutt, Jiang and Chuang, 2021, Confident learning; Northcutt, Athalye and Mueller, 2021, Pervasive label "
    "errors in test sets (3.3% on average); interval: Wilson, 1927"
)


def find(case: Case) -> Finding | str | None:
    """Whether more labels of training and validation rows than usual are suspected, the interval taken into account."""
    if case.checkpoint.task != "classification":
        return f"it is asked of names of classes, and this is {case.checkpoint.task}"
    tables = case.whole_tables
    if isinstance(tables, str):
        return tables
    from training.data.label.suspects import suspects  # noqa: PLC0415 - it takes seconds

    rows = join([tables.train, tables.held])
    counts = dict(zip(*np.unique(rows.target.astype(str), return_counts=True), strict=True))
    rows = rows.take(np.array([counts[str(name)] >= FOLDS for name in rows.target]))
    if len(set(rows.target)) < 2:
        return f"fewer than two classes of {FOLDS} rows"
    times = [str(place) for place in range(len(rows))]
    found = suspects(times, rows.target, rows.columns, folds=FOLDS, seed=case.project.training.seed)
    share, (low, high) = len(found) / len(rows), wilson(len(found), len(rows))
    if low <= USUAL:
        return None
    shown = ", ".join(f"{one.given} (rather {one.suggested})" for one in found[:SHOWN])
    what = "share of the labels of training and validation rows that confident learning suspects"
    evidence = [Symptom(what=what, value=share, low=low, high=high, limit=f"low above {USUAL:g}")]
    told = f"{len(found)} of {len(rows)} labels are likely wrong; the least likely: {shown}"
    remedy = remedies.fitting(case, _remedies(case))
    return Finding(kind="noisy labels", summary=told, evidence=evidence, remedies=remedy, source=SOURCE)


def _remedies(case: Case) -> Iterator[Remedy]:
    yield Remedy(reason="look at the labels: `staytrue label` settles those of several annotators and lists suspects")
    if not case.project.training.regularisation.label_smoothing:
        why = "a wrong label is believed less"
        yield Remedy(setting="training.regularisation.label_smoothing", value=0.1, reason=why)
    patience = max(3, case.project.training.patience // 2)
    if patience < case.project.training.patience:
        why = "what is right is learnt first, what is wrong by heart: stop sooner"
        yield Remedy(setting="training.patience", value=patience, reason=why)
    yield from remedies.regularised(case)
