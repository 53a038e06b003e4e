"""Error rates against held-out days: closed forms, late labels, days without errors, and the budget kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from monitoring.analysis.drift import budget
from monitoring.analysis.rates import RateBaseline, scaled, together, variance
from monitoring.analysis.rows import WindowRows
from monitoring.analysis.windows import Analysis
from staytrue.profile import ReferenceProfile
from staytrue.records import DAY_SECONDS
from staytrue.sections import MonitoringSection
from tests.unit.monitoring.analysis.made import BUNDLE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.windows import Quality

POLICY = MonitoringSection(window_days=7)
A_DAY, HELD_DAYS = 96, 20
RATE = 12 / A_DAY


def times(first: float, days: int) -> NDArray[np.float64]:
    """A row each quarter of an hour."""
    return first + np.arange(days * A_DAY) * DAY_SECONDS / A_DAY


def classes(wrong: NDArray[np.bool_]) -> NDArray[Any]:
    """What was said of rows whose class is "a"."""
    return np.where(wrong, "b", "a").astype(object)


def every_eighth(days: int) -> NDArray[np.bool_]:
    """Twelve errors each day."""
    return np.asarray(np.arange(days * A_DAY) % 8 == 0, dtype=np.bool_)


def baseline_of(wrong: NDArray[np.bool_]) -> RateBaseline:
    """Held-out days with these errors, every second day, so that none follows another."""
    days = len(wrong) // A_DAY
    time = np.concatenate([times(2 * day * DAY_SECONDS, 1) for day in range(days)])
    profile = ReferenceProfile(
        columns=[],
        time=time.tolist(),
        split=["validation"] * len(time),
        prediction=classes(wrong).tolist(),
        truth=["a"] * len(time),
    )
    return RateBaseline(profile, POLICY)


def window_of(wrong: NDArray[np.bool_], labelled: NDArray[np.bool_] | None = None) -> WindowRows:
    """A week, labelled an hour later where it is."""
    time = times(100 * DAY_SECONDS, len(wrong) // A_DAY)
    truth = np.full(len(time), "a", dtype=object)
    if labelled is not None:
        truth[~labelled] = None
    version = np.full(len(time), "1", dtype=object)
    return WindowRows(time, {}, classes(wrong), truth, time + 3600, version)


def judged(baseline: RateBaseline, rows: WindowRows) -> Quality:
    found = baseline.judge(rows)
    assert found is not None
    return found


def test_evidence_is_that_of_two_pooled_rates() -> None:
    wrong = np.arange(7 * A_DAY) % 6 == 0  # 112 of 672
    found = judged(baseline_of(every_eighth(HELD_DAYS)), window_of(wrong))
    n, m = 7 * A_DAY, HELD_DAYS * A_DAY
    y = [np.arcsin(np.sqrt((x + 3 / 8) / (rows + 3 / 4))) for x, rows in ((112, n), (m / 8, m))]
    t = (y[0] - y[1]) / np.sqrt(1 / (4 * n) + 1 / (4 * m))
    level = budget.level(POLICY, 1 - budget.DRIFT_SHARE)
    assert found.evidence == pytest.approx(budget.evidence(float(stats.t.sf(t, HELD_DAYS - 1)), level))
    assert found.metric == "error_rate"
    assert (found.value, found.baseline) == pytest.approx((1 / 6, 1 / 8))


def test_a_doubled_rate_alarms_and_the_same_does_not() -> None:
    baseline = baseline_of(every_eighth(HELD_DAYS))
    assert judged(baseline, window_of(np.arange(7 * A_DAY) % 4 == 0)).evidence >= 1
    assert judged(baseline, window_of(every_eighth(7))).evidence < 1
    assert judged(baseline, window_of(np.zeros(7 * A_DAY, dtype=bool))).evidence == pytest.approx(0, abs=1e-6)


def test_a_classifier_that_never_erred_is_no_division_by_zero() -> None:
    spotless = baseline_of(np.zeros(HELD_DAYS * A_DAY, dtype=bool))
    one = np.arange(7 * A_DAY) == 50
    assert judged(spotless, window_of(one)).evidence < 1  # one error of 672 is no alarm
    assert judged(spotless, window_of(every_eighth(7))).evidence > 1


def test_days_that_go_wrong_together_count_for_less() -> None:
    by_day = np.repeat(np.arange(HELD_DAYS) % 4 == 0, A_DAY) & (np.arange(HELD_DAYS * A_DAY) % 2 == 0)
    even = baseline_of(every_eighth(HELD_DAYS))
    uneven = baseline_of(by_day)
    assert uneven.baseline == pytest.approx(even.baseline)
    worse = window_of(np.arange(7 * A_DAY) % 5 == 0)
    assert judged(uneven, worse).evidence < judged(even, worse).evidence


def test_what_goes_wrong_together_is_measured_by_the_scatter_of_days() -> None:
    rows = np.array([11.0, 11.0, 11.0])
    pearson = (4 + 4 + 0) / (4 * 7 / 11)  # of 2, 6 and 4 errors
    f = pearson / stats.chi2.ppf(0.25, 2)
    assert together(np.array([2.0, 6.0, 4.0]), rows) == pytest.approx((f - 1) / 10)
    assert together(np.array([4.0, 4.0, 4.0]), rows) == 0.0
    assert together(np.array([1.0]), np.array([2.0])) == together(np.zeros(3), rows) == 0.0
    assert variance(rows, 0.0) == pytest.approx(1 / (4 * 33))
    assert variance(rows, 1.0) == pytest.approx(1 / (4 * 3))  # three draws, however many rows


def test_the_scale_has_the_variance_that_it_promises() -> None:
    draw = np.random.default_rng(0)
    for rate in (0.05, 0.3, 0.8):
        drawn = scaled(draw.binomial(400, rate, 20_000).astype(float), np.full(20_000, 400.0))
        assert drawn.var() == pytest.approx(1 / 1600, rel=0.05)


def test_coverage_delay_and_too_few_labels_are_told() -> None:
    baseline = baseline_of(every_eighth(HELD_DAYS))
    some = np.arange(7 * A_DAY) < 2 * A_DAY
    found = judged(baseline, window_of(~every_eighth(7), some))
    assert (found.sufficiency, found.evidence, found.delay_seconds) == ("insufficient", 0.0, 3600)
    assert found.coverage == pytest.approx(2 / 7)
    assert baseline.judge(window_of(every_eighth(7), np.zeros(7 * A_DAY, dtype=bool))) is None
    few = baseline_of(every_eighth(4))
    assert judged(few, window_of(~every_eighth(7))).sufficiency == "insufficient"


@pytest.mark.parametrize("rate", [0.05, 0.2])
@pytest.mark.parametrize("scatter", [0.0, 0.02])
@pytest.mark.parametrize("traffic", [1, 10, 100])
def test_stationary_days_keep_to_the_budget(rate: float, scatter: float, traffic: int) -> None:
    """Days whose own rates scatter by so many points; live traffic as the reference's or far heavier; many worlds."""
    draw = np.random.default_rng(7)
    level = budget.level(POLICY, 1 - budget.DRIFT_SHARE)
    worlds, over = 150, 0
    for _ in range(worlds):
        own = np.clip(rate + scatter * draw.standard_normal(HELD_DAYS + 7), 0.0, 1.0)
        errors = draw.binomial(A_DAY, own[:HELD_DAYS])
        baseline = baseline_of(np.concatenate([np.arange(A_DAY) < count for count in errors]))
        live = draw.binomial(A_DAY * traffic, own[HELD_DAYS:])
        over += baseline._p_value(float(live.sum()), np.full(7, float(A_DAY * traffic))) <= level
    expected = level * worlds
    assert over <= expected + 2.5 * np.sqrt(expected)


def test_an_analysis_of_classes_judges_rates_and_the_mix_of_predictions() -> None:
    time = times(0, 70)
    truth = np.where(np.arange(len(time)) % 2 == 0, "a", "b").astype(object)
    profile = ReferenceProfile(
        columns=[],
        time=time.tolist(),
        split=["validation" if at // DAY_SECONDS % 2 else "train" for at in time],
        prediction=truth.tolist(),
        truth=truth.tolist(),
    )
    analysis = Analysis(BUNDLE, profile, POLICY, since=0.0)
    live = times(70 * DAY_SECONDS, 7)
    always = np.full(len(live), "a", dtype=object)
    told = np.where(np.arange(len(live)) % 2 == 0, "a", "b").astype(object)
    rows = WindowRows(live, {}, always, told, live + 60, np.full(len(live), "1", dtype=object))
    window = analysis.look(rows, 70 * DAY_SECONDS, 77 * DAY_SECONDS)
    assert window.quality is not None
    assert window.quality.metric == "error_rate"
    assert window.quality.value == pytest.approx(0.5)
    assert window.quality.evidence > 1
    [prediction] = window.drift
    assert (prediction.feature, prediction.evidence > 1) == ("prediction", True)
    assert prediction.detail.startswith("mix 50% apart")
