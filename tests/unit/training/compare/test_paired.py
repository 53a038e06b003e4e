"""Paired intervals: those of theory, none of equal models, blocks and not rows, and what cannot be told."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from export.intervals import interval
from staytrue.bundle import Metric
from tests.unit.training.evaluate import judging
from training.compare.paired import sliced, verdict, whole
from training.evaluate.blocks import Blocks
from training.evaluate.slices import Slice
from training.evaluate.targets import TargetsJudge

DRAW = np.random.default_rng(3)


def single(rows: int) -> Blocks:
    """A block a row."""
    return Blocks(np.arange(rows), "rows")


def test_the_interval_of_independent_rows_is_that_of_students_t() -> None:
    """Errors that differ by N(0.3, 1): mean ± t · deviation / √n; both models share an error ten times as large."""
    count = 400
    shared, gain = 50 + 10 * DRAW.normal(size=count), DRAW.normal(0.3, 1, count)
    truth = np.zeros(count)
    found = whole(judging.numbers(truth, shared), judging.numbers(truth, shared + gain), single(count), 0)
    mae = found.metrics["mae"]
    margin = stats.t.ppf(0.975, count - 1) * gain.std(ddof=1) / math.sqrt(count)
    assert mae.value == pytest.approx(gain.mean())
    assert (mae.low, mae.high) == pytest.approx((gain.mean() - margin, gain.mean() + margin), abs=0.1 * margin)
    assert (found.rows, found.blocks, found.verdicts["mae"]) == (count, count, "worse")


def test_rows_of_a_block_are_drawn_together_as_the_gate_draws_them() -> None:
    """24 hours of a day have the day's difference: the interval is that of 30 days, not of 720 hours."""
    days, gain = 30, DRAW.normal(0.5, 1, 30)
    shared, truth = 50 + 10 * DRAW.normal(size=24 * days), np.zeros(24 * days)
    blocks = np.repeat(np.arange(days), 24)
    made = shared + gain[blocks]
    found = whole(judging.numbers(truth, shared), judging.numbers(truth, made), Blocks(blocks, "days"), 0).metrics[
        "mae"
    ]
    margin = stats.t.ppf(0.975, days - 1) * gain.std(ddof=1) / math.sqrt(days)
    assert (found.low, found.high) == pytest.approx((gain.mean() - margin, gain.mean() + margin), abs=0.15 * margin)
    gate = interval(np.abs(made) - np.abs(shared), blocks, 0.95, seed=1)
    assert (found.low, found.high) == pytest.approx(gate, abs=0.1 * margin)
    alone = whole(judging.numbers(truth, shared), judging.numbers(truth, made), single(24 * days), 0).metrics["mae"]
    assert alone.high - alone.low < (found.high - found.low) / 3


def test_blocks_may_be_mixed_in_time() -> None:
    """As groups are: the same rows in another order give the same."""
    count = 120
    truth, one, other = DRAW.normal(size=(3, count))
    groups = Blocks(DRAW.integers(0, 12, count), "groups")
    order = np.argsort(groups.numbers, kind="stable")
    mixed = whole(judging.numbers(truth, one), judging.numbers(truth, other), groups, 0)
    sorted_ = whole(
        judging.numbers(truth[order], one[order]), judging.numbers(truth[order], other[order]), groups.take(order), 0
    )
    assert mixed == sorted_
    assert mixed.blocks == 12


def test_equal_models_differ_by_nothing() -> None:
    likely = DRAW.dirichlet([1, 1, 1], 60)
    names = [["a", "b", "c"][place] for place in DRAW.integers(0, 3, 60)]
    judge = judging.classes(names, likely.tolist(), ["a", "b", "c"])
    found = whole(judge, judge, single(60), 0)
    assert {"accuracy", "macro_f1", "auc", "log_loss", "brier", "calibration_error"} <= set(found.metrics)
    assert {(one.value, one.low, one.high) for one in found.metrics.values()} == {(0, 0, 0)}
    assert set(found.verdicts.values()) == {"not told apart"}


