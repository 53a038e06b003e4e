"""Values between lists and arrays: bfloat16 to the last bit, places in messages."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staytrue.errors import InvalidInput
from staytrue.values import Where, array_of, listed, narrowed, no_datatype

LARGEST = float(np.uint32(0x7F7F0000).view(np.float32))


def bfloat(bits: int) -> float:
    """The bfloat16 of sixteen bits."""
    return float(np.uint32(bits << 16).view(np.float32))


def nearest(value: float) -> float:
    """The bfloat16 next to a number by exact arithmetic, of two as near the one that ends in zero."""
    low, high = 0, 0x7F80  # as whole numbers, bits of positive floats are in the order of the floats
    size = Fraction(abs(value))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if Fraction(bfloat(middle)) <= size else (low, middle)
    above = Fraction(bfloat(high)) if high < 0x7F80 else Fraction(2) ** 128  # what would come next, were there more
    below, over = size - Fraction(bfloat(low)), above - size
    chosen = low if below < over or (below == over and low % 2 == 0) else high
    return math.copysign(bfloat(chosen), value)


@given(
    st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(width=32, allow_nan=False, allow_infinity=False)
    | st.builds(
        lambda bits, nudge: (bfloat(bits) + bfloat(bits + 1)) / 2 * (1 + nudge * 2.0**-52),
        st.integers(0, 0x7F7E),
        st.sampled_from([-1, 0, 1]),
    )
)
def test_a_double_becomes_the_nearest_bfloat16_rounded_once(value: float) -> None:
    (made,) = narrowed(np.array([value]), "BF16")
    assert made == nearest(value)
    assert math.copysign(1, made) == math.copysign(1, value)
    assert made.view(np.uint32) & 0xFFFF == 0


def test_what_is_no_number_stays_none_in_bfloat16() -> None:
    made = narrowed(np.array([np.nan, np.inf, -np.inf, LARGEST, 3.4e38]), "BF16")
    assert np.isnan(made[0])
    assert made[1:].tolist() == [math.inf, -math.inf, LARGEST, math.inf]


def test_a_value_that_is_none_is_named_by_its_place() -> None:
    where = Where("the column", lambda place: f"row {place}")
    with pytest.raises(InvalidInput, match=r"^row 1: expected INT8, got a string 'x'$"):
        array_of([1, "x"], "INT8", [2], where)
    with pytest.raises(InvalidInput, match=r"^row 1: expected INT8 from -128 to 127, got 128$"):
        array_of([1, 128], "INT8", [2], where)


def test_integers_come_through_to_the_last_bit() -> None:
    values = [2**63 - 1, -(2**63), 2**53 + 1]
    assert array_of(values, "INT64", [3], Where.of("x")).tolist() == values
    assert array_of([2**64 - 1], "UINT64", [1], Where.of("x")).tolist() == [2**64 - 1]


def test_outputs_are_listed_by_the_policy() -> None:
    array = np.array([[1.0, -np.inf]], np.float16)
    assert listed("y", array, "string") == [1.0, "-Infinity"]
    assert listed("y", array, "null") == [1.0, None]
    with pytest.raises(InvalidInput, match='output "y": came out NaN or infinite'):
        listed("y", array, "reject")


def test_missing_numbers_follow_the_policy() -> None:
    where = Where.of("x")
    assert np.isnan(array_of([None, 1.0], "FP32", [2], where, "null")).tolist() == [True, False]
    assert array_of(["-Infinity", 1], "BF16", [2], where, "string").tolist() == [-math.inf, 1.0]
    with pytest.raises(InvalidInput, match=r"x data\[0\]: expected FP64, got nothing \(null\); for missing values"):
        array_of([None], "FP64", [1], where)
    for values in ([1, 1e39, 1], [1, 10**400, 1e39]):
        with pytest.raises(InvalidInput, match=r"x data\[1\]: expected finite FP32, got 1[e+0-9]+.*, a number beyond"):
            array_of(values, "FP32", [3], where, "null")


@pytest.mark.parametrize(("sent", "hint"), [("NaN", "nan_policy"), ("1.5", "numbers stand without quotation marks")])
def test_a_number_in_quotes_is_told_how_it_is_written(sent: str, hint: str) -> None:
    with pytest.raises(InvalidInput, match=rf"x data\[0\]: expected FP32, got a string '{sent}'; .*{hint}"):
        array_of([sent], "FP32", [1], Where.of("x"))


@pytest.mark.parametrize(
    ("said", "meant"), [("fp32", "FP32"), ("float32", "FP32"), ("double", "FP64"), ("str", "BYTES"), ("int8", "INT8")]
)
def test_a_datatype_by_another_name_is_told_ours(said: str, meant: str) -> None:
    assert no_datatype("x datatype", said).hint == f"did you mean '{meant}'?"


def test_what_is_like_no_datatype_has_no_question() -> None:
    assert no_datatype("x datatype", 7).hint == no_datatype("x datatype", "tensor").hint == ""


def test_outputs_without_fractions_are_listed_as_they_are() -> None:
    assert listed("y", np.array([[1, 2]]), "reject") == [1, 2]
    assert listed("y", np.array([np.nan, np.inf]), "string") == ["NaN", "Infinity"]
