"""Pictures: lists of numbers become arrays of channels, height and width."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from staytrue.errors import InvalidInput
from staytrue.feature import Feature
from training.data.pictures import fitting, stacked

BYTES = Feature(kind="image", shape=[2, 1, 2])
FLOATS = Feature(kind="image", datatype="FP32", shape=[2, 1, 2])


def lists(*values: Any) -> np.ndarray:
    """As DuckDB gives a column of lists."""
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


def test_a_list_is_read_row_by_row_channel_after_channel() -> None:
    pictures = stacked("p", BYTES, lists(np.array([1, 2, 3, 4]), np.array([5.0, 6, 7, 255])), "f")
    assert pictures.dtype == np.uint8
    assert pictures.tolist() == [[[[1, 2]], [[3, 4]]], [[[5, 6]], [[7, 255]]]]


def test_lists_may_be_nested_as_the_picture_is() -> None:
    nested = lists(lists(lists(np.array([1, 2])), lists(np.array([3, 4]))))
    assert stacked("p", BYTES, nested, "f").tolist() == [[[[1, 2]], [[3, 4]]]]


def test_a_picture_of_floats_may_lack_a_pixel() -> None:
    gap = np.ma.masked_array([1.5, 0, -2, 1e9], mask=[False, True, False, False])
    pictures = stacked("p", FLOATS, lists(gap), "f")
    assert pictures.dtype == np.float32
    assert np.isnan(pictures.ravel()).tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (np.array([1, 2, 3]), "3 from 1 to 3"),
        (np.array([1, 2, 3, 256]), "4 from 1 to 256"),
        (np.array([1, 2, 3, -1]), "4 from -1 to 3"),
        (np.array([1, 2, 3, 0.5]), "4 from 0.5 to 3.0"),
        (np.array([]), "an empty one"),
        ("[1, 2, 3, 4]", "'[1, 2, 3, 4]'"),
        (np.ma.masked_array([1, 2, 3, 4], mask=[False, True, False, False]), "4 from 1 to 4"),
        (None, "nothing"),
    ],
    ids=["too short", "too bright", "too dark", "in between", "empty", "text", "a gap", "none"],
)
def test_what_is_no_picture_is_named_with_its_row(value: Any, got: str) -> None:
    column = lists(np.zeros(4), value)
    with pytest.raises(InvalidInput) as caught:
        stacked("p", BYTES, column, "f")
    expected = 'f, column "p", row 2: expected a list of 4 whole numbers from 0 to 255, got '
    assert str(caught.value).startswith(expected + got)
    assert fitting(BYTES, column).tolist() == [True, False]


def test_a_masked_row_has_no_picture() -> None:
    column = np.ma.masked_array(lists(np.zeros(4), np.zeros(4)), mask=[True, False])
    assert fitting(BYTES, column).tolist() == [False, True]


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_many_pictures_are_taken_at_once_and_one_that_is_none_is_found_among_them(dtype: type) -> None:
    """Those before and behind it are what they were; so are those of two parts."""
    values = np.random.default_rng(0).integers(0, 256, (2500, 4))
    column = lists(*values.astype(dtype))
    assert stacked("p", BYTES, column, "f").tolist() == values.reshape(-1, 2, 1, 2).tolist()
    column[2000] = np.array([0, 0, 0, 256])
    column[2100] = None
    assert np.flatnonzero(~fitting(BYTES, column)).tolist() == [2000, 2100]
    with pytest.raises(InvalidInput, match='column "p", row 2001: expected a list of 4 whole'):
        stacked("p", BYTES, column, "f")
    whole = np.arange(len(column)) < 2000
    assert stacked("p", BYTES, column[whole], "f").tolist() == values[whole].reshape(-1, 2, 1, 2).tolist()


def test_pictures_are_taken_at_once_where_they_are_of_one_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of tens of thousands, a look at each costs as much as to train on them."""
    monkeypatch.setattr("training.data.pictures._flat", pytest.fail)
    assert stacked("p", BYTES, lists(*np.ones((50, 4), dtype=np.uint8)), "f").shape == (50, 2, 1, 2)
