"""What is told of rows that leave hardly anything to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from staytrue.evaluation import Evaluation, Example
from staytrue.records import to_json
from tests.unit.training.evaluate.judging import classes, hourly, labels, numbers, of
from training.data.rows import Rows
from training.evaluate.quantiles import QuantileJudge
from training.evaluate.regression import NumberJudge
from training.evaluate.targets import TargetsJudge
from training.evaluate.worst import worst

if TYPE_CHECKING:
    from training.evaluate.judge import Judge


def test_errors_that_differ_by_a_rounding_are_told_with_their_residuals() -> None:
    """0.1 + 0.2 is one unit in the last place above 0.3: no histogram has bins so narrow, nor is that a variance."""
    part = of(numbers([0.3, 0.1 + 0.2], [0.0, 0.0]))
    assert part.metrics["mae"].value == pytest.approx(0.3)
    assert sum(part.residuals["y"].counts) == 2
    assert part.absent["r2"].startswith("the truth is the same in every row")
    tiny = of(numbers([5e-324, 1e-323, 0.0], [0.0, 0.0, 0.0]))
    assert sum(tiny.residuals["y"].counts) == 3


@pytest.mark.parametrize("truth", [[1.7e308, -1.7e308, 0.0], [1.7e308, 1.7e308, 1.7e308]])
def test_numbers_beyond_any_sum_are_absent_without_a_warning(truth: list[float]) -> None:
    part = of(numbers(truth, [-one for one in truth]))
    assert part.metrics == {}
    assert part.absent["mae"] == "is no finite number"
    to_json(Evaluation(run="r", parts={"validation": part}))


def test_quantiles_of_infinite_truths_are_absent_with_their_count() -> None:
    made = np.array([[1.0, 2.0, 3.0]] * 2)
    judge = QuantileJudge(numbers([np.inf, 1.0], [2.0, 2.0]), made, (0.1, 0.5, 0.9))
    part = of(judge)
    assert part.metrics == {}
    assert part.absent["pinball"] == part.absent["coverage"] == "1 of 2 truths are no finite numbers"


@pytest.mark.parametrize("wrong", [False, True])
def test_a_share_that_is_the_same_in_all_of_few_blocks_is_not_sure_to_be(wrong: bool) -> None:
    """Of six days without an error the true rate may be up to 1 - 0.025^(1/6) = 0.459 (Clopper and Pearson)."""
    likely = [[0.2, 0.8], [0.8, 0.2]] if wrong else [[0.8, 0.2], [0.2, 0.8]]
    part = of(classes(["a", "b"] * 72, likely * 72, ("a", "b"), hourly(6)))
    accuracy, error, recall = part.metrics["accuracy"], part.metrics["error_rate"], part.by_class["a"].metrics["recall"]
    ends = (0.0, 0.459) if wrong else (0.541, 1.0)
    for metric in (accuracy, part.metrics["macro_f1"], part.metrics["balanced_accuracy"], recall):
        assert (metric.low, metric.high) == pytest.approx(ends, abs=1e-3)
    assert (error.low, error.high) == pytest.approx((1 - ends[1], 1 - ends[0]), abs=1e-3)
    (bin_,) = part.calibration
    assert (bin_.right.low, bin_.right.high) == pytest.approx(ends, abs=1e-3)


def test_a_rate_of_a_class_is_as_sure_as_the_blocks_that_hold_it() -> None:
    """Of b two of ten days have rows: 1 - 0.025^(1/2) = 0.842 from the end."""
    truth = ["a"] * 240
    truth[5] = truth[40] = "b"
    likely = [[0.9, 0.1] if name == "a" else [0.1, 0.9] for name in truth]
    part = of(classes(truth, likely, ("a", "b"), hourly(10)))
    rates = [part.by_class[name].metrics["recall"] for name in "ab"]
    assert rates[0].low == pytest.approx(0.025 ** (1 / 10))
    assert rates[1].low == pytest.approx(0.025 ** (1 / 2)) == part.metrics["macro_recall"].low
    assert part.metrics["accuracy"].low == rates[0].low


def test_labels_and_coverage_of_few_blocks_are_left_open_too() -> None:
    part = of(labels([[1, 0], [0, 1]] * 3, [[0.9, 0.1], [0.1, 0.9]] * 3))
    assert part.metrics["subset_accuracy"].low == pytest.approx(0.025 ** (1 / 6))
    assert part.metrics["hamming_loss"].high == pytest.approx(1 - 0.025 ** (1 / 6))
    answered = NumberJudge("y", np.zeros(144), np.zeros(144), hourly(6))
    judge = QuantileJudge(answered, np.array([[-1.0, 1.0]] * 144), (0.1, 0.9))
    assert of(judge).metrics["coverage"].low == pytest.approx(0.025 ** (1 / 6))


def test_the_worst_rows_may_be_beyond_all_numbers_without_a_warning() -> None:
    """As one of several targets may be infinite in a row."""
    rows = Rows(np.arange(2.0), {}, np.zeros(2))
    far = numbers([1.7e308, 0.0], [-1.7e308, 1.0])
    assert [one.row for one in told(far, rows)] == [0, 1]
    several = TargetsJudge([numbers([np.inf, 1.0], [1.0, 2.0]), numbers([1.0, 1.0], [1.0, 2.0])])
    assert [one.loss for one in told(several, rows)] == [None, None]


def told(judge: Judge, rows: Rows) -> list[Example]:
    """The worst rows."""
    found = worst(judge, rows, {})
    assert found is not None
    return found.rows
