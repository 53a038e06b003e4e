"""Outputs as classes: order, ties, names, shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from staytrue.classification import ranked
from staytrue.errors import InvalidInput
from staytrue.signature import TensorSpec
from staytrue.tensors import Asked


def told(array: Any, classes: int, labels: list[str], shape: list[int]) -> Any:
    """Ranked, as lists."""
    spec = TensorSpec(name="y", datatype="FP32", shape=shape)
    return ranked(Asked(spec, classes=classes), np.array(array), labels).tolist()


def test_the_highest_come_first_and_of_equal_ones_the_first() -> None:
    assert told([[1, 3, 3, 2]], 3, [], [-1, 4]) == [["3:1", "3:2", "2:3"]]


def test_more_classes_than_there_are_give_all() -> None:
    assert told([[0.5, 0.25]], 9, ["a", "b"], [-1, 2]) == [["0.5:0:a", "0.25:1:b"]]


def test_labels_of_another_length_name_nothing() -> None:
    assert told([[0.5, 0.25]], 1, ["a", "b", "c"], [-1, 2]) == [["0.5:0"]]


def test_each_row_has_its_own_order_and_further_axes_count_on() -> None:
    assert told([[[1, 2], [3, 0]], [[9, 2], [3, 0]]], 1, [], [-1, 2, 2]) == [["3:2"], ["9:0"]]


def test_an_output_without_rows_is_one_row() -> None:
    assert told([0.1, 0.9], 1, [], [2]) == ["0.9:1"]
    assert told([0.1, 0.9], 1, [], [-1]) == [["0.1:0"], ["0.9:0"]]


def test_nan_has_no_rank() -> None:
    with pytest.raises(InvalidInput, match='output "y": came out NaN'):
        told([[np.nan, 1.0]], 1, [], [-1, 2])
