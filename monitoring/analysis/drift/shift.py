"""Block shift: has the mean (or the mix of categories) of a week moved further than weeks of the reference do?

Rows of one week resemble each other, since weather persists, so the scatter that matters is that between whole weeks.
With block means m_1..m_n of the reference, mean m and deviation s, a further block's mean x obeys under no drift

    t = (x - m) / (s * sqrt(1 + 1/n))  ~  Student's t with n - 1 degrees of freedom

(the prediction interval for one future observation). Categories: x is the total variation distance between the window's
mix and the reference's, and its null the distances of each block to the other blocks, one-sided.

Source: Hahn and Meeker, Statistical Intervals (1991), section 4.7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from monitoring.analysis.blocks import WHOLE_WINDOW, extent, usual_extent, whole_blocks
from monitoring.analysis.drift import budget
from staytrue.records import DAY_SECONDS
from staytrue.windows import Evidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitoring.analysis.rows import WindowRows
    from staytrue.profile import ReferenceProfile
    from staytrue.sections import MonitoringSection

MINIMUM_BLOCKS = 5
TOLERANCE = 0.05
"""Block scatter below this share of a column's own deviation is not believed: a finite reference is slightly wrong,
and a shift that small matters to no model. For categories: below 5 points of the mix."""
FENCE = 10.0
"""Values are held within ten interquartile ranges of the quartiles, so that one 1e9 cannot move a mean."""
ROUNDING = 1e-6
"""A constant column may come back from a client in single precision: that is no shift."""
PREDICTION, CONFIDENCE = "prediction", "confidence"
OUTPUTS = (PREDICTION, CONFIDENCE)
"""What a version gives, not the world: judged on the rows that it answered itself."""


@dataclass(frozen=True)
class Null:
    """What blocks of the reference do: centre and deviation of the statistic, over n blocks."""

    centre: float
    deviation: float
    blocks: int
    two_sided: bool

    def p_value(self, value: float) -> tuple[float, float]:
        """Student's t of a further block, and its p-value."""
        t = (value - self.centre) / (self.deviation * np.sqrt(1 + 1 / self.blocks))
        tail = float(stats.t.sf(abs(t) if self.two_sided else t, self.blocks - 1))
        return float(t), min(1.0, 2 * tail) if self.two_sided else tail


class Numeric:
    """Mean of a numeric column."""

    def __init__(self, values: NDArray[np.float64], blocks: list[NDArray[np.intp]]) -> None:
        self._fences = _fences(values[np.isfinite(values)])
        means = np.array([self.statistic(values[block]) for block in blocks])
        means = means[np.isfinite(means)]
        centre = float(means.mean()) if len(means) else 0.0
        floor = TOLERANCE * float(np.nanstd(np.clip(values, *self._fences))) if len(means) else 0.0
        scatter = float(means.std(ddof=1)) if len(means) > 1 else 0.0
        self.null = Null(centre, max(scatter, floor, ROUNDING * abs(centre), 1e-12), len(means), two_sided=True)

    def statistic(self, values: NDArray[np.float64]) -> float:
        """Mean of the values that are there, within the fences."""
        there = values[np.isfinite(values)]
        return float(np.clip(there, *self._fences).mean()) if len(there) else float("nan")


class Category:
    """Mix of a categorical column."""

    def __init__(self, values: NDArray[Any], blocks: list[NDArray[np.intp]]) -> None:
        levels, codes = np.unique(np.array([str(v) for v in values]), return_inverse=True)
        self._levels = {level: place for place, level in enumerate(levels)}
        counts = np.array([np.bincount(codes[block], minlength=len(levels) + 1) for block in blocks], dtype=np.float64)
        total = counts.sum(axis=0) if len(counts) else np.zeros(len(levels) + 1)
        self._mix = total / max(total.sum(), 1.0)
        apart = np.array([_distance(row, total - row) for row in counts])
        deviation = max(float(apart.std(ddof=1)) if len(apart) > 1 else 0.0, TOLERANCE)
        self.null = Null(float(apart.mean()) if len(apart) else 0.0, deviation, len(apart), two_sided=False)

    def statistic(self, values: NDArray[Any]) -> float:
        """Total variation distance to the reference's mix; categories it never saw count as one more."""
        other = len(self._levels)
        codes = np.array([self._levels.get(str(v), other) for v in values], dtype=np.int64)
        return _distance(np.bincount(codes, minlength=other + 1).astype(np.float64), self._mix)


