"""Intervals: against simulation, and what is said where there is none."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from staytrue.bundle import Metric
from tests.unit.training.evaluate.judging import classes, draws_of, hourly, numbers, of
from training.evaluate.bootstrap import FEWEST, RESAMPLES, has_interval
from training.evaluate.ranking import ranked


def test_a_perfect_prediction_has_no_error_and_no_width() -> None:
    """R² 1, errors 0, intervals closed."""
    truth = np.random.default_rng(0).normal(size=240)
    metrics = of(numbers(truth, truth, hourly(10))).metrics
    for name, metric in metrics.items():
        assert (metric.value, metric.low, metric.high) == ((1, 1, 1) if name == "r2" else (0, 0, 0)), name


def test_the_interval_covers_the_true_error_though_hours_of_a_day_are_alike() -> None:
    """Errors share a daily part, so an interval over rows would be far too narrow; over days it covers."""
    draw = np.random.default_rng(1)
    hits, runs, days = 0, 100, 40
    for _ in range(runs):
        error = np.abs(draw.normal(size=days)).repeat(24)  # mean |N(0,1)| = sqrt(2/pi)
        judge = numbers(np.zeros(24 * days), error, hourly(days))
        mae = judge.brief(draws_of(judge.times)).metrics["mae"]
        hits += mae.low <= np.sqrt(2 / np.pi) <= mae.high
    assert 0.86 <= hits / runs <= 1


def test_the_interval_of_an_error_rate_allows_for_days_that_are_alike() -> None:
    """A whole day is right or wrong with even chance: over days the interval covers, over rows it would not."""
    draw, hits, runs, days = np.random.default_rng(1), 0, 60, 40
    for _ in range(runs):
        wrong = (draw.random(days) < 0.5).repeat(24)
        likely = np.where(wrong[:, None], [[0.1, 0.9]], [[0.9, 0.1]])
        judge = classes(["a"] * 24 * days, likely.tolist(), ("a", "b"), hourly(days))
        metric = judge.brief(draws_of(judge.times)).metrics["error_rate"]
        hits += metric.low <= 0.5 <= metric.high
    assert 0.85 <= hits / runs <= 1


def test_the_interval_of_an_area_covers_it() -> None:
    """Scores of what holds are normal around 1, others around 0: the area is Φ(1/√2) = 0.7602."""
    draw, hits, runs, days = np.random.default_rng(2), 0, 25, 20
    draws = draws_of(hourly(days))
    for _ in range(runs):
        holds = draw.random(24 * days) < 0.2
        value, drawn = ranked(draw.normal(size=24 * days) + holds, holds, draws)
        metric = draws.figures({"auc": (float(value.auc), drawn.auc)}).metrics["auc"]
        hits += metric.low <= 0.76025 <= metric.high
    assert 0.84 <= hits / runs <= 1


def test_one_seed_gives_one_interval() -> None:
    """Deterministic."""
    truth = np.random.default_rng(0).normal(size=240)
    assert of(numbers(truth, truth * 0, hourly(10))) == of(numbers(truth, truth * 0, hourly(10)))


def covered(days: int, runs: int) -> tuple[float, float]:
    """How often the interval of a mean over so few days holds the true one; and one of plain percentiles."""
    draw, hits, plain = np.random.default_rng(4), 0, 0
    draws = draws_of(hourly(days))
    for _ in range(runs):
        error = draw.normal(size=days).repeat(24)
        found = draws.means({"mean": error})
        low, high = np.quantile(found.drawn["mean"], [0.025, 0.975])
        plain += low <= 0 <= high
        hits += found.metrics["mean"].low <= 0 <= found.metrics["mean"].high
    return hits / runs, plain / runs


def test_intervals_of_few_days_are_widened_until_they_cover() -> None:
    """As Student's t is wider: plain percentiles of six days miss the truth in one case of six instead of twenty."""
    wide, plain = covered(6, 400)
    assert 0.93 <= wide <= 0.97
    assert plain < 0.86


