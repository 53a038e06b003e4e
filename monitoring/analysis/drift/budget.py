"""From a promise, "one false alarm in thirty days", to the level of a single test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from staytrue.sections import MonitoringSection

DRIFT_SHARE = 0.7
"""Share of the budget spent on drift, the rest on quality: drift tests many columns, quality one number."""
PERIOD_DAYS = 30.0
SMALLEST = 1e-12
"""P-values below are taken as this: evidence stays finite."""


def level(policy: MonitoringSection, share: float) -> float:
    """Probability of a false alarm allowed to one window, so that the budget holds over windows that do not overlap.

    Looks between them re-read mostly the same rows; ``for_looks`` pays for their extra chances (docs/drift.md has the
    simulation).

    >>> from staytrue.sections import MonitoringSection
    >>> round(level(MonitoringSection(window_days=7, false_alarms_per_30_days=1), 0.5), 4)
    0.1167
    """
    windows = PERIOD_DAYS / policy.window_days
    return min(0.5, policy.false_alarms_per_30_days * share / windows)


def adjusted(p_values: Sequence[float]) -> NDArray[np.float64]:
    """P-values adjusted for their number by Benjamini-Hochberg.

    Under no drift at all the smallest is below a level with at most that probability, for independent or positively
    dependent columns.

    Source: Benjamini and Hochberg 1995, JRSS B 57:289; Benjamini and Yekutieli 2001, Annals 29:1165.

    >>> adjusted([0.01, 0.02, 0.9]).round(3).tolist()
    [0.03, 0.03, 0.9]
    """
    values = np.clip(np.asarray(p_values, dtype=np.float64), SMALLEST, 1.0)
    order = np.argsort(values)
    scaled = values[order] * len(values) / np.arange(1, len(values) + 1)
    result = np.empty(len(values))
    result[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return result


def evidence(p_value: float, alpha: float) -> float:
    """How far a p-value is towards an alarm, on the logarithmic scale of p: 0 at p = 1, 1 at p = alpha.

    >>> evidence(0.01, 0.1)
    2.0
    """
    return max(0.0, float(np.log(max(p_value, SMALLEST)) / np.log(alpha)))
