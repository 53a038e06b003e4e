"""Evaluation of labels, any of which may hold: rates by label and over all, ranking, probabilities and calibration."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluate import calibration, rates
from training.evaluate.bootstrap import Figures
from training.evaluate.classification import LEAST_PROBABILITY
from training.evaluate.curves import with_curves
from training.evaluate.judge import Detail, unfit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.evaluate.bootstrap import Draws, Numbers

_CHIEF = ("subset_accuracy", "macro_f1", "log_loss", "auc")
"""Named where nothing can be said at all."""
_OWN = 5
"""Sums in front of the counts by label: rows, log loss, Brier score, rows all right, labels wrong."""


@dataclasses.dataclass(frozen=True)
class LabelJudge:
    """What was decided and said of labels. Shapes: truth (1, 0, NaN), decided, likely [N,K]; times [N] ascending."""

    truth: Numbers
    decided: NDArray[np.bool_]
    likely: Numbers
    labels: Sequence[str]
    times: Numbers

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which rows have a truth for each label."""
        found: NDArray[np.bool_] = np.all(~np.isnan(self.truth), axis=1)
        return found

    def take(self, which: NDArray[Any]) -> LabelJudge:
        """The rows of a mask or an index."""
        return LabelJudge(self.truth[which], self.decided[which], self.likely[which], self.labels, self.times[which])

    @property
    def loss(self) -> str:
        """As the log loss has it."""
        return "-ln of what was said of the truth, mean over the labels"

    def losses(self) -> Numbers:
        """Of each row its part of the log loss. Shapes: [N]."""
        said = np.clip(np.where(self.truth > 0, self.likely, 1 - self.likely), LEAST_PROBABILITY, 1.0)
        missed: Numbers = -np.log(said).mean(axis=1)
        return missed

    def told(self, row: int) -> tuple[str, str]:
        """The labels that hold, and those decided for."""
        both = (self.truth[row] > 0, self.decided[row])
        holding, decided = (", ".join(np.array(self.labels, dtype=object)[some]) or "none" for some in both)
        return holding, decided

    def brief(self, draws: Draws) -> Figures:
        """Rates, log loss and ranking."""
        if reason := unfit(self.likely):
            return Figures(absent=dict.fromkeys(_CHIEF, reason))
        return self._figures(self._sums(draws), self._ranks(draws), draws)

    def whole(self, draws: Draws) -> tuple[Figures, Detail]:
        """All metrics; by label and as a curve of all labels together."""
        if reason := unfit(self.likely):
            return Figures(absent=dict.fromkeys(_CHIEF, reason)), Detail()
        sums, ranks = self._sums(draws), self._ranks(draws)
        binned = calibration.binned(self.likely, self.truth, draws)
        figures = self._figures(sums, ranks, draws)
        figures |= draws.figures({"calibration_error": calibration.error_with_draws(binned, draws)})
        by_label = with_curves(rates.by_class(sums[:, _OWN:], ranks, draws, self.labels), self.likely, self._holds)
        return figures, Detail(by_label, calibration=calibration.curve(binned, draws))

    def _figures(self, sums: Numbers, ranks: rates.Ranks, draws: Draws) -> Figures:
        total = rates.Counts.of(sums[:, _OWN:].sum(axis=0))
        told = draws.told(sums, _metrics, rates.among(rates.Counts.of(sums[:, _OWN:])))
        why = "; ".join(
            what
            for what, count in (("no label holds", total.true), ("none was decided for", total.predicted))
            if not count.any()
        )
        told = dataclasses.replace(
            told, absent=dict.fromkeys(told.absent, why)
        )  # nothing else leaves a rate without a value
        return rates.noted(told, rates.counted_as_nothing(total, self.labels)) | ranks.overall(draws, self.labels)

    def _ranks(self, draws: Draws) -> rates.Ranks:
        return rates.ranks(self.likely, self._holds, draws)

    def _holds(self, place: int) -> NDArray[np.bool_]:
        """In which rows a label holds."""
        return self.truth[:, place] > 0

    def _sums(self, draws: Draws) -> Numbers:
        """What the metrics need of each block; then right, decided and true by label. Shapes: [D,_OWN+3K]."""
        truth = self.truth > 0
        wrong = truth != self.decided
        own = [np.ones(len(truth)), self.losses(), ((self.likely - truth) ** 2).mean(axis=1)]
        own += [~wrong.any(axis=1), wrong.mean(axis=1)]
        counts = [draws.sums(some.T) for some in (truth & self.decided, self.decided, truth)]
        return np.concatenate([draws.sums(own), *counts], axis=1)


def _metrics(sums: Numbers) -> dict[str, Numbers]:
    """Metrics from sums. Shapes: [...,_OWN+3K] → [...] each."""
    rows, loss, brier, right, wrong = np.moveaxis(sums[..., :_OWN], -1, 0)
    return {
        "subset_accuracy": right / rows,
        "hamming_loss": wrong / rows,
        **rates.overall(rates.Counts.of(sums[..., _OWN:])),
        "log_loss": loss / rows,
        "brier": brier / rows,
    }
