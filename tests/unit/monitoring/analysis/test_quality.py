"""Quality against held-out days: closed forms, late labels, and what it is silent about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import signal, stats

from monitoring.analysis.drift import budget
from monitoring.analysis.quality import QualityBaseline, daily, inflation
from staytrue.records import DAY_SECONDS
from staytrue.sections import MonitoringSection
from tests.unit.monitoring.analysis.made import profile_of, rows_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.windows import Quality

POLICY = MonitoringSection(window_days=7)
DAYS = 21
TIME = np.arange(24.0 * DAYS) * 3600
LIVE = TIME[:168] + DAYS * DAY_SECONDS
# Every other day held out, so that none follows another: their correlation is zero by construction.
HELD = TIME // DAY_SECONDS % 2 == 0
DAILY = 10 * np.exp(0.2 * np.random.default_rng(0).normal(size=DAYS))
ERROR = np.repeat(DAILY, 24)


@pytest.fixture
def baseline() -> QualityBaseline:
    """Eleven held-out days with errors around 10; the days trained on have none."""
    return QualityBaseline(profile_of(TIME, truth=np.where(HELD, ERROR, 0.0), held=HELD), POLICY)


def judged(baseline: QualityBaseline, error: float | NDArray[np.float64]) -> Quality:
    """A live week with these errors."""
    quality = baseline.judge(rows_of(LIVE, truth=np.broadcast_to(np.asarray(error, dtype=float), 168)))
    assert quality is not None
    return quality


def test_evidence_is_that_of_two_samples_of_log_daily_errors(baseline: QualityBaseline) -> None:
    logs = np.log(DAILY[::2])
    t = (np.log(14.0) - logs.mean()) / (logs.std(ddof=1) * np.sqrt(1 / 7 + 1 / 11))
    level = budget.level(POLICY, 1 - budget.DRIFT_SHARE)
    expected = budget.evidence(float(stats.t.sf(t, 10)), level)
    assert judged(baseline, 14.0).evidence == pytest.approx(expected)


def test_baseline_is_the_geometric_mean_of_held_out_days_alone(baseline: QualityBaseline) -> None:
    assert baseline.baseline == pytest.approx(float(np.exp(np.log(DAILY[::2]).mean())))


@pytest.mark.parametrize(("error", "alarm"), [(5.0, False), (10.0, False), (11.0, False), (20.0, True), (30.0, True)])
def test_an_error_twice_as_large_alarms_and_a_tenth_more_does_not(
    baseline: QualityBaseline, error: float, alarm: bool
) -> None:
    quality = judged(baseline, error)
    assert (quality.evidence >= 1) is alarm
    assert quality.value == pytest.approx(error)
    assert quality.sufficiency == "sufficient"


def test_labels_in_any_order_give_the_same_figure(baseline: QualityBaseline) -> None:
    error = np.random.default_rng(1).uniform(5, 30, 168)
    order = np.random.default_rng(2).permutation(168)
    mixed = baseline.judge(rows_of(LIVE[order], truth=error[order]))
    assert mixed is not None
    assert mixed.evidence == pytest.approx(judged(baseline, error).evidence)


def test_coverage_and_delay_are_those_of_the_labels_that_came(baseline: QualityBaseline) -> None:
    truth = np.where(np.arange(168) < 42, 10.0, np.nan)
    quality = baseline.judge(rows_of(LIVE, truth=truth, delay=7200))
    assert quality is not None
    assert (quality.coverage, quality.rows, quality.delay_seconds) == (0.25, 42, 7200)


def test_too_few_labelled_days_are_insufficient_evidence(baseline: QualityBaseline) -> None:
    truth = np.where(np.arange(168) < 5 * 24, 1000.0, np.nan)
    quality = baseline.judge(rows_of(LIVE, truth=truth))
    assert quality is not None
    assert (quality.sufficiency, quality.evidence) == ("insufficient", 0.0)


def test_too_few_held_out_days_are_insufficient_evidence() -> None:
    held = TIME < 4 * DAY_SECONDS
    quality = QualityBaseline(profile_of(TIME, truth=ERROR, held=held), POLICY)
    found = quality.judge(rows_of(LIVE, truth=np.full(168, 1000.0)))
    assert found is not None
    assert (found.sufficiency, found.evidence) == ("insufficient", 0.0)


def test_without_labels_or_held_out_rows_there_is_nothing_to_say(baseline: QualityBaseline) -> None:
    assert baseline.judge(rows_of(LIVE)) is None
    nothing = QualityBaseline(profile_of(TIME, truth=ERROR), POLICY)
    assert nothing.judge(rows_of(LIVE, truth=np.full(168, 10.0))) is None


def test_held_out_rows_of_an_old_season_are_no_baseline() -> None:
    old = TIME < 7 * DAY_SECONDS
    truth, weight = np.where(old, 100.0, 10.0), np.where(old, 0.05, 1.0)
    held = np.ones(len(TIME), dtype=bool)
    assert QualityBaseline(profile_of(TIME, truth=truth, held=held, weight=weight), POLICY).baseline == (
        pytest.approx(10.0)
    )


def test_daily_errors_are_means_by_day_and_thin_days_are_left_out() -> None:
    time = np.array([0.0, 1.0, 2.0, DAY_SECONDS, 3 * DAY_SECONDS, 3 * DAY_SECONDS + 1])
    days, logs = daily(time, np.array([1.0, 2.0, 3.0, 9.0, 4.0, 4.0]), 1.0)
    assert days.tolist() == [0, 3]
    assert np.exp(logs) == pytest.approx([2.0, 4.0])


def test_independent_days_count_in_full_and_correlated_days_for_less() -> None:
    draw = np.random.default_rng(0).normal(size=20_000)
    days = np.arange(20_000)
    assert inflation(days, draw) == pytest.approx(1.0, abs=0.03)
    wave = signal.lfilter([1.0], [1.0, -0.5], draw)
    assert inflation(days, wave) == pytest.approx(3.0, rel=0.05)  # (1 + .5) / (1 - .5)


def test_correlation_is_that_of_days_in_a_row_and_never_beyond_its_limit() -> None:
    assert inflation(np.arange(0, 20, 2), np.arange(10.0)) == 1.0  # no day follows another
    assert inflation(np.arange(50), np.arange(50.0)) == pytest.approx(4.0)  # (1 + .6) / (1 - .6)
    assert inflation(np.arange(10), np.ones(10)) == 1.0
    assert inflation(np.arange(2), np.array([1.0, 2.0])) == 1.0


def test_error_free_baselines_are_no_division_by_zero() -> None:
    perfect = QualityBaseline(profile_of(TIME, held=np.ones(len(TIME), dtype=bool)), POLICY)
    found = perfect.judge(rows_of(LIVE, truth=np.zeros(168)))
    assert found is not None
    assert found.evidence < 1


def test_many_labels_of_one_hour_a_day_make_no_day(baseline: QualityBaseline) -> None:
    # A day's error depends on its hours: what a busy server saw in one of them says nothing of the day.
    time = np.repeat(LIVE[::24], 100) + np.tile(np.arange(100.0) * 30, 7)
    quality = baseline.judge(rows_of(time, truth=np.full(700, 1000.0)))
    assert quality is not None
    assert (quality.sufficiency, quality.evidence) == ("insufficient", 0.0)
