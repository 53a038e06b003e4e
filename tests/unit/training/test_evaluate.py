"""Evaluate: metrics against closed forms, intervals against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from staytrue.records import DAY_SECONDS
from training.evaluate import regression


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
