"""Evaluate: metrics against closed forms, intervals against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from staytrue.records import DAY_SECONDS
from training.evaluate import LEAST_PROBABILITY, classification, regression


def hourly(days: int) -> np.ndarray:
    """Times of 24 rows a day."""
    return np.arange(24 * days) * DAY_SECONDS / 24


def test_metrics_of_four_rows_by_hand() -> None:
    """Errors 1, -1, 2, 0; truth 1, 2, 3, 6 has mean 3 and squared deviations 4+1+0+9."""
    truth, error = np.array([1.0, 2, 3, 6]), np.array([1.0, -1, 2, 0])
    metrics = regression(truth, truth + error, np.arange(4.0) * DAY_SECONDS, seed=0)
    assert metrics["mse"].value == pytest.approx(6 / 4)
    assert metrics["mae"].value == pytest.approx(1)
    assert metrics["r2"].value == pytest.approx(1 - 6 / 14)


def test_a_perfect_prediction_has_no_error_and_no_width() -> None:
    """R² 1, errors 0, intervals closed."""
    truth = np.random.default_rng(0).normal(size=240)
    metrics = regression(truth, truth, hourly(10), seed=0)
    assert [(m.value, m.low, m.high) for m in metrics.values()] == [(0, 0, 0), (0, 0, 0), (1, 1, 1)]


def test_the_mean_as_prediction_has_r2_zero_and_a_constant_truth_too() -> None:
    """Where the truth does not vary, no share of its variance can be explained."""
    truth = np.random.default_rng(0).normal(size=240)
    assert regression(truth, np.full(240, truth.mean()), hourly(10), seed=0)["r2"].value == pytest.approx(0)
    assert regression(np.full(240, 5.0), truth, hourly(10), seed=0)["r2"].value == 0


def test_r2_does_not_lose_digits_to_a_large_offset() -> None:
    """A target around a billion has the R² of the same target around zero."""
    draw = np.random.default_rng(0)
    truth = draw.normal(size=240)
    guess = truth + draw.normal(0, 0.5, 240)
    near, far = (regression(truth + o, guess + o, hourly(10), seed=0)["r2"].value for o in (0.0, 1e9))
    assert far == pytest.approx(near, abs=1e-5)


def test_the_interval_covers_the_true_error_though_hours_of_a_day_are_alike() -> None:
    """Errors share a daily part, so an interval over rows would be far too narrow; over days it covers."""
    draw = np.random.default_rng(1)
    hits, runs, days = 0, 100, 40
    for _ in range(runs):
        error = np.abs(draw.normal(size=days)).repeat(24)  # mean |N(0,1)| = sqrt(2/pi)
        mae = regression(np.zeros(24 * days), error, hourly(days), seed=0)["mae"]
        hits += mae.low <= np.sqrt(2 / np.pi) <= mae.high
    assert 0.86 <= hits / runs <= 1


def test_one_seed_gives_one_interval() -> None:
    """Deterministic."""
    truth = np.random.default_rng(0).normal(size=240)
    assert regression(truth, truth * 0, hourly(10), seed=3) == regression(truth, truth * 0, hourly(10), seed=3)


def names(*given: str) -> np.ndarray:
    """Truths of a classifier."""
    return np.array(given, dtype=object)


def test_class_metrics_of_four_rows_by_hand() -> None:
    """Truth a a b c, answers a b b b: right 2 of 4; F1 of a 2/3, of b 2/4, of c 0."""
    likely = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3]])
    times = np.arange(4.0) * DAY_SECONDS
    metrics = classification(names("a", "a", "b", "c"), likely, ("a", "b", "c"), times, seed=0)
    assert metrics["accuracy"].value == pytest.approx(1 / 2)
    assert metrics["error_rate"].value == pytest.approx(1 / 2)
    assert metrics["log_loss"].value == pytest.approx(-np.log([0.7, 0.3, 0.8, 0.3]).mean())
    assert metrics["macro_f1"].value == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert metrics["accuracy"].low < 1 / 2 < metrics["accuracy"].high


def test_a_sure_and_right_classifier_has_no_error_and_no_width() -> None:
    """Also though one class is never there: it counts for nothing in the mean of F1."""
    truth = names(*["a", "b"] * 120)
    likely = np.array([[1.0, 0, 0], [0, 1, 0]] * 120)
    metrics = classification(truth, likely, ("a", "b", "never"), hourly(10), seed=0)
    assert {name: (m.value, m.low, m.high) for name, m in metrics.items()} == {
        "accuracy": (1, 1, 1),
        "error_rate": (0, 0, 0),
        "log_loss": (0, 0, 0),
        "macro_f1": (1, 1, 1),
    }


def test_a_classifier_that_knows_nothing_has_the_log_loss_of_chance() -> None:
    """Log K, whatever the truth; and of one class alone, the accuracy is 1."""
    truth = names(*["a", "b", "c", "d"] * 60)
    even = classification(truth, np.full((240, 4), 0.25), ("a", "b", "c", "d"), hourly(10), seed=0)
    assert even["log_loss"].value == pytest.approx(np.log(4))
    assert even["macro_f1"].value == pytest.approx(2 * 60 / (240 + 60) / 4)
    one = classification(names("a", "a"), np.full((2, 1), 1.0), ("a",), np.arange(2.0), seed=0)
    assert [metric.value for metric in one.values()] == [1, 0, 0, 1]


def test_a_sure_error_and_an_unknown_class_cost_much_but_not_everything() -> None:
    """The log loss stays finite, and neither counts as right."""
    likely = np.array([[0.0, 1.0], [0.4, 0.6]])
    metrics = classification(names("a", "z"), likely, ("a", "b"), np.arange(2.0), seed=0)
    assert metrics["log_loss"].value == pytest.approx(-np.log(LEAST_PROBABILITY))
    assert [metrics[name].value for name in ("accuracy", "error_rate", "macro_f1")] == [0, 1, 0]


def test_the_interval_of_an_error_rate_allows_for_days_that_are_alike() -> None:
    """A whole day is right or wrong with even chance: over days the interval covers, over rows it would not."""
    draw, hits, runs, days = np.random.default_rng(1), 0, 60, 40
    for _ in range(runs):
        wrong = (draw.random(days) < 0.5).repeat(24)
        likely = np.where(wrong[:, None], [[0.1, 0.9]], [[0.9, 0.1]])
        metric = classification(names(*["a"] * 24 * days), likely, ("a", "b"), hourly(days), seed=0)["error_rate"]
        hits += metric.low <= 0.5 <= metric.high
    assert 0.85 <= hits / runs <= 1
