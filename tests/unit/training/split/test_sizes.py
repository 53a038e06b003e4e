"""Sizes: intervals of few rows cover as often as they say, and parts of enough rows are not warned of."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from training.data.split.sizes import FEW, factors, half_width, warnings_of


@pytest.mark.parametrize("count", [1, 12, 49, 400])
def test_the_half_width_is_that_of_wilsons_interval(count: int) -> None:
    """As SciPy computes it around the middle, of counts that have one."""
    interval = stats.binomtest(count, 2 * count, 0.5).proportion_ci(0.95, method="wilson")
    assert half_width(2 * count) == pytest.approx((interval.high - interval.low) / 2)


def test_the_factors_cover_the_error_of_normal_errors_as_often_as_they_say() -> None:
    """Of 20,000 draws of twelve errors, 95 % give or take what such a count varies by."""
    errors = np.random.default_rng(0).normal(size=(20_000, 12))
    measured = np.sqrt((errors**2).mean(axis=1))
    low, high = factors(12)
    assert ((measured * low <= 1) & (measured * high >= 1)).mean() == pytest.approx(0.95, abs=0.006)


def test_parts_of_enough_rows_are_not_warned_of() -> None:
    assert warnings_of({"train": FEW, "validation": FEW, "test": 10_000}, "regression") == []


def test_no_row_and_one_row_are_told_as_such() -> None:
    none, one = warnings_of({"validation": 0, "test": 1}, "generation")
    assert none == "validation has 0 rows: nothing can be judged by it"
    assert one.startswith("test has 1 row: how like made pictures are")
