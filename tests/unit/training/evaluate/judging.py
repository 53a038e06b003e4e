"""Judges of few rows, for the tests of the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from staytrue.records import DAY_SECONDS
from training.data.split.plan import day_of
from training.evaluate.blocks import DAYS, Blocks
from training.evaluate.classification import ClassJudge
from training.evaluate.multilabel import LabelJudge
from training.evaluate.parts import evaluated
from training.evaluate.regression import NumberJudge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staytrue.evaluation import PartEvaluation
    from training.evaluate.bootstrap import Draws
    from training.evaluate.judge import Judge

    Some = Sequence[float] | np.ndarray

LEAST = 2
"""Rows of a slice."""


def daily(rows: int) -> np.ndarray:
    """Times of a row a day."""
    return np.arange(float(rows)) * DAY_SECONDS


def hourly(days: int) -> np.ndarray:
    """Times of 24 rows a day."""
    return np.arange(24 * days) * DAY_SECONDS / 24


def days_of(times: np.ndarray) -> Blocks:
    """Days."""
    return Blocks(day_of(times), DAYS)


def draws_of(times: Some) -> Draws:
    """Days drawn."""
    return days_of(np.asarray(times)).draw(0)[1]


def names(*given: str) -> np.ndarray:
    """Truths of a classifier."""
    return np.array(given, dtype=object)


def of(judge: Judge) -> PartEvaluation:
    """All that is told, without slices."""
    return evaluated(judge, [], days_of(judge.times), minimum_rows=LEAST, seed=0)


def numbers(truth: Some, made: Some, times: np.ndarray | None = None) -> NumberJudge:
    """Predicted numbers, a row a day unless times are given."""
    times = daily(len(truth)) if times is None else times
    return NumberJudge("y", np.array(truth, dtype=np.float64), np.array(made, dtype=np.float64), times)


def classes(
    truth: Sequence[str], likely: Sequence[Sequence[float]], named: Sequence[str], times: np.ndarray | None = None
) -> ClassJudge:
    """A classifier's probabilities, a row a day unless times are given."""
    times = daily(len(truth)) if times is None else times
    said = np.array(likely, dtype=np.float64).reshape(len(truth), len(named))
    return ClassJudge.of(names(*truth), said, named, times)


def labels(truth: Sequence[Sequence[float]], likely: Sequence[Sequence[float]]) -> LabelJudge:
    """Probabilities of labels, decided for from a half on, a row a day."""
    true, said = np.array(truth, dtype=np.float64), np.array(likely)
    return LabelJudge(true, said >= 0.5, said, [f"l{place}" for place in range(said.shape[1])], daily(len(true)))
