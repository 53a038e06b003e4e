"""Likeness: how like made pictures are to real ones, beside baselines that know little of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from staytrue.bundle import Metric
from training.data.shares import wilson
from training.twosample import discrepancy, gaussian, intervals, middle_distance, principal, told_apart

if TYPE_CHECKING:
    from training.twosample import Points

COMPONENTS = 32
"""Directions in which real pictures vary most, which all are compared along."""
LEAST = 16
"""Fewer real pictures cannot be halved and compared."""
RESAMPLES, CONFIDENCE = 200, 0.95


def likeness(real: Points, made: Points, *, seed: int) -> dict[str, Metric]:
    """The discrepancy and the share told apart, of made pictures and of two baselines; none of very few pictures.

    A half of the real ones says along which directions and at which bandwidth all are compared, and is what the
    baselines are made of; the other half is compared with. ``shuffled`` takes each pixel from another picture;
    ``gaussian`` is a normal law of the same means and covariances, within the range of each pixel. As the directions
    are those of the covariance, it is the harder to beat. Shapes: both [N,D], as many made as real ones.
    """
    if len(real) < LEAST:
        return {}
    fitted, judged = real[::2], real[1::2]
    mean, axes = principal(fitted, COMPONENTS)
    shuffled = np.random.default_rng(seed).permuted(fitted, axis=0)[: len(judged)]
    normal = np.clip(gaussian(fitted, len(judged), seed=seed), fitted.min(axis=0), fitted.max(axis=0))
    bandwidth = middle_distance((fitted - mean) @ axes)
    against = (judged - mean) @ axes
    metrics: dict[str, Metric] = {}
    for name, points in {"": made[: len(judged)], "shuffled_": shuffled, "gaussian_": normal}.items():
        seen = (points - mean) @ axes
        low, high = intervals(against, seen, bandwidth, resamples=RESAMPLES, confidence=CONFIDENCE, seed=seed)
        value = discrepancy(against, seen, bandwidth)
        metrics[f"{name}discrepancy"] = Metric(value=value, low=low, high=high)
        share, count = told_apart(against, seen, seed=seed)
        low, high = wilson(round(share * count), count)  # of a share of 1, too, which is that of poor pictures
        metrics[f"{name}told_apart"] = Metric(value=share, low=min(low, share), high=max(high, share))
    return metrics