def test_of_very_few_days_it_is_said_that_the_interval_leans_on_their_spread() -> None:
    """Of four skewed ones it holds the truth too seldom."""
    truth = np.random.default_rng(0).normal(size=24 * FEWEST)
    few = of(numbers(truth[24:], 0 * truth[24:], hourly(FEWEST - 1))).metrics["mae"]
    assert few.note == "4 days, so few that the interval is rough"
    assert few.low < few.value < few.high
    assert of(numbers(truth, truth * 0, hourly(FEWEST))).metrics["mae"].note == ""


def test_rows_of_one_day_have_no_interval_and_say_so() -> None:
    metrics = of(numbers([1.0, 2, 4], [2.0, 2, 2], np.arange(3.0))).metrics
    assert {(metric.low, metric.high) == (metric.value, metric.value) for metric in metrics.values()} == {True}
    assert {metric.note for metric in metrics.values()} == {"rows of one day: no interval"}
    assert not any(map(has_interval, metrics.values()))
    assert not has_interval(msgspec.structs.replace(metrics["mae"], note="said otherwise"))


def test_whether_there_is_an_interval_is_told_by_the_record_and_of_older_ones_by_the_note() -> None:
    """A closed interval is one, and notes may be added to."""
    older = Metric(value=1.0, low=1.0, high=1.0, note="rows of one day: no interval; more was said later")
    assert not has_interval(older)
    assert has_interval(Metric(value=1.0, low=1.0, high=1.0, note="weights fitted elsewhere"))
    assert has_interval(Metric(value=1.0, low=0.5, high=1.5, note="rows without no interval"))


def test_an_interval_of_few_days_ends_where_the_metric_does() -> None:
    """Accuracy within 0 and 1, errors from 0, R² to 1; a bias has no ends."""
    right = [[0.9, 0.1]] * 30 + [[0.4, 0.6]]
    times = np.concatenate([np.arange(30) * 3600.0, [86_400.0]])
    metric = of(classes(["a"] * 31, right, ("a", "b"), times)).metrics["accuracy"]
    assert (metric.low, metric.high) == (0, 1)
    assert metric.value == pytest.approx(30 / 31)
    truth = np.random.default_rng(0).normal(size=48)
    found = of(numbers(truth, truth + np.repeat([0.01, 3.0], 24), hourly(2))).metrics
    assert (found["mae"].low, found["r2"].high) == (0, 1)
    assert found["bias"].low < 0 < found["bias"].high


def test_resamples_without_a_value_are_left_out_and_counted() -> None:
    """Of five days, one with a single class, some resamples do not hold another."""
    draws = draws_of(np.arange(5) * 86_400.0)
    values = np.where(draws.often[:, 0] >= 2, np.nan, draws.often[:, 0])
    metric = draws.figures({"auc": (1.0, values)}).metrics["auc"]
    left = int(np.isfinite(values).sum())
    assert left == pytest.approx((0.8**5 + 5 * 0.2 * 0.8**4) * RESAMPLES, rel=0.1)
    assert metric.note == f"interval of {left} of {RESAMPLES} resamples: it is not defined in the others"
    assert (metric.low, metric.high) == (0, 1)
    nowhere = draws.figures({"auc": (1.0, np.full(RESAMPLES, np.nan))}).metrics["auc"]
    assert (nowhere.low, nowhere.high) == (1, 1)
    assert not has_interval(nowhere)


def test_sums_and_counts_of_days_by_hand() -> None:
    draws = draws_of(np.array([0.0, 1.0, 86_400.0, 250_000.0, 250_001.0]))
    assert draws.blocks.tolist() == [0, 0, 1, 2, 2]
    assert draws.sums([np.arange(5.0), np.array([True, True, False, True, False])]).tolist() == [[1, 2], [2, 0], [7, 1]]
    assert draws.counts(np.array([0, 1, 1, 0, 0]), 2).tolist() == [[1, 1], [0, 1], [2, 0]]
