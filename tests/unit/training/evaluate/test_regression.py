"""Metrics of numbers: by hand, as scikit-learn has them, and what is said where they have no value."""

from __future__ import annotations

import math

import numpy as np
import pytest

from export.intervals import expanded_tail
from tests.unit.training.evaluate.judging import daily, draws_of, hourly, numbers, of
from training.evaluate import regression
from training.evaluate.quantiles import QuantileJudge
from training.evaluate.regression import middle
from training.evaluate.residuals import residuals
from training.evaluate.targets import TargetsJudge


def test_metrics_of_four_rows_by_hand() -> None:
    """Errors 1, -1, 2, 0; truth 1, 2, 3, 6 has mean 3 and squared deviations 4+1+0+9."""
    metrics = of(numbers([1, 2, 3, 6], [2, 1, 5, 6])).metrics
    assert {name: metric.value for name, metric in metrics.items()} == pytest.approx(
        {
            "mse": 6 / 4,
            "rmse": math.sqrt(6 / 4),
            "mae": 1,
            "bias": 2 / 4,
            "r2": 1 - 6 / 14,
            "mape": (1 + 1 / 2 + 2 / 3 + 0) / 4,
            "median_error": 1,
        }
    )


def test_metrics_are_those_of_scikit_learn() -> None:
    from sklearn import metrics as theirs

    draw = np.random.default_rng(0)
    truth, made = draw.uniform(1, 2, 301), draw.uniform(1, 2, 301)
    metrics = of(numbers(truth, made)).metrics
    assert metrics["mse"].value == pytest.approx(theirs.mean_squared_error(truth, made))
    assert metrics["rmse"].value == pytest.approx(theirs.root_mean_squared_error(truth, made))
    assert metrics["mae"].value == pytest.approx(theirs.mean_absolute_error(truth, made))
    assert metrics["median_error"].value == pytest.approx(theirs.median_absolute_error(truth, made))
    assert metrics["r2"].value == pytest.approx(theirs.r2_score(truth, made))
    assert metrics["mape"].value == pytest.approx(theirs.mean_absolute_percentage_error(truth, made))


def test_the_mean_as_prediction_explains_nothing() -> None:
    truth = np.random.default_rng(0).normal(size=240)
    assert of(numbers(truth, np.full(240, truth.mean()), hourly(10))).metrics["r2"].value == pytest.approx(0)


@pytest.mark.parametrize("truth", [[5.0] * 48, [1e9] * 48, [5.0]])
def test_a_truth_that_does_not_vary_has_no_r2_and_says_why(truth: list[float]) -> None:
    """A single row too; all else is judged."""
    part = of(numbers(truth, [one + 1 for one in truth]))
    assert part.absent == {"r2": "the truth is the same in every row: there is no variance to explain"}
    assert part.metrics["mae"].value == 1


def test_r2_does_not_lose_digits_to_a_large_offset() -> None:
    """A target around a billion has the R² of the same target around zero."""
    draw = np.random.default_rng(0)
    truth = draw.normal(size=240)
    guess = truth + draw.normal(0, 0.5, 240)
    near, far = (of(numbers(truth + o, guess + o, hourly(10))).metrics["r2"].value for o in (0.0, 1e9))
    assert far == pytest.approx(near, abs=1e-5)


@pytest.mark.parametrize(
    ("truth", "tiny"), [([0.0, 1, 2], 1), ([0.001, 1, 2], 1), ([0.0, 0, 0], 3), ([1.0, -1, 0.02], 0)]
)
def test_relative_errors_are_told_where_no_truth_is_tiny(truth: list[float], tiny: int) -> None:
    """Tiny is below a hundredth of the mean size."""
    part = of(numbers(truth, [1.0, 1, 1]))
    if tiny:
        assert part.absent["mape"].startswith(f"{tiny} of 3 truths are 0 or below 1% of their mean size")
    assert ("mape" in part.metrics) == (tiny == 0)


def test_truths_that_are_missing_are_left_out_and_counted() -> None:
    part = of(numbers([1, math.nan, 3], [2, 100, 3]))
    assert (part.rows, part.left_out, part.metrics["mae"].value) == (2, 1, 0.5)
    nothing = of(numbers([math.nan], [1]))
    assert (nothing.rows, nothing.left_out, nothing.metrics, nothing.residuals) == (0, 1, {}, {})
    assert nothing.absent == {"all": "no row has a truth"}


@pytest.mark.parametrize(("truth", "made", "what"), [(1.0, math.inf, "answers"), (math.inf, 1.0, "truths")])
def test_what_is_infinite_gives_reasons_and_no_metrics(truth: float, made: float, what: str) -> None:
    part = of(numbers([1, truth], [1, made]))
    assert (part.metrics, part.residuals) == ({}, {})
    assert part.absent["mae"] == f"1 of 2 {what} are no finite numbers"


