"""One look at a span of event time: checks first, then drift, then quality, into one Window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitoring.analysis.checks import check
from monitoring.analysis.drift.shift import BlockShift
from monitoring.analysis.quality import QualityBaseline
from monitoring.analysis.rates import RateBaseline
from staytrue.records import DAY_SECONDS
from staytrue.windows import Check, Evidence, Window

if TYPE_CHECKING:
    from monitoring.analysis.drift.base import Detector
    from monitoring.analysis.rows import WindowRows
    from staytrue.bundle import Bundle
    from staytrue.profile import ReferenceProfile
    from staytrue.sections import MonitoringSection


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
