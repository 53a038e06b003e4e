"""Two-sample scores: how well points of one kind can be told from points of another."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Points = NDArray[np.float64]

UNITS, EPOCHS = 64, 60
"""Of the classifier: its hidden units, and how often it sees its half of the points."""


def discrepancy(first: Points, second: Points, bandwidth: float) -> float:
    """Squared maximum mean discrepancy with the kernel exp(-|x - y|² / (2 * bandwidth²)), without bias.

    It is zero on average where both come from one law, and may lie below. Shapes: [N,D], [M,D], at least two of each.
    Source: Gretton et al., 2012, "A kernel two-sample test", lemma 6.

    >>> discrepancy(np.array([[0.0], [0.0]]), np.array([[9e9], [9e9]]), 1.0)
    2.0
    """
    return float(_within(first, bandwidth) + _within(second, bandwidth) - 2 * _kernel(first, second, bandwidth).mean())


def intervals(
    first: Points, second: Points, bandwidth: float, *, resamples: int, confidence: float, seed: int
) -> tuple[float, float]:
    """Percentile interval of :func:`discrepancy`, both sides drawn with replacement."""
    draw = np.random.default_rng(seed)
    one, other = (_shares(draw, len(points), resamples) for points in (first, second))
    across = ((one @ _kernel(first, second, bandwidth)) * other).sum(axis=1)
    found = _drawn_within(first, one, bandwidth) + _drawn_within(second, other, bandwidth) - 2 * across
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def middle_distance(points: Points) -> float:
    """The median distance of two points, the usual bandwidth; 1 where most are the same. Shapes: [N,D]."""
    squared = _squared(points, points)[np.triu_indices(len(points), 1)]
    return float(np.sqrt(np.median(squared))) or 1.0


def told_apart(first: Points, second: Points, *, seed: int) -> tuple[float, int]:
    """Share of points of either kind, as many of one as of the other, that a classifier names rightly, and how many.

    A small network learns on every second point and is judged by the others; 0.5 is a guess. Shapes: [N,D] both.
    Source: Lopez-Paz and Oquab, 2017, "Revisiting classifier two-sample tests".
    """
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - it takes seconds to import
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415

    points = np.concatenate([first, second])
    kind = np.repeat([0, 1], [len(first), len(second)])
    learns = np.concatenate([np.arange(len(first)), np.arange(len(second))]) % 2 == 0
    scaled = (points - points[learns].mean(axis=0)) / (points[learns].std(axis=0) + 1e-12)
    network = MLPClassifier((UNITS,), alpha=1e-2, learning_rate_init=5e-3, max_iter=EPOCHS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # so many epochs are what is asked for
        network.fit(scaled[learns], kind[learns])
    right = network.predict(scaled[~learns]) == kind[~learns]
    return float(right.mean()), len(right)


def gaussian(points: Points, count: int, *, seed: int) -> Points:
    """Draws from the normal law with the mean and covariance of the points. Shapes: [N,D] → [count,D]."""
    mean = points.mean(axis=0)
    mixed = np.random.default_rng(seed).standard_normal((count, len(points))) / np.sqrt(len(points) - 1)
    drawn: Points = mean + mixed @ (points - mean)
    return drawn


def principal(points: Points, count: int) -> tuple[Points, Points]:
    """Mean and the directions in which points vary most, at most so many. Shapes: [N,D] → [D], [D,count].

    Where a direction points is fixed by its largest number being above zero.
    """
    mean = points.mean(axis=0)
    axes = np.linalg.eigh(np.cov(points, rowvar=False))[1][:, ::-1][:, :count]
    signs = np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0))
    return mean, axes * signs


def _squared(first: Points, second: Points) -> Points:
    sums = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)[None]
    found: Points = np.maximum(sums - 2 * first @ second.T, 0)
    return found


def _kernel(first: Points, second: Points, bandwidth: float) -> Points:
    found: Points = np.exp(-_squared(first, second) / (2 * bandwidth**2))
    return found


def _within(points: Points, bandwidth: float) -> float:
    count = len(points)
    return float((_kernel(points, points, bandwidth).sum() - count) / (count * (count - 1)))


def _shares(draw: np.random.Generator, count: int, resamples: int) -> Points:
    return draw.multinomial(count, np.full(count, 1 / count), size=resamples) / count


def _drawn_within(points: Points, shares: Points, bandwidth: float) -> Any:
    """Of each resample the mean over pairs of different points."""
    same = (shares**2).sum(axis=1)
    return (((shares @ _kernel(points, points, bandwidth)) * shares).sum(axis=1) - same) / (1 - same)
