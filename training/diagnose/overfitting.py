"""Over-fitting: it knows its training rows far better than others, or went on learning them when others got worse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.diagnosis import Finding, Remedy, Symptom
from training.diagnose import remedies
from training.diagnose.case import NO_SHARES
from training.diagnose.curve import FEWEST, rise, trend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.diagnose.case import Case

GAP = 0.1
"""Of what there is to learn, that is lost on the way to other rows."""
LOST = 0.05
"""Prechelt's generalisation loss of 5."""
SURE = 0.01
SOURCE = "Prechelt, 1998, Early stopping - but when? (generalisation loss GL_5, over training that still progresses)"


def find(case: Case) -> Finding | str | None:
    """A gap of which the whole interval is material, or a rise of the validation error that no noise explains."""
    if case.gap is None or case.shares is None:
        return NO_SHARES
    gap, (train, held) = case.gap, case.shares
    best = int(case.errors.argmin())
    later = case.losses[best:]
    tau, chance = trend(later) if len(later) >= FEWEST else (0.0, 1.0)
    rose, at_least = rise(case.errors)
    rises = at_least > LOST and tau < 0 and chance < SURE
    if gap.low <= GAP and not rises:
        return None
    evidence = [
        gap.symptom("error of validation less training rows, as a share of a constant answer's", f"low above {GAP:g}"),
        train.symptom("of training rows"),
        held.symptom("of validation rows"),
        Symptom(what="rise of the validation error after its least, a share of it", value=rose, low=at_least,
                 limit=f"low above {LOST:g}, while the training loss falls"),
        Symptom(what="trend of the training loss after that epoch (Kendall's tau)", value=tau,
                 limit=f"below 0, by chance in less than {SURE:g} of cases ({chance:.2g})"),
    ]  # fmt: skip
    told = f"the error is {held.value:.2f} of a constant answer's on validation, {train.value:.2f} on training rows"
    if rises:
        told += f"; after epoch {best + 1} it rose by {rose:.0%} while the training loss fell"
    found = remedies.fitting(case, _remedies(case))
    return Finding(kind="over-fitting", summary=told, evidence=evidence, remedies=found, source=SOURCE)


def _remedies(case: Case) -> Iterator[Remedy]:
    yield from remedies.varied(case)
    yield from remedies.regularised(case)
    yield from remedies.smaller(case)
    patience = max(3, case.project.training.patience // 4)
    if patience < case.project.training.patience:
        yield Remedy(setting="training.patience", value=patience, reason="stop sooner after the best epoch")
