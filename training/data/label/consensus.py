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

    Shapes: ``posterior`` [N,K]; ``label`` [N], -1 where nobody labelled the item; ``tied`` [N]: several classes were as
    likely, and the one more frequent among all labels was taken.
    """

    posterior: NDArray[np.float64]
    label: NDArray[np.int64]
    tied: NDArray[np.bool_]
    model: DawidSkene | None = None

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
    """The likeliest class, given how each annotator confuses classes."""
    fitted = dawid_skene(made, smoothing=smoothing)
    return dataclasses.replace(_decided(made, fitted.posterior), model=fitted)


def _decided(made: Annotations, posterior: NDArray[np.float64]) -> Consensus:
    frequency = np.bincount(made.label, minlength=len(made.classes))
    best = posterior.max(axis=1, keepdims=True) - 1e-9
    likeliest = posterior >= best
    label = np.where(likeliest, frequency, -1).argmax(axis=1)
    given = np.bincount(made.item, minlength=len(made.items)) > 0
    tied = (likeliest.sum(axis=1) > 1) & given
    return Consensus(posterior, np.where(given, label, -1), tied)
