"""The record of an evaluation, ``runs/ID/evaluation.json``: every figure of every part, matrices, curves and slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from staytrue.bundle import Metric
from staytrue.records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

EVALUATION = "evaluation.json"
HEADLINE = (
    *("pinball", "coverage", "mae", "rmse", "r2"),
    *("accuracy", "subset_accuracy", "macro_f1", "auc", "log_loss"),
    *("elbo", "discrepancy", "told_apart"),
)
"""Metrics that are printed, stand in the model card and are told of each slice; whatever a task has of them."""


class RankingCurve(Record, frozen=True, kw_only=True):
    """What is found, and what is taken along, by taking every row of at least a probability; the highest one first.

    Recall by false positive rate is the ROC curve, which begins at (0, 0); precision by recall the other one. A long
    curve is told at some of its points.
    """

    thresholds: list[float]
    recall: list[float]
    """Share of the rows of it that are taken."""
    false_positive_rate: list[float]
    """Share of the other rows that are taken."""
    precision: list[float]
    """Share of the rows taken that are of it."""


class ClassEvaluation(Record, frozen=True, kw_only=True):
    """One class or label by itself: against all others."""

    rows: int
    """Whose truth it is."""
    predicted: int
    metrics: dict[str, Metric]
    absent: dict[str, str]
    curve: RankingCurve | None = None
    """None where no pair can be ranked, and of more classes than can be looked at."""


class Confusion(Record, frozen=True, kw_only=True):
    """How many rows of each truth got each answer."""

    classes: list[str]
    rows: list[list[int]]
    """By truth, then by answer, in the order of the classes."""
    other: list[int]
    """Answers to rows whose truth is none of the classes."""


class CalibrationBin(Record, frozen=True, kw_only=True):
    """Rows, or labels of rows, of which about the same probability was said."""

    low: float
    high: float
    rows: int
    said: float
    """Mean of the probabilities."""
    right: Metric
    """Share of which it turned out so."""


class ResidualGroup(Record, frozen=True, kw_only=True):
    """Rows of about the same prediction; low and high are the quartiles of prediction minus truth."""

    rows: int
    prediction: float
    mean: float
    low: float
    high: float


class Residuals(Record, frozen=True, kw_only=True):
    """Predictions minus truths, in the target's unit."""

    mean: float
    deviation: float
    quantiles: dict[str, float]
    edges: list[float]
    counts: list[int]
    """Rows between each edge and the next."""
    groups: list[ResidualGroup]
    """By tenths of the predictions."""


class SliceEvaluation(Record, frozen=True, kw_only=True):
    """Some rows of a part by themselves."""

    name: str
    holds: str
    """Which rows, in words."""
    rows: int
    metrics: dict[str, Metric]
    absent: dict[str, str]
    note: str = ""
    """Why there are no metrics; nothing where there are."""


class Example(Record, frozen=True, kw_only=True):
    """One row, and what was said of it."""

    row: int
    """Its place in the part, from 0, in the order of time."""
    time: float
    """Unix seconds."""
    loss: float | None
    """How bad the answer is; None where it is no finite number, which is the worst."""
    truth: str
    answer: str
    inputs: dict[str, str]
    """What was given, for people; long texts are cut, of pictures only the shape is told."""


class Examples(Record, frozen=True, kw_only=True):
    """The rows that the model did worst on, the worst first."""

    loss: str
    """What they are sorted by, in words."""
    rows: list[Example]


class PartEvaluation(Record, frozen=True, kw_only=True):
    """The rows of one part of the data."""

    rows: int
    """Judged."""
    left_out: int
    """Without a truth."""
    metrics: dict[str, Metric]
    absent: dict[str, str]
    """Metrics that have no value here, with the reason."""
    by_class: dict[str, ClassEvaluation] = msgspec.field(default_factory=dict)
    confusion: Confusion | None = None
    calibration: list[CalibrationBin] = msgspec.field(default_factory=list)
    residuals: dict[str, Residuals] = msgspec.field(default_factory=dict)
    """By target."""
    slices: list[SliceEvaluation] = msgspec.field(default_factory=list)
    worst: Examples | None = None
    """None of the test split, whose rows nobody looks at, and of pictures out of noise."""
    blocks: int = 0
    """Of the rows judged, which were drawn whole for the intervals; 0 in records from before it was written down."""
    blocked_by: str = ""
    """What the blocks are: days, groups of the column that the split goes by, rows, or random lots of rows."""


class Evaluation(Record, frozen=True, kw_only=True):
    """One finished run, by part: train, validation and, where it was opened, test."""

    schema: int = 1
    run: str
    parts: dict[str, PartEvaluation]


def interval(metric: Metric) -> str:
    """The interval of a metric, for people.

    >>> interval(Metric(value=1.0, low=0.5, high=2.0))
    '0.5 to 2 (95%)'
    """
    return "no interval" if metric.bare else f"{metric.low:.4g} to {metric.high:.4g} ({metric.confidence:.0%})"


def ranged(metric: Metric) -> str:
    """A metric's value with its interval.

    >>> ranged(Metric(value=1.0, low=0.5, high=2.0)), ranged(Metric(value=1.0, low=1.0, high=1.0, bare=True))
    ('1 [0.5, 2]', '1 [no interval]')
    """
    ends = "no interval" if metric.bare else f"{metric.low:.4g}, {metric.high:.4g}"
    return f"{metric.value:.4g} [{ends}]"


def figure(name: str, metric: Metric) -> str:
    """A metric with its interval, in few letters.

    >>> figure("mae", Metric(value=1.0, low=0.5, high=2.0))
    'mae 1 [0.5, 2]'
    """
    return f"{name} {ranged(metric)}"


def headline(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """Those of the metrics that stand for the rest; of several targets each its own. All, where none of them does.

    >>> metric = Metric(value=1.0, low=0.0, high=2.0)
    >>> list(headline({"mse": metric, "mae": metric, "casual.r2": metric}))
    ['mae', 'casual.r2']
    """
    found = {name: metric for name, metric in metrics.items() if is_headline(name)}
    return found or dict(metrics)


def is_headline(name: str) -> bool:
    """Whether a metric, or that of a target, is one of :data:`HEADLINE`."""
    return name.rpartition(".")[2] in HEADLINE
