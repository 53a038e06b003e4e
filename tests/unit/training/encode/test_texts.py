"""Texts and sequences: filled up to one size, masked, and scaled where they are there."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staytrue.errors import InvalidInput
from staytrue.feature import Feature
from staytrue.signature import MISSING_INTEGER
from tests.encoders import encoded, learnt
from training.data.clean.cleaning import is_missing
from training.data.encode.encoder import CHUNK
from training.data.encode.sequences import SequenceState
from training.data.padded import padded, utf8

TEXT = Feature(kind="text", shape=[6])
STEPS = Feature(kind="sequence", shape=[4, 2])


def objects(*values: Any) -> np.ndarray:
    """An array of them as they are."""
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8")), min_size=1, max_size=20))
def test_any_text_comes_back_from_its_numbers_up_to_its_length(texts: list[str]) -> None:
    rows = padded(TEXT, objects(*texts), "here")
    matrix = encoded(
        learnt({"t": rows}, {"t": TEXT}) if rows.any() else learnt({"t": rows + 1}, {"t": TEXT}), {"t": rows}
    )
    numbers, there = np.round(matrix[:, :6] * 255).astype(np.uint8), matrix[:, 6:]
    for text, row, mask in zip(texts, numbers, there, strict=True):
        assert row.tobytes().rstrip(b"\0") == text.encode()[:6]
        assert mask.tolist() == [1.0] * len(text.encode()[:6]) + [0.0] * (6 - len(text.encode()[:6]))
        assert row.tolist() == utf8(text, 6).tolist()


def test_texts_come_from_a_source_as_text_and_from_the_lake_as_bytes() -> None:
    rows = padded(TEXT, objects("né", None, b"abcdefgh", [110, 195, 169, 0, 0, 0]), "here")
    assert rows.dtype == np.uint8
    assert rows.tolist() == [[110, 195, 169, 0, 0, 0], [0] * 6, [97, 98, 99, 100, 101, 102], [110, 195, 169, 0, 0, 0]]


@pytest.mark.parametrize("value", [3.5, [[1, 2]], [300], ["a"]])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match=r'a\.csv, column "t", row 2: expected'):
        padded(TEXT, objects("a", value), 'a.csv, column "t"')


def test_sequences_are_filled_up_with_nan() -> None:
    """Of lists of steps, of one flat list as the lake has them, of none."""
    gone = np.nan
    rows = padded(STEPS, objects([[1, 2], [3, None]], [5.0, 6.0], [], None), "here")
    assert rows.dtype == np.float32
    expected: list[list[list[float]]] = [[[1, 2], [3, gone]], [[5, 6]], [], []]
    for row, steps in zip(rows, expected, strict=True):
        full = np.array(steps + [[gone, gone]] * (4 - len(steps)))
        np.testing.assert_array_equal(row, full)


@pytest.mark.parametrize(
    ("value", "got"), [([[1, 2]] * 5, "got 5 steps"), ([[1, 2, 3]], "steps of 3"), ([["a", "b"]], "expected numbers")]
)
def test_sequences_of_other_sizes_are_refused(value: Any, got: str) -> None:
    with pytest.raises(InvalidInput, match=f"row 1: .*{got}"):
        padded(STEPS, objects(value), "here")


def test_steps_that_are_there_have_mean_0_and_deviation_1_and_others_are_0() -> None:
    draw = np.random.default_rng(0)
    rows = draw.normal([5, -30], [2, 9], (50, 4, 2)).astype(np.float32)
    for row, length in zip(rows, draw.integers(1, 5, 50), strict=True):
        row[length:] = np.nan
    rows[0, 0, 1] = np.nan  # a gap within a step
    encoder = learnt({"s": rows}, {"s": STEPS})
    state = encoder.states[0]
    assert isinstance(state, SequenceState)
    assert state.mean == pytest.approx(np.nanmean(rows, axis=(0, 1)).tolist(), rel=1e-5)
    assert state.deviation == pytest.approx(np.nanstd(rows, axis=(0, 1)).tolist(), rel=1e-5)
    matrix = encoded(encoder, {"s": rows})
    numbers, there = matrix[:, :8].reshape(50, 4, 2), matrix[:, 8:]
    np.testing.assert_array_equal(there, ~np.isnan(rows[:, :, 0]))
    present = ~np.isnan(rows)
    assert (numbers[~present] == 0).all()
    for channel in (0, 1):
        values = numbers[:, :, channel][present[:, :, channel]]
        assert values.mean() == pytest.approx(0, abs=1e-5)
        assert values.std() == pytest.approx(1, rel=1e-5)


def test_an_infinite_step_is_cut_and_counts_as_there() -> None:
    seen = np.random.default_rng(0).normal(size=(9, 4, 2)).astype(np.float32)
    odd = np.full((1, 4, 2), np.nan, dtype=np.float32)
    odd[0, 0] = [np.inf, -np.inf]
    assert encoded(learnt({"s": seen}, {"s": STEPS}), {"s": odd})[0].tolist() == [10, -10, *[0] * 6, 1, 0, 0, 0]


def test_a_channel_that_no_training_row_has_scales_nothing() -> None:
    seen = np.ones((3, 4, 2), dtype=np.float32)
    seen[:, :, 1] = np.nan
    assert encoded(learnt({"s": seen}, {"s": STEPS}), {"s": seen})[0].tolist() == [0] * 8 + [1] * 4


def test_empty_texts_and_sequences_without_a_step_count_as_missing() -> None:
    """One that has but a gap does not."""
    assert is_missing(np.array([[0, 0], [0, 7]], dtype=np.uint8)).tolist() == [True, False]
    steps = np.full((3, 4, 2), np.nan, dtype=np.float32)
    steps[1, 0, 0] = steps[2] = 1
    assert is_missing(steps).tolist() == [True, False, False]


def test_a_column_of_empty_texts_alone_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"data\.features\.t: expected values among the training rows"):
        learnt({"t": np.zeros((3, 6), dtype=np.uint8)}, {"t": TEXT})


def test_texts_and_sequences_are_predicted_in_parts_as_pictures_are() -> None:
    """A network keeps far more of a row than a table's."""
    rows = np.ones((CHUNK + 1, 6), dtype=np.uint8)
    assert [len(part["t"]) for part in learnt({"t": rows}, {"t": TEXT}).chunks({"t": rows})] == [CHUNK, 1]


