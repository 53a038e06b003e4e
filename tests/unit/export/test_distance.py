"""The distance of a row is that of its whole answer, by closed forms, and no number of classes makes it less."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from export.distance import Distances, by_row
from staytrue.errors import CorruptData
from staytrue.signature import Signature, TensorSpec

KINDS = [TensorSpec(name="kind", datatype="BYTES", shape=[-1, 1], categories=["a", "b", "c"])]
LIKELY = TensorSpec(name="likely", datatype="FP32", shape=[-1, 3])
CLASSES = Signature(inputs=[], outputs=[*KINDS, LIKELY])
LABELS = Signature(inputs=[], outputs=[TensorSpec(name="said", datatype="BOOL", shape=[-1, 3]), LIKELY])
NUMBERS = Signature(inputs=[], outputs=[LIKELY])
ROWS = np.array([True] * 100)


def of(signature: Signature, want: Any, have: Any) -> list[float]:
    """Distances of the last output."""
    found = by_row(signature, signature.outputs[-1], np.array(want, float), np.array(have, float))
    return [round(float(one), 6) for one in found]


def test_probabilities_of_classes_are_half_the_sum_of_their_differences_apart() -> None:
    want, have = [[0.7, 0.2, 0.1], [1, 0, 0]], [[0.4, 0.3, 0.3], [0, 0, 1]]
    assert of(CLASSES, want, have) == [0.3, 1.0]


def test_labels_and_numbers_are_apart_by_the_largest_difference() -> None:
    want, have = [[0.7, 0.2, 0.1], [1, 0, 0]], [[0.4, 0.3, 0.3], [0, 0, 1]]
    for signature in (LABELS, NUMBERS):
        assert of(signature, want, have) == [0.3, 1.0]


def test_pictures_are_apart_by_the_root_mean_square_of_all_numbers() -> None:
    spec = TensorSpec(name="picture", datatype="FP32", shape=[-1, 1, 2, 2])
    want, have = np.zeros((1, 1, 2, 2)), np.array([1.0, 1.0, 1.0, 5.0]).reshape(1, 1, 2, 2)
    assert by_row(Signature(inputs=[], outputs=[spec]), spec, want, have).tolist() == [pytest.approx(7**0.5)]


@pytest.mark.parametrize("classes", [2, 40, 1000])
def test_wrong_answers_are_as_far_apart_of_many_classes_as_of_two(classes: int) -> None:
    names = [str(place) for place in range(classes)]
    outputs = [
        TensorSpec(name="kind", datatype="BYTES", shape=[-1, 1], categories=names),
        TensorSpec(name="likely", datatype="FP32", shape=[-1, classes]),
    ]
    right = np.eye(classes)[np.arange(100) % classes]
    distances = Distances(Signature(inputs=[], outputs=outputs), {})
    texts = {"kind": np.full((100, 1), "0", dtype=object)}
    distances.add(texts | {"likely": right}, texts | {"likely": np.roll(right, 1, axis=1)}, ROWS, "m")
    assert (distances.mean, distances.far, distances.largest) == (1.0, 1.0, 1.0)


def test_numbers_are_measured_in_the_unit_of_each_output() -> None:
    outputs = [TensorSpec(name=name, datatype="FP32", shape=[-1, 1]) for name in ("small", "large")]
    distances = Distances(Signature(inputs=[], outputs=outputs), {"small": 0.1, "large": 1000.0})
    want = {name: np.zeros((100, 1), np.float32) for name in ("small", "large")}
    distances.add(want, {"small": want["small"] + 0.01, "large": want["large"] + 500.0}, ROWS, "m")
    assert distances.mean == pytest.approx(0.5)


def test_one_row_in_twenty_may_be_far_and_a_second_not() -> None:
    for wrong, far in ((5, 0.0), (6, 9.0)):
        distances = Distances(NUMBERS, {"likely": 1.0})
        have = np.zeros((100, 3), np.float32)
        have[:wrong] = 9.0
        distances.add({"likely": np.zeros((100, 3), np.float32)}, {"likely": have}, ROWS, "m")
        assert distances.far == far


def test_a_number_that_overflows_is_refused_and_one_that_the_model_has_not_is_left_out() -> None:
    want = {"likely": np.array([[1.0, 2.0, np.nan], [np.inf, np.nan, np.nan], [70000.0, 0.0, 0.0]], np.float32)}
    distances, real = Distances(NUMBERS, {"likely": 1.0}), np.array([True, True, False])
    have = {"likely": np.nan_to_num(want["likely"], nan=5.0) + np.float32(0.5)}
    distances.add(want, have, real, "m")
    assert (distances.mean, distances.largest) == (0.5, 0.5)
    have["likely"][2, 0] = np.inf
    with pytest.raises(CorruptData, match=r'm, output "likely", row 2: expected 70000 .* got inf'):
        distances.add(want, have, real, "m")
