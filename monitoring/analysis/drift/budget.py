"""From a promise, "one false alarm in thirty days", to the level of a single test."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from staytrue.sections import MonitoringSection

DRIFT_SHARE = 0.8
"""Share of the budget spent on drift, the rest on quality: drift tests many columns, quality one number."""
PERIOD_DAYS = 30.0
OVERLAP = 0.65
"""Daily looks re-read most of a window's rows, yet have chances of their own: with the level of windows that do not
overlap, stationary weather gave 1.05 to 1.31 alarms where 1 was allowed; so lowered 0.81 to 0.98 (docs/drift.md)."""
STEADY = 0.25
FLEETING = 0.65
"""Where ``for_looks`` span less than a quarter of the window, up to 1.6 times as many alarms fire: there
the level is lowered further."""
SCARCE = 1.7
"""The rarer an excursion, the shorter it lasts, so that a hundredth of the level leaves more than a hundredth of the
alarms: measured, alarms grow with the power 0.66 of the level, and budgets under one are taken to this power."""
SMALLEST = 1e-12
"""P-values below are taken as this: evidence stays finite."""


def level(policy: MonitoringSection, share: float) -> float:
    """Probability of a false alarm allowed to one look, so that all looks together keep to the budget.

    The budget is dealt over windows that do not overlap; ``OVERLAP`` pays for the looks between them, given that an
    alarm needs ``for_looks`` of them in a row.

    >>> from staytrue.sections import MonitoringSection
    >>> round(level(MonitoringSection(window_days=7, false_alarms_per_30_days=1), 0.5), 4)
    0.0758
    """
    windows = PERIOD_DAYS / policy.window_days
    allowed = policy.false_alarms_per_30_days
    budget = allowed if allowed >= 1 else math.pow(allowed, SCARCE)
    steady = policy.for_looks * policy.look_hours >= STEADY * policy.window_days * 24
    return min(0.5, OVERLAP * (1.0 if steady else FLEETING) * budget * share / windows)


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
