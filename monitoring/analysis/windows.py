"""One look at a span of event time: checks first, then drift, then quality, into one Window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monitoring.analysis.checks import check
from monitoring.analysis.drift.shift import BlockShift
from monitoring.analysis.quality import QualityBaseline
from staytrue.records import DAY_SECONDS
from staytrue.windows import Check, Evidence, Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from monitoring.analysis.drift.base import Detector
    from staytrue.bundle import Bundle
    from staytrue.profile import ReferenceProfile
    from staytrue.sections import MonitoringSection


@dataclass(frozen=True)
class WindowRows:
    """Rows served in a span, in any order. Arrays of one length N.

    Shapes:
        time, prediction, truth, known: float64 [N]; version: object [N]; columns: [N], float64 with NaN for missing
        (numeric) or object of ``str | None`` (category).
    Units:
        time, known: Unix seconds of event time. truth: NaN where no label has come yet.
    """

    time: NDArray[np.float64]
    columns: Mapping[str, NDArray[Any]]
    prediction: NDArray[np.float64]
    truth: NDArray[np.float64]
    known: NDArray[np.float64]
    version: NDArray[Any]
    failures: int = 0

    def __len__(self) -> int:
        return len(self.time)

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
        since: event time from which this version answers; rows before are not its own and are left out.
    """

    def __init__(self, bundle: Bundle, profile: ReferenceProfile, policy: MonitoringSection, since: float) -> None:
        self.version, self.model, self.since = bundle.version, bundle.name, since
        self.lookback_days = policy.window_days
        self._profile = profile
        self._drift: Detector = BlockShift(profile, policy)
        self._quality = QualityBaseline(profile, policy)

    def look(self, rows: WindowRows, start: float, end: float) -> Window:
        """Judge the rows of [start, end). The same rows give the same window.

        Columns that fail their check are kept from the statistics: one column never costs a look.
        """
        own = rows.take((rows.time >= max(start, self.since)) & (rows.time < end) & (rows.version == self.version))
        checks = check(own, self._profile)
        drift = self._drift.evidence(own, unfit(checks))
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
