"""One look at a span of event time: checks first, then drift, then quality, into one Window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from monitoring.analysis.checks import check
from monitoring.analysis.drift.shift import BlockShift
from monitoring.analysis.quality import QualityBaseline
from monitoring.analysis.rates import RateBaseline
from staytrue.records import DAY_SECONDS
from staytrue.windows import Check, Evidence, Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from monitoring.analysis.drift.base import Detector
    from staytrue.bundle import Bundle
    from staytrue.profile import ReferenceProfile
    from staytrue.sections import MonitoringSection


@dataclass(frozen=True)
class WindowRows:
    """Rows served in a span, in any order. Arrays of one length N.

    Shapes:
        time, known: float64 [N]; version: object [N]; columns: [N], float64 with NaN for missing (numeric) or object of
        ``str | None`` (category). prediction, truth: [N], float64 (regression) or object of ``str | None``
        (classification). Of pictures, columns hold the numbers of :mod:`staytrue.pictures`.
    Units:
        time, known: Unix seconds of event time. truth: NaN or None where no label has come yet.
    """

    time: NDArray[np.float64]
    columns: Mapping[str, NDArray[Any]]
    prediction: NDArray[Any]
    truth: NDArray[Any]
    known: NDArray[np.float64]
    version: NDArray[Any]
    failures: int = 0

    def __len__(self) -> int:
        return len(self.time)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which rows have a label."""
        if self.truth.dtype == object:
            return np.array([truth is not None for truth in self.truth], dtype=np.bool_)
        return np.asarray(np.isfinite(self.truth), dtype=np.bool_)

    def take(self, which: NDArray[np.bool_]) -> WindowRows:
        """The rows where ``which`` is true."""
        return WindowRows(
            time=self.time[which],
            columns={name: column[which] for name, column in self.columns.items()},
            prediction=self.prediction[which],
            truth=self.truth[which],
            known=self.known[which],
            version=self.version[which],
            failures=self.failures,
        )


class Analysis:
    """What one version's windows are judged against; calibrated once, then the same for every look.

    Args:
        bundle: the version.
        profile: its reference rows.
        policy: the stated budget and the spans.
        since: event time from which this version answers; what it predicted before is not judged.
    """

    def __init__(self, bundle: Bundle, profile: ReferenceProfile, policy: MonitoringSection, since: float) -> None:
        self.version, self.model, self.since = bundle.version, bundle.name, since
        self.lookback_days = policy.window_days
        self._profile = profile
        self._drift: Detector = BlockShift(profile, policy)
        classes = any(isinstance(truth, str) for truth in profile.truth)
        self._quality = RateBaseline(profile, policy) if classes else QualityBaseline(profile, policy)

    def look(self, rows: WindowRows, start: float, end: float) -> Window:
        """Judge the rows of [start, end). The same rows give the same window.

        Inputs come from the world, whichever version answered: all rows tell of their drift, so a promotion does not
        blind the watch for the length of a window. Predictions and quality are the version's own.
        Columns that fail their check are kept from the statistics: one column never costs a look.
        """
        served = rows.take((rows.time >= start) & (rows.time < end))
        own = served.take((served.time >= self.since) & (served.version == self.version))
        # A feature that only this version takes is not missing because others answered before.
        checks = check(own if len(own) else served, self._profile)
        drift = self._drift.evidence(served, own, unfit(checks))
        return Window(
            model=self.model,
            version=self.version,
            start=start,
            end=end,
            rows=len(own),
            failures=rows.failures,
            checks=checks,
            drift=drift,
            quality=self._quality.judge(own),
            note=note(drift, len(own), (end - start) / DAY_SECONDS),
        )


def unfit(checks: list[Check]) -> set[str]:
    """Columns that failed a check and carry no statistic."""
    return {item.column for item in checks if item.verdict == "fail" and item.column}


def note(drift: list[Evidence], rows: int, days: float) -> str:
    """One sentence for people, empty where all is plain."""
    if drift and all(item.sufficiency == "insufficient" for item in drift):
        return f"insufficient evidence: {rows} rows in {days:g} days; {drift[0].detail}"
    return ""
