"""Leakage suspected: one feature alone tells the truth, or parts share rows that a setting let through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.diagnosis import Finding, Remedy, Symptom
from training.diagnose.case import noted

if TYPE_CHECKING:
    from training.diagnose.case import Case
    from training.diagnose.tables import Tables

ALONE = 0.95
"""Of what there is to learn, that one feature tells by itself."""
MOST_FEATURES = 100
SOURCE = "Kaufman, Rosset, Perlich and Stitelman, 2012, Leakage in data mining"


def find(case: Case) -> Finding | str | None:
    """Features by whose value alone a tree tells nearly all of the truth of validation rows, for certain."""
    through = case.checkpoint.lineage.let_through
    tried = _tried(case.tables)
    if isinstance(tried, str) and not through:
        return f"no feature is tried alone: {tried}; and split.allow let nothing through"
    evidence, names, seed = [], [], case.project.training.seed
    for name, tables in [] if isinstance(tried, str) else tried:
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


def _tried(tables: Tables | str) -> list[tuple[str, Tables]] | str:
    """Features that are tried alone, of one value a row, beside the tables; or why none is."""
    if isinstance(tables, str):
        return tables
    if len(tables.train.columns) < 2:
        return "there is but one, which tells what the model tells"
    names = [name for name, column in tables.columns.items() if column.ndim == 1][:MOST_FEATURES]
    if not names:
        return "none has one value a row"
    return tables.unmeasured or [(name, tables) for name in names]
