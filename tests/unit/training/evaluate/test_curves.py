"""Curves: by hand, points of scikit-learn's, and none where nothing can be ranked."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from tests.unit.training.evaluate import judging
from training.evaluate import curves
from training.evaluate.curves import POINTS, curve


def test_curves_by_hand() -> None:
    """From 0.8 on one of two is found and nothing else; from 0.35 on both, and one of the two others."""
    found = curve(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    assert found.thresholds == [0.8, 0.4, 0.35, 0.1]
    assert found.recall == [0.5, 0.5, 1, 1]
    assert found.false_positive_rate == [0, 0.5, 0.5, 1]
    assert found.precision == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2])


def test_of_scores_that_are_all_alike_there_is_one_point() -> None:
    found = curve(np.full(4, 0.25), np.array([True, False, False, False]))
    assert (found.thresholds, found.recall, found.false_positive_rate, found.precision) == ([0.25], [1], [1], [0.25])


def test_of_two_normal_distributions_the_curve_is_the_one_of_theory() -> None:
    """With N(1, 1) of what holds and N(0, 1) of the rest, recall is Φ(1 + Φ⁻¹(false positives)): the binormal curve."""
    draw, count = np.random.default_rng(0), 40_000
    holds = np.arange(count) % 2 == 0
    found = curve(draw.normal(size=count) + holds, holds)
    wrong = np.array(found.false_positive_rate)
    assert np.array(found.recall) == pytest.approx(norm.cdf(1 + norm.ppf(wrong)), abs=0.015)


def test_a_long_curve_is_told_at_few_points_which_are_scikit_learns() -> None:
    """Its areas are then those of all rows to a hundredth."""
    draw = np.random.default_rng(1)
    scores = draw.normal(size=5000).round(3)
    holds = draw.random(5000) < 1 / (1 + np.exp(2 - scores))
    found = curve(scores, holds)
    assert 50 < len(found.thresholds) <= POINTS
    wrong, hit, limits = roc_curve(holds, scores, drop_intermediate=False)
    precision, recall, others = precision_recall_curve(holds, scores)
    places, turned = np.searchsorted(-limits, -np.array(found.thresholds)), np.searchsorted(others, found.thresholds)
    assert found.recall == pytest.approx(hit[places])
    assert found.recall == pytest.approx(recall[turned])
    assert found.false_positive_rate == pytest.approx(wrong[places])
    assert found.precision == pytest.approx(precision[turned])
    assert (found.recall[-1], found.false_positive_rate[-1]) == (1, 1)
    area = np.trapezoid([0, *found.recall], [0, *found.false_positive_rate])
    assert area == pytest.approx(roc_auc_score(holds, scores), abs=0.005)
    steps = np.diff([0, *found.recall]) @ np.array(found.precision)
    assert steps == pytest.approx(average_precision_score(holds, scores), abs=0.01)


def test_each_class_and_label_has_curves_against_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    likely = [[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1], [0.1, 0.6, 0.3]]
    told = judging.of(judging.classes(["a", "b", "b", "a"], likely, ["a", "b", "c"])).by_class
    assert told["a"].curve is not None
    assert (told["a"].curve.thresholds, told["a"].curve.recall) == ([0.7, 0.5, 0.2, 0.1], [0.5, 0.5, 0.5, 1])
    assert told["a"].curve.false_positive_rate == [0, 0.5, 1, 1]
    assert told["c"].curve is None  # no row is of it
    labelled = judging.of(judging.labels([[1, 0], [0, 0]], [[0.9, 0.5], [0.2, 0.5]])).by_class
    assert labelled["l0"].curve is not None
    assert labelled["l0"].curve.precision == [1, 0.5]
    assert labelled["l1"].curve is None  # it never holds
    monkeypatch.setattr(curves, "MOST_CURVES", 2)
    many = judging.of(judging.classes(["a", "b", "b", "a"], likely, ["a", "b", "c"])).by_class
    assert [one.curve for one in many.values()] == [None] * 3
