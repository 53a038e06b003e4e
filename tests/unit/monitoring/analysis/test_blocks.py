"""Whole blocks of time."""

from __future__ import annotations

import numpy as np

from monitoring.analysis.blocks import extent, usual_extent, whole_blocks

DAY = 86400.0


def test_no_rows_make_no_blocks() -> None:
    assert whole_blocks(np.empty(0), DAY) == []
    assert usual_extent(np.empty(0), []).tolist() == [0, 0, 0]


def test_blocks_of_days_begin_at_midnight() -> None:
    time = np.arange(18.0, 24 * 4) * 3600  # the first day has six hours only
    blocks = whole_blocks(time, DAY)
    assert [float(time[block[0]]) / DAY for block in blocks] == [1, 2, 3]


def test_block_with_few_rows_is_left_out() -> None:
    time = np.concatenate([np.arange(24.0), 24 + np.arange(12.0), 48 + np.arange(24.0)]) * 3600
    assert len(whole_blocks(time, DAY)) == 2


def test_weeks_that_are_missing_altogether_leave_the_others_whole() -> None:
    week = np.arange(168.0) * 3600
    blocks = whole_blocks(np.concatenate([week, week + 21 * DAY, week + 28 * DAY]), 7 * DAY)
    assert [len(block) for block in blocks] == [168, 168, 168]


def test_order_of_rows_is_irrelevant_to_what_a_block_holds() -> None:
    time = np.arange(96.0) * 3600
    mixed = np.random.default_rng(0).permutation(96)
    blocks = whole_blocks(time[mixed], DAY)
    assert [sorted(time[mixed][block].tolist()) for block in blocks] == [
        time[block].tolist() for block in whole_blocks(time, DAY)
    ]


def test_extent_counts_rows_hours_and_the_span_between_them() -> None:
    assert extent(np.array([DAY, DAY + 1, DAY + 3599, DAY + 3600])).tolist() == [4, 2, 3600]
    assert extent(np.empty(0)).tolist() == [0, 0, 0]


def test_usual_extent_is_that_of_the_median_block() -> None:
    time = np.concatenate([np.arange(24.0), 24 + np.arange(22.0), 48 + np.arange(20.0)]) * 3600
    assert usual_extent(time, whole_blocks(time, DAY)).tolist() == [22, 22, 21 * 3600]
