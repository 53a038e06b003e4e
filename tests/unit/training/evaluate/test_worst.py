"""Worst rows: those of the highest loss by hand, and what is shown of their inputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from staytrue.feature import Feature
from staytrue.signature import MISSING_INTEGER
from tests.unit.training.evaluate import judging
from training.data.rows import Rows
from training.evaluate import worst as module
from training.evaluate.generation import PictureJudge
from training.evaluate.quantiles import QuantileJudge
from training.evaluate.targets import TargetsJudge
from training.evaluate.worst import given, worst

if TYPE_CHECKING:
    from training.evaluate.judge import Judge


def told(judge: Judge) -> list[tuple[int, float | None, str, str]]:
    """Row, loss, truth and answer of the worst rows, whose only input is their number."""
    count = len(judge.times)
    rows = Rows(judge.times, {"x": np.arange(count, dtype=np.float32)}, np.zeros(count))
    found = worst(judge, rows, {"x": Feature(kind="numeric"), "left out": Feature(kind="numeric")})
    assert found is not None
    assert [one.inputs for one in found.rows] == [{"x": str(one.row)} for one in found.rows]
    assert [one.time for one in found.rows] == [judge.times[one.row] for one in found.rows]
    return [(one.row, one.loss, one.truth, one.answer) for one in found.rows]


def test_numbers_are_sorted_by_absolute_error_and_what_is_no_number_is_the_worst() -> None:
    judge = judging.numbers([1, 2, math.nan, 4, 5], [1.5, -1, 9, math.nan, 5])
    assert told(judge) == [(3, None, "4", "nan"), (1, 3, "2", "-1"), (0, 0.5, "1", "1.5"), (4, 0, "5", "5")]


def test_classes_are_sorted_by_what_was_said_of_the_true_one() -> None:
    """One that is none of the classes counts as said with 1e-12."""
    judge = judging.classes(["a", "b", "z", ""], [[0.8, 0.2], [0.75, 0.25], [0.4, 0.6], [0.5, 0.5]], ["a", "b"])
    found = told(judge)
    assert [one[0] for one in found] == [2, 1, 0]
    assert [one[1] for one in found] == pytest.approx([12 * math.log(10), math.log(4), -math.log(0.8)])
    assert [one[2:] for one in found] == [("(another)", "b (60.0%)"), ("b", "a (75.0%)"), ("a", "a (80.0%)")]


def test_labels_are_sorted_by_the_mean_over_them() -> None:
    found = told(judging.labels([[1, 1], [0, 0]], [[0.5, 0.5], [0.75, 0.25]]))
    assert [one[1] for one in found] == pytest.approx([(math.log(4) - math.log(0.75)) / 2, math.log(2)])
    assert [one[2:] for one in found] == [("none", "l0"), ("l0, l1", "l0, l1")]


def test_quantiles_are_sorted_by_pinball_loss() -> None:
    """10 above both: (0.1 + 0.9) / 2 * 10; 2 below both: (0.9 + 0.1) / 2 * 2."""
    judge = QuantileJudge(judging.numbers([12, 0], [2, 2]), np.array([[2.0, 2.0], [2.0, 2.0]]), [0.1, 0.9])
    found = told(judge)
    assert [one[1] for one in found] == pytest.approx([5, 1])
    assert [(one[0], *one[2:]) for one in found] == [(0, "12", "2 (2 to 2)"), (1, "0", "2 (2 to 2)")]


def test_targets_are_sorted_in_deviations_of_each() -> None:
    """Truths 0 and 20 deviate by 10: an error of 10 there is as one of 1 where truths are 0 and 2."""
    judge = TargetsJudge([judging.numbers([0, 20], [10, 20]), judging.numbers([0, 2], [0, 5])])
    assert [one[:2] for one in told(judge)] == [(1, 1.5), (0, 0.5)]


def test_pictures_out_of_noise_are_no_answers() -> None:
    made = np.zeros((2, 3))
    judge = PictureJudge(made, made, None, judging.daily(2), 0)
    assert worst(judge, Rows(judging.daily(2), {}, np.zeros(2)), {}) is None


def test_so_many_rows_are_told_of_and_of_equal_ones_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS", 3)
    assert [one[0] for one in told(judging.numbers([0] * 6, [1, 2, 1, 2, 1, 1]))] == [1, 3, 0]


@pytest.mark.parametrize(
    ("feature", "value", "shown"),
    [
        ({"kind": "numeric"}, np.array([0.1], np.float32), "0.1"),
        ({"kind": "numeric"}, np.array([math.nan], np.float32), ""),
        ({"kind": "category", "datatype": "INT64"}, np.array([7]), "7"),
        ({"kind": "category", "datatype": "INT64"}, np.array([MISSING_INTEGER]), ""),
        ({"kind": "category"}, np.array(["a<b"], object), "a<b"),
        ({"kind": "date"}, np.array([86_400]), "1970-01-02T00:00:00.000Z"),
        ({"kind": "text", "shape": [4]}, np.frombuffer(b"n\xc3\xa9\0", np.uint8)[None], "né"),
        ({"kind": "text", "shape": [4]}, np.frombuffer(b"\xff\xfea\0", np.uint8)[None], "\ufffd\ufffda"),
        ({"kind": "image", "shape": [1, 2, 2]}, np.zeros((1, 1, 2, 2), np.uint8), "UINT8 [1, 2, 2]"),
        ({"kind": "category"}, np.array(["x" * 999], object), "x" * 300),
    ],
)
def test_inputs_are_told_as_people_read_them(feature: dict[str, Any], value: np.ndarray, shown: str) -> None:
    assert given(value, Feature.model_validate(feature)) == shown
