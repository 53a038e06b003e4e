"""Two-sample scores against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from training.likeness import likeness
from training.twosample import discrepancy, gaussian, intervals, middle_distance, principal, told_apart


def normal(count: int, seed: int, mean: float = 0.0, width: int = 2) -> np.ndarray:
    """Normal points around the mean in each direction."""
    return np.random.default_rng(seed).normal(mean, 1.0, (count, width))


def test_the_discrepancy_of_two_normal_laws_is_that_of_their_closed_form() -> None:
    """Of unit normals d apart, in D directions, with bandwidth s: 2 a (1 - exp(-d²/(2 (s²+2)))), a = (s²/(s²+2))^(D/2).

    The interval, of 95%, holds it.
    """
    one, other, bandwidth = normal(2000, 1), normal(2000, 2, mean=0.7), 1.3
    squared = bandwidth**2
    expected = 2 * squared / (squared + 2) * (1 - np.exp(-2 * 0.7**2 / (2 * (squared + 2))))
    assert discrepancy(one, other, bandwidth) == pytest.approx(expected, abs=0.012)
    low, high = intervals(one[:500], other[:500], bandwidth, resamples=200, confidence=0.95, seed=0)
    assert low < expected < high < low + 0.2


def test_points_of_one_law_differ_by_nothing() -> None:
    """The mean over pairs of samples is zero, as it has no bias; those of another mean are far from it."""
    found = [discrepancy(normal(60, seed), normal(60, 100 + seed), 1.0) for seed in range(60)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(60)
    assert discrepancy(normal(60, 1), normal(60, 2, mean=2), 1.0) > 20 * np.std(found)


def test_a_classifier_tells_apart_what_it_can_and_guesses_the_rest() -> None:
    """At one law about a half; at unit normals 2 apart the best that there is, Φ(1) = 0.841."""
    same, count = told_apart(normal(1200, 1), normal(1200, 2), seed=0)
    assert count == 1200
    assert same == pytest.approx(0.5, abs=0.06)
    apart = told_apart(normal(1200, 1, width=1), normal(1200, 2, mean=2, width=1), seed=0)[0]
    assert apart == pytest.approx(0.841, abs=0.04)


def test_the_baseline_has_the_mean_and_covariance_of_what_it_is_fitted_to() -> None:
    """Also of fewer points than there are directions."""
    points = normal(400, 3) @ np.array([[2.0, 0.5], [0.0, 1.0]]) + [3, -1]
    drawn = gaussian(points, 20_000, seed=0)
    np.testing.assert_allclose(drawn.mean(axis=0), points.mean(axis=0), atol=0.06)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(points.T), atol=0.15)
    assert np.linalg.matrix_rank(gaussian(normal(4, 1, width=9), 50, seed=0) - normal(4, 1, width=9).mean(axis=0)) == 3


def test_principal_directions_are_those_of_a_known_covariance() -> None:
    """Along (0.6, 0.8), which way is fixed; the bandwidth of three points is their middle distance."""
    line = np.linspace(-1, 1, 51)[:, None] * [[-0.6, -0.8]]
    mean, axes = principal(line, 1)
    np.testing.assert_allclose((mean, axes[:, 0]), ([0, 0], [0.6, 0.8]), atol=1e-12)
    assert middle_distance(np.array([[0.0], [1.0], [5.0]])) == 4
    assert middle_distance(np.zeros((3, 1))) == 1


def test_what_is_always_told_apart_has_an_interval_all_the_same() -> None:
    """Wilson's of a share of 1: n / (n + 1.96²), of 40 points that judge."""
    found = likeness(normal(80, 1), normal(80, 2, mean=50.0), seed=0)["told_apart"]
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(40 / (40 + 1.959964**2))