def test_classes_are_paired_too() -> None:
    """Of 200 rows the other model rights 40 and wrongs 10: the difference of shares has the variance of McNemar's."""
    count = 200
    truth = ["a"] * count
    first, other = np.full(count, 0.9), np.full(count, 0.9)
    first[:40], other[150:160] = 0.2, 0.2
    before, after = (judging.classes(truth, np.stack([p, 1 - p], axis=1).tolist(), ["a", "b"]) for p in (first, other))
    found = whole(before, after, single(count), 0)
    accuracy = found.metrics["accuracy"]
    spread = math.sqrt((50 / count - (30 / count) ** 2) / count)
    assert accuracy.value == pytest.approx(0.15)
    assert (accuracy.low, accuracy.high) == pytest.approx((0.15 - 1.96 * spread, 0.15 + 1.96 * spread), abs=0.01)
    assert found.verdicts["accuracy"] == "better"
    assert "auc" not in found.metrics  # of one class nothing can be ranked


def test_metrics_of_several_targets_keep_their_own_resamples() -> None:
    truth, error = np.zeros(50), DRAW.normal(5, 1, 50)
    x, before, after = (judging.numbers(truth, made) for made in (error, error, 3 * error))
    x = dataclasses.replace(x, target="x")
    found = whole(TargetsJudge([x, before]), TargetsJudge([x, after]), single(50), 0).metrics
    assert (found["x.mae"].value, found["x.mae"].low, found["x.mae"].high) == (0, 0, 0)
    assert 9 < found["y.mae"].low < found["y.mae"].value < found["y.mae"].high < 11


def test_rows_without_a_truth_small_slices_and_single_blocks_are_told() -> None:
    truth = np.array([math.nan, 1.0, 2.0, 3.0])
    judges = judging.numbers(truth, [0, 0, 0, 0]), judging.numbers(truth, [0, 1, 2, 3])
    assert whole(*judges, single(4), 0).rows == 3
    some = Slice("s", "rows", np.array([True, True, False, False]))
    few = sliced(*judges, some, single(4), 2, 0)
    assert (few.rows, few.metrics, few.note) == (1, {}, "1 rows, fewer than 2: too few to judge by")
    assert sliced(*judges, Slice("s", "?", None, "why"), single(4), 2, 0).note == "why"
    one = whole(*judges, Blocks(np.zeros(4, dtype=np.int64), "days"), 0)
    assert (one.metrics["mae"].value, one.metrics["mae"].low, one.metrics["mae"].note) == (
        -2,
        -2,
        "rows of one day: no interval",
    )
    assert one.verdicts == {}
    nothing = judging.numbers([math.nan], [1])
    assert whole(nothing, nothing, single(1), 0).note == "no row has a truth"


@pytest.mark.parametrize(
    ("name", "low", "high", "told"),
    [
        ("mae", -2, -1, "better"),
        ("y.rmse", 1, 2, "worse"),
        ("auc", 1, 2, "better"),
        ("pinball_0.9", -2, -1, "better"),
        ("log_loss", -1, 1, "not told apart"),
        ("bias", 1, 2, ""),
        ("coverage", 1, 2, ""),
    ],
)
def test_what_an_interval_says_depends_on_what_is_better(name: str, low: float, high: float, told: str) -> None:
    assert verdict(name, Metric(value=low, low=low, high=high)) == told


@pytest.mark.parametrize(("rows", "told"), [(3, "not told apart"), (5, "not told apart"), (6, "better")])
def test_a_model_that_is_always_right_beats_one_that_never_is_once_there_are_rows_enough(rows: int, told: str) -> None:
    """As the sign test has it: by chance in 2 of 8 cases, of 32, and of 64, which is below 5%."""
    wrong, right = (
        judging.classes(["a"] * rows, [[p, 1 - p]] * rows, ["a", "b"], judging.daily(rows)) for p in (0.2, 0.8)
    )
    found = whole(wrong, right, single(rows), 0)
    accuracy = found.metrics["accuracy"]
    assert (accuracy.value, accuracy.high) == (1, 1)
    assert accuracy.low == pytest.approx(1 - 2 * (1 - 0.025 ** (1 / rows)))
    assert found.verdicts["accuracy"] == found.verdicts["error_rate"] == told
