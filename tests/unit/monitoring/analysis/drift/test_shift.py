"""The drift detector: closed forms, and what it stays silent about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from monitoring.analysis.drift.shift import MINIMUM_BLOCKS, BlockShift, Category, Null, Numeric
from staytrue.records import DAY_SECONDS
from staytrue.sections import MonitoringSection
from tests.unit.monitoring.analysis.made import profile_of, rows_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitoring.analysis.drift.base import Detector
    from monitoring.analysis.rows import WindowRows
    from staytrue.windows import Evidence

POLICY = MonitoringSection(window_days=7)
WEEKS = 10
TIME = np.arange(24.0 * 7 * WEEKS) * 3600
LIVE = TIME[:168] + 7 * WEEKS * DAY_SECONDS
HOUR = (TIME // 3600) % 24


def weekly(draw: np.random.Generator, weeks: int, scatter: float = 1.0) -> NDArray[np.float64]:
    """Hourly values whose weeks differ: a mean a week, a daily cycle, noise."""
    means = np.repeat(draw.normal(0, scatter, weeks), 168)
    return means + np.sin(2 * np.pi * np.arange(168 * weeks) / 24) + draw.normal(0, 0.3, 168 * weeks)


def judged(detector: Detector, rows: WindowRows, unfit: set[str]) -> list[Evidence]:
    """Evidence where one version answered all rows."""
    return detector.evidence(rows, rows, unfit)


def by_feature(found: list[Evidence]) -> dict[str, Evidence]:
    """Evidence by feature's name."""
    return {item.feature: item for item in found}


def test_numeric_t_is_that_of_a_prediction_interval_for_one_more_block() -> None:
    values = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], 10)
    null = Numeric(values, list(np.arange(50).reshape(5, 10))).null
    assert (null.centre, null.blocks) == (3.0, 5)
    assert null.deviation == pytest.approx(np.sqrt(2.5))
    t, p_value = null.p_value(7.0)
    assert t == pytest.approx(4 / np.sqrt(2.5 * 1.2))
    assert p_value == pytest.approx(2 * stats.t.sf(t, 4))


def test_p_values_of_further_normal_blocks_are_uniform() -> None:
    draw = np.random.default_rng(0)
    p_values = []
    for _ in range(2000):
        blocks = draw.normal(size=6)
        null = Null(float(blocks[:5].mean()), float(blocks[:5].std(ddof=1)), 5, two_sided=True)
        p_values.append(null.p_value(blocks[5])[1])
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_a_one_sided_null_asks_only_whether_the_distance_grew() -> None:
    null = Null(0.2, 0.05, 8, two_sided=False)
    assert null.p_value(0.1)[1] > 0.5
    assert null.p_value(0.4)[1] < 0.01


def test_category_statistic_is_the_total_variation_distance() -> None:
    values = np.array(["a", "a", "a", "b"] * 10, dtype=object)
    category = Category(values, list(np.arange(40).reshape(5, 8)))
    assert category.statistic(values) == 0.0
    assert category.statistic(np.array(["a", "b"] * 8, dtype=object)) == pytest.approx(0.25)
    assert category.statistic(np.array(["c"] * 8, dtype=object)) == 1.0  # categories that the reference never saw
    assert category.null.deviation == 0.05  # blocks that are all alike are not believed to differ by nothing


def test_one_enormous_value_does_not_move_a_mean() -> None:
    draw = np.random.default_rng(0)
    values = draw.normal(size=168 * WEEKS)
    spoilt = values.copy()
    spoilt[5] = 1e9
    blocks = list(np.arange(len(values)).reshape(WEEKS, 168))
    clean, dirty = Numeric(values, blocks), Numeric(spoilt, blocks)
    assert dirty.null.centre == pytest.approx(clean.null.centre, abs=0.02)
    assert dirty.null.deviation == pytest.approx(clean.null.deviation, abs=0.05)
    assert dirty.statistic(spoilt[:168]) == pytest.approx(clean.statistic(values[:168]), abs=0.1)


def test_missing_and_infinite_values_are_left_out_of_a_mean() -> None:
    values = np.tile([1.0, 2.0, 3.0], 20)
    numeric = Numeric(values, list(np.arange(60).reshape(5, 12)))
    assert numeric.statistic(np.array([1.0, np.nan, 3.0, np.inf])) == pytest.approx(2.0)
    assert np.isnan(numeric.statistic(np.array([np.nan, np.inf])))