def test_a_square_beyond_all_numbers_is_absent_and_the_rest_is_told() -> None:
    part = of(numbers([1, 2], [1e200, 2]))
    reason = "is no finite number"
    assert part.absent == {"mse": reason, "rmse": reason, "r2": reason}
    assert part.residuals == {}
    assert part.metrics["mae"].value == pytest.approx(5e199)


def test_the_median_of_each_resample_is_that_of_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly where there are few values; to a hundredth of the spread where it is read at 256 of 2400."""
    draw = np.random.default_rng(0)
    values, draws = draw.random(40), draws_of(daily(40))
    value, drawn = middle(values, draws)
    expected = [np.median(np.repeat(values, often[draws.blocks].astype(int))) for often in draws.often[:50]]
    assert value == np.median(values)
    assert drawn[:50] == pytest.approx(expected)
    many, draws = np.abs(draw.normal(size=2400)), draws_of(hourly(100))
    tail = expanded_tail(100, 0.95)
    exact = np.quantile(
        [np.median(np.repeat(many, o[draws.blocks].astype(int))) for o in draws.often], [tail, 1 - tail]
    )
    monkeypatch.setattr(regression, "MOST", 256)
    value, drawn = middle(many, draws)
    assert value == np.median(many)
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx(exact, abs=0.01)


def test_residuals_by_hand() -> None:
    """Errors of ±1 that grow with the prediction show in its tenths."""
    prediction = np.arange(100.0)
    error = np.where(np.arange(100) % 2, 1.0, -1.0) * (prediction >= 50)
    found = residuals(error, prediction)
    assert (found.mean, found.deviation) == pytest.approx((0, math.sqrt(0.5)))
    assert found.quantiles["0.5"] == 0
    assert (sum(found.counts), found.edges[0], found.edges[-1]) == (100, -1, 1)
    assert [group.rows for group in found.groups] == [10] * 10
    assert [(group.low, group.high) for group in found.groups] == [(0, 0)] * 5 + [(-1, 1)] * 5
    constant = residuals(np.array([1.0]), np.array([3.0]))
    assert [(group.rows, group.prediction, group.mean) for group in constant.groups] == [(1, 3, 1)]


def test_quantiles_by_hand() -> None:
    """Level 0.1: 1 above costs 0.1, 2 below costs 1.8. Level 0.9: 1 below costs 0.1, 1 above costs 0.9."""
    made = np.array([[0.0, 2.0], [4.0, 5.0], [2.0, 3.0]])
    answered = numbers([1.0, 2.0, 4.0], [1.0, 4.5, 2.5])
    part = of(QuantileJudge(answered, made, (0.1, 0.9)))
    low, high = (0.1 * 1 + 0.9 * 2 + 0.1 * 2) / 3, (0.1 * 1 + 0.1 * 3 + 0.9 * 1) / 3
    expected = {
        "pinball_0.1": low,
        "pinball_0.9": high,
        "pinball": (low + high) / 2,
        "below_0.1": 1 / 3,
        "below_0.9": 2 / 3,
        "coverage": 1 / 3,
        "width": (2 + 1 + 1) / 3,
        "mae": (0 + 2.5 + 1.5) / 3,
    }
    assert {name: part.metrics[name].value for name in expected} == pytest.approx(expected)
    alone = of(QuantileJudge(answered, made[:, :1], (0.1,))).metrics
    assert alone["pinball"].value == pytest.approx(low)
    assert not {"coverage", "pinball_0.1"} & alone.keys()
    odd = of(QuantileJudge(answered, made * math.nan, (0.1, 0.9)))
    assert odd.absent["pinball"] == "3 of 3 answers are no finite numbers"


def test_the_pinball_loss_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import mean_pinball_loss

    draw = np.random.default_rng(0)
    truth, made = draw.normal(size=50), draw.normal(size=(50, 2))
    metrics = of(QuantileJudge(numbers(truth, made[:, 0]), made, (0.2, 0.7))).metrics
    for place, level in enumerate((0.2, 0.7)):
        expected = mean_pinball_loss(truth, made[:, place], alpha=level)
        assert metrics[f"pinball_{level}"].value == pytest.approx(expected)


def test_several_targets_are_told_by_name_and_a_row_needs_all_of_them() -> None:
    one, other = numbers([1, 2, 3], [2, 2, 9]), numbers([5, 5, math.nan], [5, 6, 7])
    part = of(TargetsJudge([one, regression.NumberJudge("z", other.truth, other.prediction, other.times)]))
    assert (part.rows, part.left_out) == (2, 1)
    assert part.metrics["y.mae"].value == 0.5
    assert part.metrics["z.mae"].value == 0.5
    assert part.absent == {"z.r2": "the truth is the same in every row: there is no variance to explain"}
    assert set(part.residuals) == {"y", "z"}
