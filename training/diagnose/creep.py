"""Too low a learning rate: the error still falls at the end, by steps far smaller than fresh weights bear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.diagnosis import Finding, Remedy, Symptom
from training.diagnose import remedies
from training.diagnose.case import LEARNT, NOTHING, Dropped
from training.diagnose.curve import FEWEST, trend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.diagnose.case import Case

FAR = 10.0
"""Times the rate, at which a fresh model's loss falls fastest."""
STEADY = 0.9
SURE = 0.01
SOURCE = "Smith, 2015, Cyclical learning rates for training neural networks, section 3.3 (range test)"


def find(case: Case) -> Finding | Dropped | str | None:
    """A steady fall to the last epoch beside a proposed rate ten times as high; without one, little was learnt."""
    if len(case.errors) < 2 * FEWEST:
        return f"fewer than {2 * FEWEST} epochs"
    tau, chance = trend(case.errors[len(case.errors) // 2 :])
    ended = int(case.errors.argmin()) >= 0.9 * (len(case.errors) - 1)
    if not ended or tau > -STEADY or chance > SURE:
        return None
    rate, rates = case.project.training.rate, case.rates
    evidence = [
        Symptom(what="trend of the validation error in the second half (Kendall's tau)", value=tau,
                 limit=f"below -{STEADY:g}, by chance in less than {SURE:g} of cases ({chance:.2g}), least at the end"),
    ]  # fmt: skip
    told = (
        f"the validation error falls steadily to the last of {len(case.errors)} epochs at a learning rate of {rate:g}"
    )
    little = case.shares is not None and case.shares[0].low >= NOTHING
    if rates is not None:
        if rates.proposed is None or rate >= rates.proposed / FAR:
            proposed = "none" if rates.proposed is None else f"{rates.proposed:g}, less than {FAR:g} times as high"
            return Dropped(f"{told}, but a range test proposes {proposed}") if little else None
        what, limit = "rate that a range test proposes", f"above {FAR:g} times the learning rate, {rate:g}"
        evidence.append(Symptom(what=what, value=rates.proposed, limit=limit))
        told += f"; a fresh model's loss falls fastest at {rates.proposed:g}"
    elif not little:
        return None
    if case.shares is not None:
        limit = "told beside it" if rates is not None else f"low above {NOTHING:g}"
        evidence.append(case.shares[0].symptom(LEARNT, limit))
    found = remedies.fitting(case, _remedies(case))
    return Finding(kind="rate too low", summary=told, evidence=evidence, remedies=found, source=SOURCE)


def _remedies(case: Case) -> Iterator[Remedy]:
    training, rates = case.project.training, case.rates
    if rates is not None and rates.proposed is not None:
        why = "where the loss of a fresh model falls fastest, well below where it blows up"
        yield Remedy(setting="training.learning_rate", value=rates.proposed, reason=why)
    else:
        value = float(f"{10 * training.rate:.2g}")
        yield Remedy(setting="training.learning_rate", value=value, reason="ten times; `staytrue rate` measures one")
    yield from remedies.longer(case)
    if training.batch_size > 32:
        value = max(32, training.batch_size // 4)
        yield Remedy(setting="training.batch_size", value=value, reason="more steps an epoch")