def test_the_request_of_the_page_sends_what_the_page_says() -> None:
    """A date and a text, and neither."""
    page = Path(__file__).parents[4] / "docs" / "preprocessing.md"
    due, note = json.loads(re.findall(r"-d '(.*?)'\n", page.read_text(encoding="utf-8"), re.DOTALL)[0])["inputs"]
    moment = datetime.datetime(2024, 3, 1, tzinfo=datetime.UTC).timestamp()
    assert (due["shape"], due["data"]) == ([2, 1], [moment, MISSING_INTEGER])
    assert (note["shape"], note["data"]) == ([2, 12], [utf8("née, asap", 12).tolist(), [0] * 12])


@pytest.mark.parametrize(("still", "other"), [(0.1, 0.2), (0.0, 1e-45)], ids=["same", "subnormal"])
def test_a_channel_that_hardly_varies_divides_by_nothing_small(still: float, other: float) -> None:
    """The mean of many 0.1 is not 0.1 to the last bit."""
    column = np.full((1000, 4, 2), still, dtype=np.float32)
    if other < 0.1:
        column[::2, :, 1] = other
    encoder = learnt({"s": column}, {"s": STEPS})
    [state] = encoder.states
    assert isinstance(state, SequenceState)
    assert state.deviation == [1.0, 1.0]
    seen = encoded(encoder, {"s": np.full((1, 4, 2), other, dtype=np.float32)})[0, :8]
    assert seen.tolist() == pytest.approx([other - still] * 8)


def test_sequences_of_numbers_that_stand_for_none_are_refused() -> None:
    """By which every mean would be one of them."""
    column = np.zeros((10, 4, 2), dtype=np.float32)
    column[3, 2, 1] = -3.4e38
    with pytest.raises(InvalidInput, match=r"data\.features\.s: expected channels whose .* within 1e\+15, got -8\.5e"):
        learnt({"s": column}, {"s": STEPS})
