"""Curves: noise, trend, rise and fall of series of which they are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from training.data.shares import wilson
from training.diagnose.curve import fall, noise, rise, trend
from training.diagnose.overfitting import LOST


def test_noise_is_its_deviation_whatever_the_trend() -> None:
    """Of 4000 values with a deviation of 0.3 to within 5%, and of a smooth curve hardly any."""
    draw, time = np.random.default_rng(0), np.linspace(0, 4, 4000)
    assert noise(np.exp(-time) + draw.normal(0, 0.3, 4000)) == pytest.approx(0.3, rel=0.05)
    assert noise(np.exp(-time[::100])) < 0.001
    assert noise(np.array([1.0, 5.0, 2.0])) == 0  # too few to tell


def test_one_leap_is_no_noise() -> None:
    values = np.linspace(2, 1, 40)
    values[20] += 5
    assert noise(values) < 1e-12


def test_trend_is_kendalls() -> None:
    values = np.array([5.0, 4.0, 4.5, 3.0, 3.5, 2.0, 1.0, 1.5])
    pairs = [np.sign(b - a) for i, a in enumerate(values) for b in values[i + 1 :]]
    tau, chance = trend(values)
    assert tau == pytest.approx(sum(pairs) / len(pairs))
    assert chance == pytest.approx(stats.kendalltau(range(8), values, method="exact").pvalue)
    assert trend(np.ones(9)) == (0.0, 1.0)


def test_a_rise_is_told_by_how_much_and_noise_alone_is_none() -> None:
    risen = np.concatenate([np.linspace(2, 1, 20), np.linspace(1, 1.2, 20)])
    found, low = rise(risen)
    assert found == pytest.approx(float(risen[-8:].mean()) - 1)
    assert low == pytest.approx(found)  # without noise
    draw = np.random.default_rng(1)
    lows = np.array([rise(1 + draw.normal(0, 0.05, 60))[1] for _ in range(300)])
    assert np.mean(lows > 0) < 0.1
    assert np.mean(lows > LOST) < 0.01


def test_a_fall_is_told_by_how_much_and_noise_alone_is_none() -> None:
    found, low = fall(np.linspace(2, 1, 21))
    assert found == pytest.approx(1 - 1 / 1.2)
    assert low == pytest.approx(found)
    draw = np.random.default_rng(1)
    lows = [fall(1 + draw.normal(0, 0.05, 60))[1] for _ in range(200)]
    assert np.mean(np.array(lows) > 0) < 0.07


def test_wilsons_interval_is_that_of_the_textbook() -> None:
    """Against scipy's, at the ends too."""
    for hits, count in [(0, 20), (7, 50), (20, 20)]:
        known = stats.binomtest(hits, count).proportion_ci(method="wilson")
        assert wilson(hits, count) == pytest.approx((known.low, known.high), abs=1e-6)
