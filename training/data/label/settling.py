"""Settling: from annotations to agreement, consensus, items to send back, suspects and breaches, in this order."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from training.data.label.agreement import agree
from training.data.label.breaches import breaches
from training.data.label.consensus import consensus, majority
from training.data.label.figures import Resampling
from training.data.label.guideline import load
from training.data.label.reading import read_annotations, read_features
from training.data.label.report import SHOWN, Confusion, LabelReport, Settled, Suspicion
from training.data.label.returns import returns
from training.data.label.suspects import suspects
from training.progress import unwatched

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.labelling import LabellingSection
    from training.data.label.annotations import Annotations
    from training.data.label.consensus import Consensus
    from training.data.label.dawid_skene import DawidSkene
    from training.data.label.returns import Return
    from training.data.label.suspects import Suspect
    from training.progress import Watch

PARTS = 4
"""Annotations, agreement, consensus, suspects."""


@dataclasses.dataclass(frozen=True)
class Settlement:
    """What was found, whole: the report names the first items alone."""

    annotations: Annotations
    consensus: Consensus
    returns: list[Return]
    suspects: list[Suspect]
    report: LabelReport


def settle(source: Path, settings: LabellingSection, *, watch: Watch = unwatched) -> Settlement:
    """Read annotations and find out all that the settings ask for; ``watch`` sees :data:`PARTS` of it at most.

    Raises:
        NotFound, Unsupported, InvalidConfig, InvalidInput: what is wrong with a file or setting, and where.
    """
    guideline = load(settings.guideline) if settings.guideline else None
    with watch("annotations"):
        made = read_annotations(source, settings, guideline)
    agreement = agree(made, settings.scale, Resampling(times=settings.resamples, seed=settings.seed), watch)
    with watch("consensus"):
        agreed = consensus(made, settings.consensus, smoothing=settings.smoothing)
        least = guideline.rules.annotators_per_item if guideline else 0
        back = returns(made, agreed, sure=settings.sure, at_least=least)
    wrong, suspicion = _suspected(made, agreed, settings, watch)
    found = breaches(made, agreed, guideline, agreement.alpha[settings.scale]) if guideline else []
    given = np.bincount(made.label, minlength=len(made.classes))
    report = LabelReport(
        source=source.name,
        items=len(made.items),
        annotators=len(made.annotators),
        labels=len(made),
        classes=dict(zip(made.classes, given.tolist(), strict=True)),
        seed=settings.seed,
        resamples=settings.resamples,
        agreement=agreement,
        consensus=_settled(made, agreed, settings),
        returns=len(back),
        first_returns=back[:SHOWN],
        suspicion=suspicion,
        guideline=settings.guideline.name if settings.guideline else "",
        unheard=sorted(set(guideline.rules.allowed) - set(made.annotators)) if guideline else [],
        breaches=found,
    )
    return Settlement(made, agreed, back, wrong, report)


def _settled(made: Annotations, agreed: Consensus, settings: LabellingSection) -> Settled:
    model, labelled = agreed.model, agreed.label >= 0
    items = np.bincount(agreed.label[labelled], minlength=len(made.classes))
    return Settled(
        method=settings.consensus if model else "majority",
        alone=agreed.alone,
        items=dict(zip(made.classes, items.tolist(), strict=True)),
        unlabelled=int((~labelled).sum()),
        tied=int(agreed.tied.sum()),
        unsure=int((agreed.sure()[labelled] < settings.sure).sum()),
        sure=settings.sure,
        prior=dict(zip(made.classes, model.prior.tolist(), strict=True)) if model else {},
        confusion=_confusion(made, model) if model else {},
        steps=len(model.objective) if model else 0,
        converged=model.converged if model else True,
        log_likelihood=model.log_likelihood if model else None,
        differs_from_majority=int((majority(made).label != agreed.label).sum()),
    )


def _confusion(made: Annotations, model: DawidSkene) -> dict[str, Confusion]:
    tables = model.confusion.astype(object)
    tables[np.isnan(model.confusion)] = None
    found = zip(made.annotators, model.accuracy().tolist(), tables.tolist(), strict=True)
    return {
        name: Confusion(accuracy=right if np.isfinite(right) else None, confusion=table) for name, right, table in found
    }


def _suspected(
    made: Annotations, agreed: Consensus, settings: LabellingSection, watch: Watch
) -> tuple[list[Suspect], Suspicion | None]:
    if settings.features is None:
        return [], None
    item = settings.item or "item"  # an empty name numbers the rows of a table of labels
    features, rows = read_features(settings.features, item, made.items)
    judged = np.flatnonzero((agreed.label >= 0) & (rows >= 0))
    labels = np.array(made.classes)[agreed.label[judged]]
    columns = {name: column[rows[judged]] for name, column in features.items()}
    names = [made.items[number] for number in judged.tolist()]
    wrong = suspects(
        names, labels, columns, learner=settings.learner, folds=settings.folds, seed=settings.seed, watch=watch
    )
    return wrong, Suspicion(
        learner=settings.learner,
        folds=settings.folds,
        judged=len(judged),
        left_out=int(((agreed.label >= 0) & (rows < 0)).sum()),
        found=len(wrong),
        first=wrong[:SHOWN],
    )
