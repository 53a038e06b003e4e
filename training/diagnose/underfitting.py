"""Under-fitting: other learners find more in the same rows, or the training ended while it was still getting better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.diagnosis import Finding, Remedy, Symptom
from training.diagnose import remedies
from training.diagnose.case import LEARNT, NO_SHARES, noted
from training.diagnose.curve import FEWEST, fall, trend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.diagnose.case import Case

FELL = 0.05
"""By which the last fifth of the epochs still lowers the error: there was more to come."""
BEHIND = 0.05
"""Of a constant answer's error, by which another learner is better."""
GAP = 0.1
"""A larger one is over-fitting."""
SURE = 0.05
DROPPED = 0.5
"""Share of the units, from where on dropout is the first to be looked at."""
SOURCE = "Ng, 2018, Machine learning yearning, chapters 19 to 27 (avoidable bias, against what can be reached)"


def find(case: Case) -> Finding | str | None:
    """Whether the error still falls at the last epoch, or a forest beats a model that does not over-fit."""
    if case.shares is None or case.gap is None:
        return NO_SHARES
    evidence, told, ended = [], [], False
    best = int(case.errors.argmin()) + 1
    tau, chance = trend(case.errors[-max(FEWEST, len(case.errors) // 3) :])
    fell, at_least = fall(case.errors)
    if case.through and at_least > FELL and tau < 0 and chance < SURE:
        ended = True
        told.append(f"the validation error still fell by {fell:.0%} in the last fifth of {len(case.errors)} epochs")
        evidence += [
            Symptom(what="fall of the validation error in the last fifth of the epochs, a share of it", value=fell,
                     low=at_least, limit=f"low above {FELL:g}"),
            Symptom(what="trend of the validation error in the last third (Kendall's tau)", value=tau,
                     limit=f"below 0, by chance in less than {SURE:g} of cases ({chance:.2g})"),
        ]  # fmt: skip
    worse = _behind(case)
    if worse is not None:
        told.append(
            f"a forest's error is smaller by {worse.value:.2f} of a constant answer's on the same validation rows"
        )
        evidence.append(worse)
    if not evidence:
        return None
    evidence.append(case.shares[0].symptom(LEARNT))
    found = remedies.fitting(case, _remedies(case, longer=ended or best == len(case.errors)))
    return Finding(kind="under-fitting", summary="; ".join(told), evidence=evidence, remedies=found, source=SOURCE)


def _behind(case: Case) -> Symptom | None:
    """By how much the model is worse than a forest, row by row, where it is so on the rows that it learnt from, too."""
    tables, seed = case.whole_tables, case.project.training.seed
    if case.gap is None or isinstance(tables, str) or tables.unmeasured or case.gap.low > GAP:
        return None
    other = tables.misses(tables.forest(seed))
    difference = tables.mean(tables.misses(tables.answers) - other, seed)
    if difference.low <= BEHIND or tables.least(case.parts["train"]) <= float(other.mean()):
        return None
    what = "error of the model less that of a forest on the same validation rows, as a share of a constant answer's"
    limit = noted(f"low above {BEHIND:g}", difference.note)
    return Symptom(what=what, value=difference.value, low=difference.low, high=difference.high, limit=limit)


def _remedies(case: Case, *, longer: bool) -> Iterator[Remedy]:
    if longer:
        yield from remedies.longer(case)
    dropped = (case.project.model.dropout or 0) >= DROPPED
    order = (remedies.unregularised, remedies.larger) if dropped else (remedies.larger, remedies.unregularised)
    for which in order:
        yield from which(case)
    rates = case.rates
    if rates is not None and rates.proposed is not None and rates.proposed > 2 * case.project.training.rate:
        why = f"larger steps: where the loss falls fastest in a range test; it was {case.project.training.rate:g}"
        yield Remedy(setting="training.learning_rate", value=rates.proposed, reason=why)
    if not longer:
        yield from remedies.longer(case)
    yield Remedy(reason="more or better features: `staytrue suggest` proposes an architecture for those there are")
