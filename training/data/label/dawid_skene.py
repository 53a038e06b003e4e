"""Dawid and Skene: what items are and how each annotator confuses classes, both from the labels alone."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data.label.annotations import Annotations

STEPS = 1000
TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class DawidSkene:
    """What was found.

    Shapes: ``posterior`` [N,K]; ``prior`` [K]; ``confusion`` [R,K,K], for each annotator the probability of each label
    (last axis) to an item of each class, NaN for classes on which nothing is known of them; ``objective`` of each step,
    never falling: the log-likelihood and, where smoothed, the log density of the confusions beforehand.
    """

    posterior: NDArray[np.float64]
    prior: NDArray[np.float64]
    confusion: NDArray[np.float64]
    objective: list[float]
    log_likelihood: float
    converged: bool

    def accuracy(self) -> NDArray[np.float64]:
        """How often each annotator is right on items as frequent as they are, NaN without labels. Shapes: [R]."""
        right = np.diagonal(self.confusion, axis1=1, axis2=2)
        known = np.isfinite(right)
        weight = np.where(known, self.prior, 0.0)
        total = weight.sum(axis=1)
        right = (np.where(known, right, 0.0) * weight).sum(axis=1)
        return np.where(total > 0, right / np.where(total > 0, total, 1.0), np.nan)


def dawid_skene(
    made: Annotations, *, smoothing: float = 0.0, steps: int = STEPS, tolerance: float = TOLERANCE
) -> DawidSkene:
    """Expectation and maximisation from the shares of each item's labels, until no posterior moves by ``tolerance``.

    Each annotator is taken to have labelled ``smoothing`` items of each class beforehand, with labels spread evenly:
    with few labels the unsmoothed estimate, which is the published one, believes in errors of 0 and 1, and is sure of
    every item. An item without labels has the prior for its posterior, and adds nothing to what is learnt.

    Source: Dawid and Skene, 1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm",
    Applied Statistics 28.
    """
    items, kinds, who = len(made.items), len(made.classes), len(made.annotators)
    given = np.bincount(made.item, minlength=items) > 0
    shape = (who * kinds, items)
    said = scipy.sparse.csr_array((np.ones(len(made)), (made.annotator * kinds + made.label, made.item)), shape=shape)
    says = said.T.tocsr()
    counts = made.counts().astype(np.float64)
    posterior = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    history: list[float] = []
    likelihood, converged = 0.0, False
    while not converged and len(history) < steps:
        prior, confusion = _maximised(posterior[given], said @ posterior, smoothing / kinds)
        after, likelihood = _expected(prior, confusion, says, given)
        converged = bool(np.abs(after - posterior)[given].max() < tolerance)
        posterior = after
        history.append(likelihood + _beforehand(confusion, smoothing / kinds))
    seen = (said @ posterior).reshape(who, kinds, kinds).sum(axis=1)  # labels of each annotator to each class
    confusion = np.where(seen[:, :, None] > 1e-9, confusion, np.nan)
    return DawidSkene(posterior, prior, confusion, history, likelihood, converged)


def _maximised(
    posterior: NDArray[np.float64], joint: NDArray[np.float64], each: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Prior and confusion. Shapes: posterior [L,K], joint [R*K,K] of label and class → [K], [R,K,K]."""
    kinds = joint.shape[1]
    confusion = joint.reshape(-1, kinds, kinds).transpose(0, 2, 1) + each
    total = confusion.sum(axis=2, keepdims=True)
    return posterior.mean(axis=0), np.where(total > 0, confusion / np.where(total > 0, total, 1.0), 0.0)


def _beforehand(confusion: NDArray[np.float64], each: float) -> float:
    """Log density of the confusions, up to a constant: of Dirichlet laws with ``each`` label more of each kind."""
    return float(each * np.log(confusion).sum()) if each > 0 else 0.0


def _expected(
    prior: NDArray[np.float64],
    confusion: NDArray[np.float64],
    says: scipy.sparse.csr_array,
    given: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], float]:
    """Posterior [N,K] and log-likelihood of the labels."""
    with np.errstate(divide="ignore"):  # what never happened has probability 0
        log_prior, log_confusion = np.log(prior), np.log(confusion)
    kinds = len(prior)
    joint = log_prior + says @ log_confusion.transpose(0, 2, 1).reshape(-1, kinds)
    top = joint.max(axis=1, keepdims=True)
    share = np.exp(joint - top)
    total = share.sum(axis=1, keepdims=True)
    return share / total, float((top + np.log(total))[given].sum())
