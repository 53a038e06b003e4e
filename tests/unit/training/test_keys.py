"""Keys: the same for the same features, and for no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from staytrue.signature import MISSING_INTEGER
from training.data.keys import keys_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

VALUES = st.tuples(
    st.sampled_from([0.0, -0.0, 1.5, float("nan"), float("inf")]),
    st.sampled_from([0, 1, MISSING_INTEGER, 2**62]),
    st.sampled_from(["", "a", "b", "ab"]),
)


@given(st.lists(VALUES, min_size=1, max_size=40))
def test_rows_share_a_key_just_where_pandas_calls_them_duplicates(values: list[tuple[float, int, str]]) -> None:
    numbers, integers, texts = zip(*values, strict=True)
    columns: dict[str, NDArray[Any]] = {
        "n": np.array(numbers, dtype=np.float32),
        "i": np.array(integers, dtype=np.int64),
        "t": np.array(texts, dtype=object),
    }
    keys = keys_of(columns)
    table = pd.DataFrame(columns)
    assert (pd.Series(keys).duplicated() == table.duplicated()).all()


def test_no_two_of_a_million_different_rows_share_a_key() -> None:
    """Neighbours on a grid, whose bits differ least."""
    first, second = (axis.ravel() for axis in np.meshgrid(np.arange(1000), np.arange(1000)))
    assert len(np.unique(keys_of({"a": first, "b": second}))) == 10**6


def test_pictures_differ_by_each_pixel_and_its_place() -> None:
    """One pixel of one picture, moved by one."""
    pictures = np.zeros((65, 1, 8, 8), dtype=np.uint8)
    pictures[np.arange(64), 0, np.arange(64) // 8, np.arange(64) % 8] = 1
    assert len(np.unique(keys_of({"p": pictures}))) == 65


def test_columns_may_not_change_places() -> None:
    """1 and 2 is not 2 and 1."""
    keys = keys_of({"a": np.array([1.0, 2.0]), "b": np.array([2.0, 1.0])})
    assert keys[0] != keys[1]
