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
    found = by_row(np.array(want, float), np.array(have, float), classes=signature is CLASSES)
    return [round(float(one), 6) for one in found]


def test_probabilities_of_classes_are_half_the_sum_of_their_differences_apart() -> None:
    want, have = [[0.7, 0.2, 0.1], [1, 0, 0]], [[0.4, 0.3, 0.3], [0, 0, 1]]
    assert of(CLASSES, want, have) == [0.3, 1.0]


def test_labels_and_numbers_are_apart_by_the_largest_difference() -> None:
    want, have = [[0.7, 0.2, 0.1], [1, 0, 0]], [[0.4, 0.3, 0.3], [0, 0, 1]]
    for signature in (LABELS, NUMBERS):
        assert of(signature, want, have) == [0.3, 1.0]


def test_pictures_are_apart_by_the_root_mean_square_of_all_numbers() -> None:
    want, have = np.zeros((1, 1, 2, 2)), np.array([1.0, 1.0, 1.0, 5.0]).reshape(1, 1, 2, 2)
    assert by_row(want, have).tolist() == [pytest.approx(7**0.5)]


@pytest.mark.parametrize("classes", [2, 40, 1000])
def test_wrong_answers_are_as_far_apart_of_many_classes_as_of_two(classes: int) -> None:
    names = [str(place) for place in range(classes)]
    outputs = [
        TensorSpec(name="kind", datatype="BYTES", shape=[-1, 1], categories=names),
        TensorSpec(name="likely", datatype="FP32", shape=[-1, classes]),
    ]
    right = np.eye(classes)[np.arange(100) % classes]
    distances = Distances(Signature(inputs=[], outputs=outputs), {})
    texts = {"kind": np.array([[names[place]] for place in right.argmax(axis=1)], dtype=object)}
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


THREE = np.tile([[0.8, 0.15, 0.05]], (20, 1))
FIRST = np.full((20, 1), "a", dtype=object)


def measured(outputs: list[TensorSpec], want: Any, have: Any, units: dict[str, float]) -> float:
    """Mean distance of 20 real rows."""
    distances = Distances(Signature(inputs=[], outputs=outputs), units)
    distances.add(want, have, np.ones(20, bool), "m")
    return distances.mean


def test_numbers_as_wide_as_the_classes_of_another_output_are_no_probabilities() -> None:
    """Ten of their own units off is ten, beside probabilities that are right."""
    where = TensorSpec(name="where", datatype="FP32", shape=[-1, 3])
    want = {"kind": FIRST, "likely": THREE, "where": np.zeros((20, 3))}
    units = {"likely": 1.0, "where": 0.001}
    assert measured([*KINDS, LIKELY, where], want, want | {"where": np.full((20, 3), 0.01)}, units) == pytest.approx(10)
    assert measured([*KINDS, LIKELY, where], want, want | {"likely": THREE[:, ::-1]}, units) == pytest.approx(0.75)


def test_a_distribution_that_names_another_class_is_none_of_these_classes() -> None:
    want = {"kind": FIRST, "likely": THREE[:, ::-1].copy()}
    have = want | {"likely": want["likely"] + np.array([0.1, 0, -0.1])}
    assert measured([*KINDS, LIKELY], want, have, {"likely": 0.1}) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["INT64", "BYTES"])
def test_probabilities_may_belong_to_classes_by_name_or_by_number(kind: Any) -> None:
    spec = KINDS[0] if kind == "BYTES" else TensorSpec(name="kind", datatype="INT64", shape=[-1])
    want = {"kind": FIRST if kind == "BYTES" else np.zeros(20, np.int64), "likely": THREE}
    have = want | {"likely": THREE + np.array([-0.1, 0.05, 0.05])}
    assert measured([spec, LIKELY], want, have, {"likely": 99.0}) == pytest.approx(0.1)


def test_numbers_of_the_shape_of_flags_are_no_probabilities_of_labels() -> None:
    outputs = [
        TensorSpec(name="big", datatype="BOOL", shape=[-1, 1]),
        TensorSpec(name="price", datatype="FP32", shape=[-1, 1]),
    ]
    want = {"big": np.ones((20, 1), bool), "price": np.full((20, 1), 3.0)}
    have = want | {"price": np.full((20, 1), 3.01)}
    assert measured(outputs, want, have, {"price": 0.001}) == pytest.approx(10)
    want["price"] = np.full((20, 1), 0.9)
    assert measured(outputs, want, have | {"price": np.full((20, 1), 0.7)}, {"price": 9.0}) == pytest.approx(0.2)


def test_of_nothing_there_is_no_distance() -> None:
    distances = Distances(NUMBERS, {"likely": 1.0})
    distances.add({"likely": np.full((2, 3), np.nan)}, {"likely": np.ones((2, 3))}, np.ones(2, bool), "m")
    distances.add({"likely": np.zeros((2, 3))}, {"likely": np.ones((2, 3))}, np.zeros(2, bool), "m")
    assert distances.uncompared() == ["likely"]
    assert np.isnan([distances.mean, distances.far, distances.largest]).all()