@pytest.fixture
def watched() -> BlockShift:
    """Ten weeks of three columns: one that varies by week, the hour of the day, the weekday."""
    columns: dict[str, NDArray[Any]] = {
        "warmth": weekly(np.random.default_rng(1), WEEKS),
        "hour": np.array([f"{hour:.0f}" for hour in HOUR], dtype=object),
        "weekday": np.array([f"{day:.0f}" for day in TIME // DAY_SECONDS % 7], dtype=object),
        "unmoved": np.full(len(TIME), 0.3),
    }
    return BlockShift(profile_of(TIME, columns), POLICY)


def window(shift: float = 0.0, rows: int = 168) -> Any:
    """A live week of these columns."""
    columns: dict[str, NDArray[Any]] = {
        "warmth": weekly(np.random.default_rng(2), 1, scatter=0.0) + shift,
        "hour": np.array([f"{hour % 24}" for hour in range(168)], dtype=object),
        "weekday": np.array([f"{hour // 24}" for hour in range(168)], dtype=object),
        "unmoved": np.full(168, np.float64(np.float32(0.3))),
    }
    return rows_of(LIVE[:rows], {name: values[:rows] for name, values in columns.items()})


def test_the_contract_of_detectors_is_kept(watched: BlockShift) -> None:
    detector: Detector = watched
    assert by_feature(judged(detector, window(), set())).keys() == {
        "warmth",
        "hour",
        "weekday",
        "unmoved",
        "prediction",
    }


def test_an_ordinary_week_is_silent_and_columns_of_the_calendar_are_too(watched: BlockShift) -> None:
    found = by_feature(judged(watched, window(), set()))
    assert all(item.evidence < 0.5 for item in found.values())
    assert {item.sufficiency for item in found.values()} == {"sufficient"}


def test_a_week_far_from_all_others_is_drift_of_that_column_alone(watched: BlockShift) -> None:
    found = by_feature(judged(watched, window(shift=8.0), set()))
    assert found["warmth"].evidence > 1
    assert found["warmth"].detail.startswith("mean 7.9")
    assert all(item.evidence < 0.5 for name, item in found.items() if name != "warmth")


def test_a_constant_that_comes_back_in_single_precision_has_not_moved(watched: BlockShift) -> None:
    assert by_feature(judged(watched, window(), set()))["unmoved"].evidence < 0.1


def test_evidence_grows_with_the_shift_without_saturating(watched: BlockShift) -> None:
    grown = [
        by_feature(judged(watched, window(shift=shift), set()))["warmth"].evidence
        for shift in (2.0, 4.0, 8.0, 16.0, 32.0)
    ]
    assert np.all(np.diff(grown) > 0)


def test_too_few_rows_are_insufficient_evidence(watched: BlockShift) -> None:
    found = judged(watched, window(shift=100.0, rows=144), set())
    assert {(item.sufficiency, item.evidence) for item in found} == {("insufficient", 0.0)}


def test_too_few_blocks_are_insufficient_evidence() -> None:
    few = TIME[: 168 * (MINIMUM_BLOCKS - 1)]
    detector = BlockShift(profile_of(few, {"warmth": np.sin(few)}), POLICY)
    found = judged(detector, rows_of(LIVE, {"warmth": np.full(168, 1e6)}), set())
    assert {(item.sufficiency, item.evidence) for item in found} == {("insufficient", 0.0)}
    assert "blocks" in found[0].detail


def test_an_unfit_column_costs_no_other(watched: BlockShift) -> None:
    found = by_feature(judged(watched, window(shift=8.0), {"hour"}))
    assert "hour" not in found
    assert found["warmth"].evidence > 1


def test_an_absent_or_empty_column_costs_no_other(watched: BlockShift) -> None:
    rows = window(shift=8.0)
    columns = {name: values for name, values in rows.columns.items() if name != "weekday"}
    columns["unmoved"] = np.full(168, np.nan)
    found = by_feature(judged(watched, rows_of(LIVE, columns), set()))
    assert "weekday" not in found
    assert found["unmoved"].sufficiency == "insufficient"
    assert found["warmth"].evidence > 1


def test_a_shift_of_the_models_own_answers_is_seen() -> None:
    answers = weekly(np.random.default_rng(3), WEEKS)
    detector = BlockShift(profile_of(TIME, prediction=answers), POLICY)
    [found] = judged(detector, rows_of(LIVE, prediction=answers[:168] + 20), set())
    assert (found.feature, found.evidence > 1) == ("prediction", True)


def test_the_same_rows_in_any_order_give_the_same_evidence(watched: BlockShift) -> None:
    rows = window(shift=3.0)
    order = np.random.default_rng(0).permutation(168)
    mixed = rows_of(rows.time[order], {name: values[order] for name, values in rows.columns.items()})
    for one, other in zip(judged(watched, rows, set()), judged(watched, mixed, set()), strict=True):
        assert one.evidence == pytest.approx(other.evidence)


def test_a_windows_worth_of_rows_within_one_day_is_insufficient_evidence(watched: BlockShift) -> None:
    # A server far busier than the reference fills "168 rows" in an hour: they are many, but they are one hour.
    rows = window(shift=100.0)
    found = judged(watched, rows_of(LIVE[0] + np.arange(168.0) * 500, rows.columns), set())
    assert {(item.sufficiency, item.evidence) for item in found} == {("insufficient", 0.0)}


def test_a_busier_server_than_the_reference_is_judged_once_it_has_served_the_whole_span(watched: BlockShift) -> None:
    rows = window()
    time = np.repeat(LIVE, 5) + np.tile(np.arange(5.0) * 60, 168)
    columns = {name: np.repeat(values, 5) for name, values in rows.columns.items()}
    found = judged(watched, rows_of(time, columns), set())
    assert {item.sufficiency for item in found} == {"sufficient"}
    assert all(item.evidence < 0.5 for item in found)


def test_a_reference_of_few_rows_a_day_asks_no_more_of_a_window() -> None:
    draw = np.random.default_rng(5)
    days = np.arange(7.0 * WEEKS) * DAY_SECONDS
    detector = BlockShift(profile_of(days, {"x": draw.normal(size=len(days))}), POLICY)
    live = np.arange(7.0) * DAY_SECONDS + 7 * WEEKS * DAY_SECONDS
    found = by_feature(judged(detector, rows_of(live, {"x": draw.normal(size=7)}), set()))
    assert found["x"].sufficiency == "sufficient"
