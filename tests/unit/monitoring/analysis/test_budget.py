"""From the promise to the level of one look, multiplicity and the scale of evidence, on closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from monitoring.analysis.drift import budget
from staytrue.sections import MonitoringSection


def test_level_deals_the_budget_over_the_windows_of_thirty_days() -> None:
    policy = MonitoringSection(window_days=5, false_alarms_per_30_days=2)
    assert budget.level(policy, 0.5) == pytest.approx(budget.OVERLAP * 2 * 0.5 / 6)


def test_smaller_budgets_get_less_than_their_part_of_the_level_as_rare_excursions_are_short() -> None:
    one, tenth = (budget.level(MonitoringSection(false_alarms_per_30_days=b), 1.0) for b in (1, 0.1))
    assert tenth < one / 10


def test_alarms_that_fire_sooner_get_a_lower_level() -> None:
    patient = budget.level(MonitoringSection(for_looks=2, look_hours=24), 1.0)
    assert budget.level(MonitoringSection(for_looks=48, look_hours=1), 1.0) == patient
    assert budget.level(MonitoringSection(for_looks=2, look_hours=1), 1.0) == pytest.approx(budget.FLEETING * patient)


def test_levels_of_drift_and_quality_add_up_to_one_budget() -> None:
    policy = MonitoringSection()
    drift, quality = budget.level(policy, budget.DRIFT_SHARE), budget.level(policy, 1 - budget.DRIFT_SHARE)
    assert drift + quality == pytest.approx(budget.level(policy, 1.0))


def test_level_never_exceeds_one_half_however_large_the_budget() -> None:
    assert budget.level(MonitoringSection(false_alarms_per_30_days=1000), 1.0) == 0.5


def test_adjusted_p_values_are_those_of_benjamini_and_hochberg_by_hand() -> None:
    # sorted .01 .02 .03 .5; times 4/rank: .04 .04 .04 .5; running minimum from the right leaves them.
    assert budget.adjusted([0.03, 0.5, 0.01, 0.02]) == pytest.approx([0.04, 0.5, 0.04, 0.04])


def test_adjusted_p_values_agree_with_scipy() -> None:
    values = np.random.default_rng(0).uniform(size=20) ** 3
    assert budget.adjusted(values.tolist()) == pytest.approx(stats.false_discovery_control(values))


def test_one_p_value_is_not_adjusted() -> None:
    assert budget.adjusted([0.2]) == pytest.approx([0.2])


def test_smallest_adjusted_p_value_of_independent_columns_is_uniform() -> None:
    values = np.random.default_rng(1).uniform(size=(4000, 8))
    smallest = np.array([budget.adjusted(row.tolist()).min() for row in values])
    assert (smallest <= 0.1).mean() == pytest.approx(0.1, abs=3 * np.sqrt(0.09 / 4000))


@pytest.mark.parametrize(("p_value", "expected"), [(1.0, 0.0), (0.1, 1.0), (0.01, 2.0), (0.1**0.5, 0.5)])
def test_evidence_is_one_at_the_level_and_logarithmic_around_it(p_value: float, expected: float) -> None:
    assert budget.evidence(p_value, 0.1) == pytest.approx(expected)


def test_evidence_of_an_impossible_p_value_is_finite() -> None:
    assert budget.evidence(0.0, 0.1) == pytest.approx(12.0)
