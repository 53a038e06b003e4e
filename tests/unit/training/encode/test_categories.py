"""Categories: each encoding beside scikit-learn's, with values that no training row had."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from staytrue.errors import InvalidInput
from staytrue.feature import Feature
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT
from tests.encoders import encoded, learnt
from training.data.encode.categories import CategoryState

SKIES = np.array(["sun"] * 5 + ["rain"] * 3 + ["fog"] * 2, dtype=object)
FRESH = np.array(["fog", "sun", "snow", MISSING_TEXT, "rain"], dtype=object)
HOURS = np.array([-1, 7, 7, 23])


def made(fresh: Any = FRESH, seen: Any = SKIES, **settings: Any) -> np.ndarray:
    """Fresh values, encoded."""
    return encoded(learnt({"c": seen}, {"c": Feature.model_validate({"kind": "category"} | settings)}), {"c": fresh})


def test_one_hot_with_a_bucket_is_scikit_learns_and_a_column_for_the_unknown() -> None:
    expected = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(SKIES.reshape(-1, 1))
    got, columns = made(unknown="bucket"), expected.transform(FRESH.reshape(-1, 1))
    np.testing.assert_array_equal(got[:, :-1], columns)
    np.testing.assert_array_equal(got[:, -1], 1 - columns.sum(axis=1))


def test_a_rare_value_falls_into_the_bucket_as_with_scikit_learn() -> None:
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=3, sparse_output=False)
    expected = encoder.fit(SKIES.reshape(-1, 1)).transform(FRESH.reshape(-1, 1))
    np.testing.assert_array_equal(made(unknown="bucket", rare_below=3), expected)


def test_an_order_is_scikit_learns_places_as_shares() -> None:
    """Of K values the first is 1/K, the last 1, and 0 is left for the unknown."""
    encoder = OrdinalEncoder(categories=[["fog", "rain", "sun"]], handle_unknown="use_encoded_value", unknown_value=-1)
    expected = encoder.fit(SKIES.reshape(-1, 1)).transform(FRESH.reshape(-1, 1))
    np.testing.assert_allclose(made(encoding="ordinal", unknown="bucket"), (expected + 1) / 3, rtol=1e-6)


def test_an_order_that_is_given_goes_before_the_alphabet_and_before_what_was_seen() -> None:
    order = ["sun", "haze", "fog", "rain"]
    got = made(encoding="ordinal", unknown="bucket", order=order)
    assert got.ravel().tolist() == [0.75, 0.25, 0, 0, 1]


def test_whole_numbers_are_ordered_as_numbers() -> None:
    got = made(np.array([-1, 7, 23, MISSING_INTEGER, 8]), HOURS, datatype="INT64", encoding="ordinal", unknown="bucket")
    assert got.ravel().tolist() == pytest.approx([1 / 3, 2 / 3, 1, 0, 0])


def test_an_unknown_value_of_an_order_is_the_average_of_the_training_rows() -> None:
    """Half sun (3/3), three tenths rain (2/3), a fifth fog (1/3)."""
    assert made(encoding="ordinal")[2, 0] == pytest.approx(0.5 + 0.2 + 0.2 / 3)


def test_an_embedding_leaves_the_place_to_the_model() -> None:
    assert made(encoding="embedding").ravel().tolist() == [1, 3, 0, 0, 2]


def test_rare_values_have_no_part_in_the_average_nor_in_the_signature() -> None:
    encoder = learnt({"c": SKIES}, {"c": Feature(kind="category", rare_below=3)})
    state = encoder.states[0]
    assert isinstance(state, CategoryState)
    assert state.spec().categories == ["rain", "sun"]
    assert state.frequencies == pytest.approx([3 / 8, 5 / 8])


def test_a_column_of_rare_values_alone_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"expected a value in 6 training rows, got at most 5; lower .*rare_below"):
        made(rare_below=6)


def test_a_value_that_the_order_lacks_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="expected values of its order alone, got fog; add them"):
        made(order=["sun", "rain"], encoding="ordinal")
