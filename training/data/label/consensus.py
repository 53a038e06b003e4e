"""Consensus: one label for each item out of those that annotators gave, with how sure it is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

import numpy as np

from training.data.label.dawid_skene import dawid_skene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data.label.annotations import Annotations
    from training.data.label.dawid_skene import DawidSkene

Method = Literal["majority", "dawid-skene"]


@dataclasses.dataclass(frozen=True)
class Consensus:
    """What N items are taken to be.

    Shapes: ``posterior`` [N,K]; ``label`` [N], -1 where nobody labelled the item; ``tied`` [N]: several classes were
    given as often, or are as likely; of those as likely the one more frequent among all labels is taken. ``alone`` is
    how many items have the label of one annotator, which Dawid and Skene's method left as it is.
    """

    posterior: NDArray[np.float64]
    label: NDArray[np.int64]
    tied: NDArray[np.bool_]
    model: DawidSkene | None = None
    alone: int = 0

    def sure(self) -> NDArray[np.float64]:
        """Posterior of the label that was taken, 0 where there is none. Shapes: [N]."""
        taken = self.posterior[np.arange(len(self.label)), np.maximum(self.label, 0)]
        return np.where(self.label >= 0, taken, 0.0)


def consensus(made: Annotations, method: Method, *, smoothing: float = 1.0) -> Consensus:
    """By majority or by Dawid and Skene."""
    return majority(made) if method == "majority" else by_dawid_skene(made, smoothing=smoothing)


def majority(made: Annotations) -> Consensus:
    """The class that most annotators gave; the posterior is its share of the item's labels."""
    counts = made.counts()
    total = counts.sum(axis=1, keepdims=True)
    return _decided(made, counts / np.maximum(total, 1))


def by_dawid_skene(made: Annotations, *, smoothing: float = 1.0) -> Consensus:
    """The likeliest class, given how each annotator confuses classes, as items show that several of them labelled.

    An item with the label of one annotator keeps it, and nothing is learnt of it: no other label stands against it, and
    where there are many such items the likeliest explanation is that all are of one class. Where there are no others
    there is no model, and this is the majority.
    """
    who = len(made.annotators)
    pairs = np.unique(made.item * who + made.annotator)
    shared = np.bincount(pairs // who, minlength=len(made.items)) > 1
    counts = made.counts()
    given = counts.sum(axis=1) > 0
    alone = int((given & ~shared).sum())
    if not shared.any():
        return dataclasses.replace(majority(made), alone=alone)
    which = shared[made.item]
    compared = dataclasses.replace(
        made, item=made.item[which], annotator=made.annotator[which], label=made.label[which]
    )
    fitted = dawid_skene(compared, smoothing=smoothing)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    posterior = np.where((given & ~shared)[:, None], shares, fitted.posterior)
    return dataclasses.replace(_decided(made, posterior), model=fitted, alone=alone)


def _decided(made: Annotations, posterior: NDArray[np.float64]) -> Consensus:
    frequency = np.bincount(made.label, minlength=len(made.classes))
    best = posterior.max(axis=1, keepdims=True) - 1e-9
    likeliest = posterior >= best
    label = np.where(likeliest, frequency, -1).argmax(axis=1)
    given = np.bincount(made.item, minlength=len(made.items)) > 0
    counts = made.counts()
    even = (counts == counts.max(axis=1, keepdims=True)).sum(axis=1) > 1
    tied = ((likeliest.sum(axis=1) > 1) | even) & given
    return Consensus(posterior, np.where(given, label, -1), tied)
