"""Evaluation of classes: rates by class and over all, ranking, probabilities, confusion and calibration."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.evaluation import Confusion
from training.evaluate import calibration, rates
from training.evaluate.bootstrap import Figures, mean_of_defined, ratio
from training.evaluate.curves import with_curves
from training.evaluate.judge import Detail, unfit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.evaluate.bootstrap import Draws, Numbers

LEAST_PROBABILITY = 1e-12
"""A truth that was thought less likely counts as this likely: one such row must not make the log loss infinite."""
MOST_CONFUSED = 50
"""More classes have no matrix that anybody could read."""
NOBODY = "(another)"
"""Truths that are none of the classes."""
_CHIEF = ("accuracy", "macro_f1", "log_loss", "auc")
"""Named where nothing can be said at all."""
_OWN = 3
"""Sums in front of the counts by class: rows, log loss, Brier score."""


@dataclasses.dataclass(frozen=True)
class ClassJudge:
    """What a classifier said of some rows, the likeliest class being its answer, the first of several such.

    A truth that is none of the classes counts as wrong and as least likely; its place is their number. That of a row
    without a truth is -1. Shapes: true [N] places of classes, probabilities [N,K], times [N] ascending.
    """

    true: NDArray[np.int64]
    probabilities: Numbers
    classes: Sequence[str]
    times: Numbers

    @classmethod
    def of(cls, truth: NDArray[Any], probabilities: Numbers, classes: Sequence[str], times: Numbers) -> ClassJudge:
        """Of truths by name; a missing one is the empty text. Shapes: [N], [N,K], [K], [N]."""
        places = {"": -1} | {name: place for place, name in enumerate(classes)}
        true = np.array([places.get(name, len(classes)) for name in truth], dtype=np.int64)
        return cls(true, probabilities, classes, times)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which rows have a truth."""
        return self.true >= 0

    def take(self, which: NDArray[Any]) -> ClassJudge:
        """The rows of a mask or an index."""
        return ClassJudge(self.true[which], self.probabilities[which], self.classes, self.times[which])

    @property
    def loss(self) -> str:
        """As the log loss has it."""
        return "-ln of the true class's probability"

    def losses(self) -> Numbers:
        """Of each row its part of the log loss. Shapes: [N]."""
        return -np.log(np.clip(self._said_of_truth(), LEAST_PROBABILITY, 1.0))

    def told(self, row: int) -> tuple[str, str]:
        """The true class, and the likeliest one with its probability."""
        place = int(self.probabilities[row].argmax())
        answer = f"{self.classes[place]} ({self.probabilities[row, place]:.1%})"
        return [*self.classes, NOBODY][self.true[row]], answer

    def _said_of_truth(self) -> Numbers:
        """The probability of the true class, 0 of one that is none of them. Shapes: [N]."""
        count = self.probabilities.shape[1]
        said = self.probabilities[np.arange(len(self.true)), np.minimum(self.true, count - 1)]
        return np.where(self.true == count, 0.0, said)

    def brief(self, draws: Draws) -> Figures:
        """Rates, log loss and ranking."""
        if reason := unfit(self.probabilities):
            return Figures(absent=dict.fromkeys(_CHIEF, reason))
        return self._figures(self._sums(draws), self._ranks(draws), draws)

    def whole(self, draws: Draws) -> tuple[Figures, Detail]:
        """All metrics; by class, as a matrix and as a curve."""
        if reason := unfit(self.probabilities):
            return Figures(absent=dict.fromkeys(_CHIEF, reason)), Detail()
        sums, ranks = self._sums(draws), self._ranks(draws)
        sure, right = self.probabilities.max(axis=1), self.probabilities.argmax(axis=1) == self.true
        binned = calibration.binned(sure, right, draws)
        figures = self._figures(sums, ranks, draws)
        figures |= draws.figures({"calibration_error": calibration.error_with_draws(binned, draws)})
        known = np.concatenate([some[:, :-1] for some in rates.Counts.of(sums[:, _OWN:])], axis=1)
        by_class = with_curves(rates.by_class(known, ranks, draws, self.classes), self.probabilities, self._holds)
        return figures, Detail(by_class, self._confusion(), calibration.curve(binned, draws))

    def _figures(self, sums: Numbers, ranks: rates.Ranks, draws: Draws) -> Figures:
        notes = rates.counted_as_nothing(rates.Counts.of(sums[:, _OWN:].sum(axis=0)), [*self.classes, NOBODY])
        among = rates.among(rates.Counts.of(sums[:, _OWN:]))
        return rates.noted(draws.told(sums, _metrics, among), notes) | ranks.overall(draws, self.classes)

    def _ranks(self, draws: Draws) -> rates.Ranks:
        return rates.ranks(self.probabilities, self._holds, draws)

    def _holds(self, place: int) -> NDArray[np.bool_]:
        """Which rows are of a class."""
        of_it: NDArray[np.bool_] = self.true == place
        return of_it

    def _sums(self, draws: Draws) -> Numbers:
        """What the metrics need of each block: rows, log loss, Brier score; then right, answered and true by class.

        The last class is that of truths which are none of the others. Shapes: [D,_OWN+3(K+1)].
        """
        count = self.probabilities.shape[1]
        guess, said = self.probabilities.argmax(axis=1), self._said_of_truth()
        unknown = self.true == count
        # Σ (p - y)² is Σ p² - 2p + 1 of the class that is true; of two classes half of it, as is usual.
        brier = (self.probabilities**2).sum(axis=1) - 2 * said + np.where(unknown, 0.0, 1.0)
        own = [np.ones(len(said)), self.losses(), brier / (2 if count == 2 else 1)]
        right = draws.counts(guess, count + 1, (guess == self.true).astype(np.float64))
        counts = [right, draws.counts(guess, count + 1), draws.counts(self.true, count + 1)]
        return np.concatenate([draws.sums(own), *counts], axis=1)

    def _confusion(self) -> Confusion | None:
        count = len(self.classes)
        if count > MOST_CONFUSED:
            return None
        places = self.true * count + self.probabilities.argmax(axis=1)
        *rows, other = np.bincount(places, minlength=(count + 1) * count).reshape(count + 1, count).tolist()
        return Confusion(classes=list(self.classes), rows=rows, other=other)


def _metrics(sums: Numbers) -> dict[str, Numbers]:
    """Metrics from sums. Shapes: [...,_OWN+3(K+1)] → [...] each."""
    rows, loss, brier = np.moveaxis(sums[..., :_OWN], -1, 0)
    counts = rates.Counts.of(sums[..., _OWN:])
    accuracy = counts.right.sum(axis=-1) / rows
    return {
        "accuracy": accuracy,
        "error_rate": 1 - accuracy,
        "balanced_accuracy": mean_of_defined(ratio(counts.right, counts.true)),
        **rates.overall(counts),
        "log_loss": loss / rows,
        "brier": brier / rows,
    }
