"""Quality: is the error of the window's labelled rows larger than held-out days of the reference explain?

The unit is the day: with y the logarithm of a day's mean absolute error, the baseline's n days have mean m and
deviation s, and days in a row resemble each other, so each counts as 1/d of a day, d = (1 + r) / (1 - r) with r their
lag-one correlation. A window of k days with mean y obeys under no change

    t = (y - m) / (s * sqrt(d/k + d/n))  ~  Student's t with n/d - 1 degrees of freedom.

Source: Student's comparison of two samples with an effective sample size, Thiebaux and Zwiers 1984,
J. Clim. Appl. Meteorol. 23.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from monitoring.analysis.blocks import FULL
from monitoring.analysis.drift import budget
from staytrue.records import DAY_SECONDS, HOUR_SECONDS
from staytrue.windows import Quality

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitoring.analysis.rows import WindowRows
    from staytrue.profile import ReferenceProfile
    from staytrue.sections import MonitoringSection

METRIC = "mean_absolute_error"
MINIMUM_BASELINE_DAYS = 5
COUNTS = 0.25
"""Held-out rows that weighed under this share of the newest in training speak of another season: they are left out."""
CORRELATION_LIMIT = 0.6
"""A few days estimate their correlation badly; beyond this they would be taken for hardly any."""


class QualityBaseline:
    """The held-out days of a version, and the comparison with a window."""

    def __init__(self, profile: ReferenceProfile, policy: MonitoringSection) -> None:
        prediction, truth = (np.array(side, dtype=np.float64) for side in (profile.prediction, profile.truth))
        error = np.abs(prediction - truth)
        weight = np.array(profile.weight) if profile.weight else np.ones(profile.rows)
        held = np.array(profile.split) == "validation"  # weights are scaled to mean 1 within each split
        held &= weight >= COUNTS * weight[held].max(initial=0.0)
        time = np.array(profile.time)
        self._days, values = daily(time[held], error[held])
        usual_rows, self._usual_hours = usual(time)
        self._usual_rows = policy.traffic_share * usual_rows
        self._alpha = budget.level(policy, 1 - budget.DRIFT_SHARE)
        self._minimum_days = max(1.0, FULL * policy.window_days)
        self._mean = float(values.mean()) if len(values) else float("nan")
        self._deviation = max(float(values.std(ddof=1)), 1e-6) if len(values) > 1 else float("nan")
        self._inflation = inflation(self._days, values)

    @property
    def baseline(self) -> float:
        """Usual mean absolute error of a held-out day (geometric mean over days), in units of the target."""
        return float(np.exp(self._mean))

    def judge(self, rows: WindowRows) -> Quality | None:
        """Quality of a window's labelled rows; None without any. Unlabelled days never count as good or bad."""
        if not np.isfinite(self._mean):  # without a baseline predictions may be texts too
            return None
        labelled = rows.labelled & np.isfinite(rows.prediction)
        if not labelled.any():
            return None
        error = np.abs(rows.prediction - rows.truth)[labelled]
        _, values = daily(rows.time[labelled], error, 0.5 * self._usual_rows, 0.5 * self._usual_hours)
        enough = len(values) >= self._minimum_days and len(self._days) >= MINIMUM_BASELINE_DAYS
        p_value = self._p_value(values) if enough else 1.0
        return Quality(
            metric=METRIC,
            value=float(error.mean()),
            baseline=self.baseline,
            evidence=budget.evidence(p_value, self._alpha) if enough else 0.0,
            rows=int(labelled.sum()),
            coverage=float(labelled.mean()),
            delay_seconds=float(np.median((rows.known - rows.time)[labelled])),
            sufficiency="sufficient" if enough else "insufficient",
        )

    def _p_value(self, values: NDArray[np.float64]) -> float:
        scatter = self._deviation * np.sqrt(self._inflation / len(values) + self._inflation / len(self._days))
        freedom = max(1.0, len(self._days) / self._inflation - 1)
        return float(stats.t.sf((values.mean() - self._mean) / scatter, freedom))


def daily(
    time: NDArray[np.float64], error: NDArray[np.float64], rows: float = 0.0, hours: float = 0.0
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Days (since 1970) with more than so many rows in more than so many hours, and the logarithm of each one's error.

    Errors depend on the hour: a thousand labels of one hour do not tell how good the day was.
    """
    days, place, counts = _days(time)
    sums = np.bincount(place, weights=error, minlength=len(days)) if len(days) else np.empty(0)
    kept = (counts > rows) & (_hours(time, days) > hours)
    return days[kept], np.log(np.maximum(sums[kept] / counts[kept], 1e-12))


def whole_days(time: NDArray[np.float64], rows: float, hours: float) -> NDArray[np.bool_]:
    """Which rows are of days with more than so many rows in more than so many hours."""
    days, place, counts = _days(time)
    kept = (counts > rows) & (_hours(time, days) > hours)
    return np.asarray(kept[place], dtype=np.bool_)


def _days(time: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Days since 1970, the day's place among them for each row, and the rows of each."""
    day = np.floor(time / DAY_SECONDS).astype(np.int64)
    days, place, counts = np.unique(day, return_inverse=True, return_counts=True)
    return days, place.astype(np.int64), counts.astype(np.int64)


def inflation(days: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    """How many days make one independent day: (1 + r) / (1 - r) of the correlation between days in a row."""
    if len(values) < 3:
        return 1.0
    apart = values - values.mean()
    neighbours = np.diff(days) == 1
    spread = float((apart**2).mean())
    if not neighbours.any() or spread == 0:
        return 1.0
    r = float(np.clip((apart[1:] * apart[:-1])[neighbours].mean() / spread, 0.0, CORRELATION_LIMIT))
    return (1 + r) / (1 - r)


def _hours(time: NDArray[np.float64], days: NDArray[np.int64]) -> NDArray[np.int64]:
    """In how many different hours of each day rows fall. Days ascend."""
    found = np.unique(np.floor(time / HOUR_SECONDS).astype(np.int64)) // 24
    return np.searchsorted(found, days, side="right") - np.searchsorted(found, days, side="left")


def usual(time: NDArray[np.float64]) -> tuple[float, float]:
    """Rows and hours of the median day."""
    days, counts = np.unique(np.floor(time / DAY_SECONDS).astype(np.int64), return_counts=True)
    return (float(np.median(counts)), float(np.median(_hours(time, days)))) if len(days) else (0.0, 0.0)
