"""Rows in memory."""

from __future__ import annotations

import numpy as np
import pytest

from staytrue.errors import InvalidInput
from staytrue.feature import Feature
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT
from training.data.padded import padded
from training.data.rows import Rows, TrainingRows, join
from training.data.typed import typed

NUMERIC, WHOLE, TEXT = Feature(kind="numeric"), Feature(kind="category", datatype="INT64"), Feature(kind="category")


def rows(times: list[float]) -> Rows:
    """Rows whose column and target repeat their time."""
    values = np.array(times)
    return Rows(values, {"x": values.astype(np.float32)}, values.copy())


def test_join_orders_by_time_and_keeps_rows_whole() -> None:
    """Rows of several parts come in time order, each with its own values."""
    whole = join([rows([3, 5]), rows([1, 4])])
    assert whole.time.tolist() == whole.target.tolist() == whole.columns["x"].tolist() == [1, 3, 4, 5]


def test_the_digest_tells_content_and_order() -> None:
    """Equal rows have equal digests; another order or value has another."""
    assert rows([1, 2]).digest() == rows([1, 2]).digest()
    assert len({rows([1, 2]).digest(), rows([2, 1]).digest(), rows([1, 3]).digest()}) == 3


def test_texts_of_different_cuts_have_different_digests() -> None:
    """Joining texts must not make ["ab", "c"] and ["a", "bc"] the same."""
    zero = np.zeros(2)

    def of(*texts: str) -> str:
        return Rows(zero, {"t": np.array(texts, dtype=object)}, zero).digest()

    assert of("ab", "c") != of("a", "bc")


def test_missing_values_have_one_form_for_each_datatype() -> None:
    """NaN, the smallest integer, the empty text."""
    gap = np.ma.masked_array([1.0, 2.0], mask=[False, True])
    assert np.isnan(typed("x", NUMERIC, gap, "f")[1])
    assert typed("x", WHOLE, gap, "f").tolist() == [1, MISSING_INTEGER]
    assert typed("x", TEXT, gap, "f").tolist() == ["1", MISSING_TEXT]


def test_what_is_no_number_and_no_date_is_no_name_either() -> None:
    """Else "nan" were a class, that nobody gave and callers would be answered with."""
    assert typed("x", TEXT, np.array([1.0, np.nan]), "f").tolist() == ["1", MISSING_TEXT]
    moments = np.array(["2024-01-31", "NaT"], dtype="datetime64[s]")
    assert typed("x", TEXT, moments, "f").tolist()[1] == MISSING_TEXT


def test_the_digest_tells_whose_the_rows_are() -> None:
    """Another group column divides them otherwise."""
    some = rows([1, 2])
    one, other = (
        Rows(some.time, some.columns, some.target, {"who": np.array(list(who), dtype=object)}) for who in ("aa", "ab")
    )
    assert len({some.digest(), one.digest(), other.digest()}) == 3


def test_numbers_that_fp32_does_not_hold_are_infinite_without_a_warning() -> None:
    """Cleaning counts them; sequences alike."""
    sequence = Feature(kind="sequence", shape=[2, 1])
    assert typed("x", NUMERIC, np.array([1e39, -1e400, 1.0]), "f").tolist() == [np.inf, -np.inf, 1.0]
    assert typed("x", sequence, np.array([[1e39, 1.0], None], dtype=object), "f")[0].tolist() == [[np.inf], [1.0]]


def test_a_column_of_texts_may_hold_numbers() -> None:
    """A CSV column with one odd value is text throughout; its numbers are still numbers."""
    assert typed("x", NUMERIC, np.array(["1.5", None, "2"], dtype=object), "f")[[0, 2]].tolist() == [1.5, 2.0]


@pytest.mark.parametrize(
    ("feature", "values", "said"),
    [
        (NUMERIC, np.array(["1", "soon"], dtype=object), "expected numbers, got 'soon'"),
        (WHOLE, np.array([1.0, 2.5]), "expected whole numbers (INT64), got 2.5"),
        (WHOLE, np.array([1.0, np.inf]), "expected whole numbers (INT64), got inf"),
    ],
    ids=["no number", "no whole number", "infinite"],
)
def test_a_value_that_does_not_fit_is_named(feature: Feature, values: np.ndarray, said: str) -> None:
    """The message says where, what was expected and what was got."""
    with pytest.raises(InvalidInput) as caught:
        typed("x", feature, values, "d.csv")
    assert str(caught.value).startswith(f'd.csv, column "x", row 2: {said}; ')


def test_whole_numbers_of_the_lake_stay_as_they_were_sent() -> None:
    """Also the one that says missing, and those that a float would round."""
    sent = np.ma.masked_array(np.array([3, MISSING_INTEGER, 2**60 + 1, 7]), mask=[False, False, False, True])
    feature = Feature(kind="category", datatype="INT64")
    assert typed("a", feature, sent, "lake").tolist() == [3, MISSING_INTEGER, 2**60 + 1, MISSING_INTEGER]


def test_rows_that_do_not_train_cannot_be_joined_to_those_that_do() -> None:
    train, held = TrainingRows.of(rows([1, 2])), rows([3])
    assert len(train.with_(TrainingRows.of(rows([4])))) == 3
    with pytest.raises(TypeError, match="training rows alone"):
        train.with_(held)  # type: ignore[arg-type]


def test_whole_numbers_beyond_int64_are_refused() -> None:
    """They would turn negative."""
    large = np.array([5, 2**63 - 1, 2**64 - 1], dtype=np.uint64)
    assert typed("n", WHOLE, large[:2], "f").tolist() == [5, 2**63 - 1]
    with pytest.raises(InvalidInput, match=r'f, column "n", row 13: expected whole numbers up to 9223372036854775807'):
        typed("n", WHOLE, large, "f", begin=10)
    hidden = np.ma.array(large, mask=[False, False, True])
    assert typed("n", WHOLE, hidden, "f").tolist()[:2] == [5, 2**63 - 1]
    with pytest.raises(InvalidInput, match=r'f, column "n", row 3: expected whole numbers up to'):
        typed("n", Feature(kind="date"), large, "f")


def test_a_text_that_is_no_utf_8_is_named_with_its_row() -> None:
    """Counted from 1, and over parts of a column."""
    feature = Feature.model_validate({"kind": "text", "shape": [4], "tokenizer": {"train": "bpe"}})
    values = np.array([b"sun", b"\xff"], dtype=object)
    with pytest.raises(InvalidInput, match=r"row 2: expected a text in UTF-8"):
        padded(feature, values, "f")
    with pytest.raises(InvalidInput, match=r"row 12: expected a text in UTF-8"):
        padded(feature, values, "f", begin=10)
