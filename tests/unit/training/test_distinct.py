"""Distinct values: NumPy's own, whatever a column holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.distinct import counted, distinct

WORDS = st.text(max_size=3) | st.sampled_from(["", "a", "B", "\N{SNOWMAN}", "\U0001f600", "\udcff"])


@given(st.lists(WORDS, max_size=30))
def test_of_texts_they_are_numpys_in_its_order(words: list[str]) -> None:
    """Lone surrogates, which Arrow does not take, among them."""
    check(np.array(words, dtype=object))


@pytest.mark.parametrize(
    "column",
    [
        np.array([3.0, np.nan, -0.0, 0.0, np.nan]),
        np.array([3, 1, 3]),
        np.array([True, False]),
        np.array([2, 1, 2], dtype=object),
        np.array([], dtype=object),
    ],
    ids=["floats", "wholes", "booleans", "objects", "nothing"],
)
def test_of_others_they_are_too(column: np.ndarray[Any, Any]) -> None:
    check(column)


def check(column: np.ndarray[Any, Any]) -> None:
    """Against NumPy."""
    values, places, counts = np.unique(column, return_inverse=True, return_counts=True)
    for got, expected in zip((*distinct(column), counted(column)[1]), (values, places, counts), strict=True):
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(counted(column)[0], values)
