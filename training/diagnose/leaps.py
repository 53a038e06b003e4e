"""Too high a learning rate: the error leaps, or never falls, and fresh weights do not bear such steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from staytrue.diagnosis import Finding, Remedy, Symptom
from training.diagnose import remedies
from training.diagnose.case import LEARNT, NOTHING, Dropped
from training.diagnose.curve import FEWEST, noise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.diagnose.case import Case
    from training.rates.sweep import Sweep

LEAPS = 0.05
"""Noise of the validation error, a share of its level: an average of many rows hardly moves by itself."""
MARGIN = 10.0
"""So far below the rate at which the loss blows up a rate is safe: as the range test proposes one."""
SOURCE = "Smith, 2015, Cyclical learning rates for training neural networks, section 3.3 (range test)"


def find(case: Case) -> Finding | Dropped | str | None:
    """Leaps beside a rate near what blows up, or nothing learnt beyond it; without a range test leaps twice as high."""
    if len(case.errors) < FEWEST:
        return f"fewer than {FEWEST} epochs"
    level = float(np.median(case.errors[len(case.errors) // 2 :]))
    leaps = noise(case.errors) / level if level > 0 else 0.0
    stuck = case.run is not None and case.shares is not None and case.shares[0].low > NOTHING
    if not stuck and leaps <= (LEAPS if case.run is not None else 2 * LEAPS):
        return None
    rate, rates = case.project.training.rate, case.rates
    margin = MARGIN if leaps > LEAPS else 1.0
    evidence = [
        Symptom(what="noise of the validation error from epoch to epoch, a share of its level", value=leaps,
                 limit=f"above {LEAPS:g}; above {2 * LEAPS:g} without a range test"),
    ]  # fmt: skip
    told = f"the validation error leaps by {leaps:.0%} from epoch to epoch at a learning rate of {rate:g}"
    if stuck and case.shares is not None:
        train, limit = case.shares[0], f"low above {NOTHING:g}, where the rate is beyond what blows up"
        evidence.append(train.symptom(LEARNT, limit))
        told += f", and next to nothing was learnt ({train.value:.2f} of a constant answer's error)"
    if rates is not None:
        if rates.blow_up is None or rate <= rates.blow_up / margin:
            return Dropped(_safe(told, rates, margin)) if leaps > 2 * LEAPS else None
        limit = f"below {margin:g} times the learning rate, {rate:g}"
        evidence.append(Symptom(what="rate at which a fresh model's loss blows up", value=rates.blow_up, limit=limit))
        told += f"; a fresh model's loss blows up from {rates.blow_up:.2g} on"
    found = remedies.fitting(case, _remedies(case))
    return Finding(kind="rate too high", summary=told, evidence=evidence, remedies=found, source=SOURCE)


def _safe(told: str, rates: Sweep, margin: float) -> str:
    """Why leaps are not the rate's: steps far larger do no harm to a fresh model."""
    if rates.blow_up is None:
        return f"{told}, but a fresh model's loss blows up at no rate up to {rates.rates[-1]:.2g}"
    return f"{told}, but a fresh model's loss blows up from {rates.blow_up:.2g} on, more than {margin:g} times as high"


def _remedies(case: Case) -> Iterator[Remedy]:
    training, rates = case.project.training, case.rates
    if rates is not None and rates.proposed is not None and rates.proposed < training.rate:
        why = "where the loss of a fresh model falls fastest, well below where it blows up"
        yield Remedy(setting="training.learning_rate", value=rates.proposed, reason=why)
    else:
        value = float(f"{training.rate / 10:.2g}")
        yield Remedy(setting="training.learning_rate", value=value, reason="a tenth; `staytrue rate` measures one")
    if training.schedule == "fixed":
        yield Remedy(setting="training.schedule", value="cosine", reason="smaller steps towards the end")
    if not training.optimisation.warmup:
        yield Remedy(setting="training.optimisation.warmup", value=0.05, reason="first steps are the least certain")
    if training.regularisation.clip_norm is None:
        yield Remedy(setting="training.regularisation.clip_norm", value=1.0, reason="no gradient leaps further")
    if training.averaging < 0.9:
        yield Remedy(setting="training.averaging", value=0.98, reason="the mean of the weights leaps less than they do")
    yield Remedy(
        setting="training.batch_size", value=2 * training.batch_size, reason="gradients of more rows tremble less"
    )
