"""Error rates: does the window's share of wrong classes exceed what held-out days of the reference explain?

With x of n labelled rows wrong, y = asin(sqrt((x + 3/8) / (n + 3/4))) has a variance of about 1/(4n), whatever the
rate: a window is compared with the baseline on that scale, each pooled over its days. Rows of one day may go wrong
together: with rho their correlation within a day, a day of m rows adds to the variance as m (1 + (m - 1) rho) rows
would. rho is estimated from the dispersion f of the baseline's days (Pearson's chi-square over its degrees of freedom)
as (f - 1) / (m - 1), so that it holds for windows of any traffic. Since days in a row resemble each other, both sides
are widened by d = (1 + r) / (1 - r) of their lag-one correlation:

    t = (y_window - y_baseline) / sqrt(d (V_window + V_baseline)),  V = sum m (1 + (m - 1) rho) / (4 n^2) over the days,

compared with Student's t of days/d - 1 degrees of freedom.

Source: Anscombe 1948, Biometrika 35:246, for the transformation; Williams 1982, Applied Statistics 31:144, for the
variance of rows that go wrong together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from monitoring.analysis.blocks import FULL
from monitoring.analysis.drift import budget
from monitoring.analysis.quality import COUNTS, MINIMUM_BASELINE_DAYS, inflation, usual, whole_days
from staytrue.records import DAY_SECONDS
from staytrue.windows import Quality

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitoring.analysis.rows import WindowRows
    from staytrue.profile import ReferenceProfile
    from staytrue.sections import MonitoringSection

METRIC = "error_rate"
CAUTION = 0.25


class RateBaseline:
    """The held-out days of a classifier, and the comparison with a window."""

    def __init__(self, profile: ReferenceProfile, policy: MonitoringSection) -> None:
        wrong = np.array([p != t for p, t in zip(profile.prediction, profile.truth, strict=True)], dtype=np.float64)
        weight = np.array(profile.weight) if profile.weight else np.ones(profile.rows)
        held = np.array(profile.split) == "validation"
        held &= weight >= COUNTS * weight[held].max(initial=0.0)
        time = np.array(profile.time)
        usual_rows, self._usual_hours = usual(time)
        self._usual_rows = policy.traffic_share * usual_rows
        self._alpha = budget.level(policy, 1 - budget.DRIFT_SHARE)
        self._minimum_days = max(1.0, FULL * policy.window_days)
        self._wrong, self._rows = float(wrong[held].sum()), int(held.sum())
        days, place = np.unique(np.floor(time[held] / DAY_SECONDS).astype(np.int64), return_inverse=True)
        self._days = len(days)
        counts = np.bincount(place, minlength=len(days)).astype(np.float64)
        errors = np.bincount(place, weights=wrong[held], minlength=len(days)).astype(np.float64)
        rates = scaled(errors, counts) if len(days) else np.empty(0)
        self._inflation = inflation(days, rates)
        self._together = together(errors, counts)
        self._variance = variance(counts, self._together)

    @property
    def baseline(self) -> float:
        """Share of held-out rows whose class was wrong."""
        return self._wrong / self._rows if self._rows else float("nan")

    def judge(self, rows: WindowRows) -> Quality | None:
        """Quality of a window's labelled rows; None without any. Unlabelled days never count as good or bad."""
        labelled = rows.labelled
        if not labelled.any() or not self._rows:
            return None
        wrong = (rows.prediction != rows.truth)[labelled].astype(np.float64)
        whole = whole_days(rows.time[labelled], 0.5 * self._usual_rows, 0.5 * self._usual_hours)
        _, counts = np.unique(np.floor(rows.time[labelled][whole] / DAY_SECONDS), return_counts=True)
        enough = len(counts) >= self._minimum_days and self._days >= MINIMUM_BASELINE_DAYS
        p_value = self._p_value(float(wrong[whole].sum()), counts.astype(np.float64)) if enough else 1.0
        return Quality(
            metric=METRIC,
            value=float(wrong.mean()),
            baseline=self.baseline,
            evidence=budget.evidence(p_value, self._alpha) if enough else 0.0,
            rows=int(labelled.sum()),
            coverage=float(labelled.mean()),
            delay_seconds=float(np.median((rows.known - rows.time)[labelled])),
            sufficiency="sufficient" if enough else "insufficient",
        )

    def _p_value(self, wrong: float, counts: NDArray[np.float64]) -> float:
        """Of so many errors on days of so many rows."""
        both = scaled(np.array([wrong, self._wrong]), np.array([counts.sum(), self._rows]))
        apart = both[:1] - both[1:]
        scatter = np.sqrt(self._inflation * (variance(counts, self._together) + self._variance))
        return float(stats.t.sf(apart[0] / scatter, max(1.0, self._days / self._inflation - 1)))


def scaled(wrong: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rates on the scale of constant variance, 1/(4 rows).

    >>> scaled(np.array([0.0, 50.0]), np.array([100.0, 100.0])).round(4).tolist()
    [0.061, 0.7854]
    """
    return np.arcsin(np.sqrt((wrong + 0.375) / (rows + 0.75)))


def together(wrong: NDArray[np.float64], rows: NDArray[np.float64]) -> float:
    """Correlation of the errors of one day, from how much more days scatter than independent rows would; at least 0.

    A few days tell their scatter badly, and under heavy traffic it is all that counts: it is taken from the upper side
    of what they allow, ``CAUTION`` of the chances being that it is larger.

    >>> together(np.array([0.0, 10.0]), np.array([10.0, 10.0]))
    1.0
    """
    rate = float(wrong.sum() / rows.sum()) if len(rows) else 0.0
    if len(rows) < 2 or not 0 < rate < 1 or rows.mean() <= 1:
        return 0.0
    pearson = float(((wrong - rows * rate) ** 2 / (rows * rate * (1 - rate))).sum())
    dispersion = pearson / float(stats.chi2.ppf(CAUTION, len(rows) - 1))
    return min(max(0.0, (dispersion - 1) / (float(rows.mean()) - 1)), 1.0)


def variance(rows: NDArray[np.float64], correlation: float) -> float:
    """Of the scaled rate of days with so many rows, pooled: 1/(4 n) where rows are independent."""
    total = float(rows.sum())
    return float((rows * (1 + (rows - 1) * correlation)).sum() / (4 * total**2)) if total else 0.0
