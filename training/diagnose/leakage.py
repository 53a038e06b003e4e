"""Leakage suspected: one feature alone tells the truth, or parts share rows that a setting let through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.diagnosis import Finding, Remedy, Symptom
from training.diagnose.case import noted

if TYPE_CHECKING:
    from training.diagnose.case import Case

ALONE = 0.95
"""Of what there is to learn, that one feature tells by itself."""
MOST_FEATURES = 100
SOURCE = "Kaufman, Rosset, Perlich and Stitelman, 2012, Leakage in data mining"


def find(case: Case) -> Finding | str | None:
    """Features by whose value alone a tree tells nearly all of the truth of validation rows, for certain."""
    through = case.checkpoint.lineage.let_through
    tables = case.tables
    if tables is not None and not tables.tells:
        tables = None
    if tables is None and not through:
        where = "rows are tables, and those of validation differ in their truth and are of two blocks at least"
        return f"features are tried alone where {where}; and split.allow let nothing through"
    evidence, names, seed = [], [], case.project.training.seed
    features = {} if tables is None or len(tables.train.columns) < 2 else tables.train.columns
    for name in [name for name, column in features.items() if column.ndim == 1][:MOST_FEATURES]:
        assert tables is not None  # noqa: S101 - there are features
        left = tables.mean(tables.misses(tables.tree(name, seed)), seed)
        if 1 - left.high > ALONE:
            names.append(name)
            what = f"of what there is to learn, what {name} alone tells a tree of validation rows"
            limit = noted(f"low above {ALONE:g}", left.note)
            evidence.append(Symptom(what=what, value=1 - left.value, low=1 - left.high, high=1 - left.low, limit=limit))
    evidence += [Symptom(what=f"let through by split.allow: {one}", value=1.0, limit="above 0") for one in through]
    if not evidence:
        return None
    told = [f"{', '.join(names)} alone tells nearly all: is it known when a prediction is asked for?"] if names else []
    told += [f"split.allow let through: {sentence}" for sentence in through]
    remedies = [
        Remedy(reason=f"leave {name} out of data.features, unless it is known before the truth is") for name in names
    ]
    if through:
        remedies.append(Remedy(setting="split.allow", value=[], reason="rows that parts share judge a model too well"))
    return Finding(kind="leakage", summary="; ".join(told), evidence=evidence, remedies=remedies, source=SOURCE)
