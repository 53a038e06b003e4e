"""Divide: which newly labelled rows train, stop and judge; and how much each counts."""

from __future__ import annotations

import numpy as np
import pytest

from staytrue.records import DAY_SECONDS
from staytrue.sections import GateSection, RetrainingSection
from training.data.divide import divide, recency
from training.data.rows import Rows
from training.data.split.plan import day_of

SETTINGS = RetrainingSection(gate=GateSection(holdout_share=0.25, recent_days=20))


def hourly(days: int) -> Rows:
    """Hourly rows from day 100 on."""
    time = (100 + np.arange(24 * days) / 24) * DAY_SECONDS
    return Rows(time, {"x": time.astype(np.float32)}, time)


def days(rows: Rows) -> set[int]:
    """The days that rows stand on."""
    return set(day_of(rows.time).tolist())


def test_each_day_goes_to_one_part_whole() -> None:
    """The hours of a day are alike: they neither train and judge, nor train and stop."""
    division = divide(hourly(30), 0.0, 0.2, SETTINGS)
    parts = [division.train, division.held, division.gate]
    assert sum(len(part) for part in parts) == 24 * 30
    assert sum(len(days(part)) for part in parts) == 30


def test_the_gate_takes_its_share_of_recent_days_only() -> None:
    """A quarter of the newest twenty; what is older trains."""
    gate = days(divide(hourly(30), 0.0, 0.2, SETTINGS).gate)
    assert len(gate) == 5
    assert min(gate) >= 110


def test_the_gate_takes_no_row_that_the_champion_has_seen() -> None:
    """Of a day that it saw in part, only the rest."""
    seen_until = 125.5 * DAY_SECONDS
    division = divide(hourly(30), seen_until, 0.2, SETTINGS)
    assert len(division.gate)
    assert division.gate.time.min() > seen_until


def test_gate_and_training_days_take_turns() -> None:
    """Within any week of recent days both have one: they speak of the same weather."""
    division = divide(hourly(40), 0.0, 0.2, SETTINGS)
    for start in range(121, 133):
        week = set(range(start, start + 7))
        assert week & days(division.gate)
        assert week & days(division.train)


def test_no_rows_divide_into_none() -> None:
    """The caller refuses."""
    division = divide(hourly(0), 0.0, 0.2, SETTINGS)
    assert len(division.train) == len(division.held) == len(division.gate) == 0


def test_weights_halve_with_each_half_life_and_have_mean_one() -> None:
    """Ages 20, 10 and 0 days at a half-life of 10: 1/4 to 1/2 to 1."""
    times = np.array([0.0, 10, 20]) * DAY_SECONDS
    weights = recency(times, times[2:], 10)
    assert weights is not None
    assert weights[0] == pytest.approx(np.array([1, 2, 4]) * 3 / 7)
    assert weights[1] == pytest.approx([1])


def test_without_a_half_life_all_rows_count_alike() -> None:
    """No weights at all."""
    assert recency(np.zeros(1), np.zeros(1), None) is None