class BlockShift:
    """The detector over all features and the model's own prediction, multiplicity paid for."""

    name = "block_shift"

    def __init__(self, profile: ReferenceProfile, policy: MonitoringSection) -> None:
        time = np.array(profile.time)
        blocks = whole_blocks(time, policy.window_days * DAY_SECONDS)
        self._alpha = budget.level(policy, budget.DRIFT_SHARE)
        # A sidecar that sees half of the traffic has half of the rows, in as many hours of as long a span.
        self._enough = WHOLE_WINDOW * usual_extent(time, blocks) * np.array([policy.traffic_share, 1.0, 1.0])
        self._features: dict[str, Numeric | Category] = {
            column.name: Numeric(np.array(column.values, dtype=np.float64), blocks)
            if column.kind == "numeric"
            else Category(np.array(column.values, dtype=object), blocks)
            for column in profile.columns
        }
        classes = any(isinstance(value, str) for value in profile.prediction)
        outputs = np.array(profile.prediction, dtype=object if classes else np.float64)
        self._features[PREDICTION] = Category(outputs, blocks) if classes else Numeric(outputs, blocks)

    def evidence(self, served: WindowRows, own: WindowRows, unfit: set[str]) -> list[Evidence]:
        """Evidence of each feature that passed its checks; "insufficient" where rows or blocks are too few."""
        names = [
            name for name in self._features if name not in unfit and (name in served.columns or name == PREDICTION)
        ]
        tested: list[tuple[str, float, float, float]] = []
        untested: list[Evidence] = []
        for name in names:
            feature, rows = self._features[name], own if name in OUTPUTS else served
            if not self._enough.any() or np.any(extent(rows.time) < self._enough):
                untested.append(self._insufficient(name, self._needed()))
                continue
            value = feature.statistic(rows.prediction if name == PREDICTION else rows.columns[name])
            if feature.null.blocks < MINIMUM_BLOCKS or not np.isfinite(value):
                untested.append(
                    self._insufficient(name, f"{feature.null.blocks} whole blocks, {MINIMUM_BLOCKS} needed")
                )
            else:
                tested.append((name, value, *feature.null.p_value(value)))
        adjusted = budget.adjusted([p for *_, p in tested]) if tested else np.empty(0)
        found = [
            Evidence(
                detector=self.name,
                feature=name,
                evidence=budget.evidence(float(p), self._alpha),
                statistic=t,
                p_value=float(p),
                detail=self._told(name, value),
            )
            for (name, value, t, _), p in zip(tested, adjusted, strict=True)
        ]
        return found + untested

    def _needed(self) -> str:
        if not self._enough.any():
            return "the version has no reference rows to compare them with"
        count, hours, seconds = self._enough
        return (
            f"a window needs {count:.0f} rows in {hours:.0f} hours over {seconds / DAY_SECONDS:.1f} days, "
            "nearly as much as blocks of the reference have"
        )

    def _told(self, name: str, value: float) -> str:
        feature = self._features[name]
        if isinstance(feature, Category):
            return f"mix {value:.0%} apart, blocks of the reference {feature.null.centre:.0%}"
        return f"mean {value:.4g}, reference {feature.null.centre:.4g} ± {feature.null.deviation:.2g}"

    def _insufficient(self, name: str, detail: str) -> Evidence:
        return Evidence(detector=self.name, feature=name, evidence=0.0, sufficiency="insufficient", detail=detail)


def _fences(there: NDArray[np.float64]) -> tuple[float, float]:
    """Bounds that values are held within.

    Where the quartiles are equal (a column that is mostly zero), wider quantiles measure the spread.
    """
    if not len(there):
        return -np.inf, np.inf
    quantiles = np.quantile(there, [0.25, 0.05, 0.01, 0.75, 0.95, 0.99])
    spreads = quantiles[3:] - quantiles[:3]
    spread = float(next((s for s in spreads if s > 0), 1e-3 * abs(quantiles[0]) + 1e-9))
    return float(quantiles[0]) - FENCE * spread, float(quantiles[3]) + FENCE * spread


def _distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Total variation distance of two mixes, in [0, 1]."""
    return float(0.5 * np.abs(a / max(a.sum(), 1e-12) - b / max(b.sum(), 1e-12)).sum())
