"""Encode: raw tensors to one matrix, inside the graph."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from staytrue.errors import InvalidInput
from staytrue.feature import Feature
from staytrue.signature import MISSING_INTEGER
from training.data.encode.categories import CategoryState
from training.data.encode.encoder import CHUNK, Encoder, input_specs, learn, tensors
from training.data.encode.numbers import CLIP, NumericState
from training.data.encode.pictures import ImageState
from training.data.rows import Rows, TrainingRows

FEATURES = {
    "x": Feature(kind="numeric", unit="m"),
    "n": Feature(kind="numeric", datatype="INT64"),
    "hour": Feature(kind="category", datatype="INT64"),
    "sky": Feature(kind="category"),
}
ROWS = TrainingRows(
    np.arange(4.0),
    {
        "x": np.array([1, 2, 6, np.nan], dtype=np.float32),
        "n": np.array([10, 20, 30, MISSING_INTEGER], dtype=np.int64),
        "hour": np.array([7, 7, 23, MISSING_INTEGER], dtype=np.int64),
        "sky": np.array(["sun", "rain", "sun", ""], dtype=object),
    },
    np.zeros(4),
)


def encoder() -> Encoder:
    """Learnt from the four rows."""
    return Encoder(learn(ROWS, FEATURES))


def test_the_state_is_learnt_from_present_values_alone() -> None:
    """Closed forms: median 2, mean 3, deviation sqrt(14/3)."""
    x, _, hour, sky = learn(ROWS, FEATURES)
    assert isinstance(x, NumericState)
    assert [x.fill, x.mean, x.deviation] == pytest.approx([2, 3, math.sqrt(14 / 3)])
    assert isinstance(hour, CategoryState)
    assert isinstance(sky, CategoryState)
    assert hour.values == ["7", "23"]
    assert hour.frequencies == pytest.approx([2 / 3, 1 / 3])
    assert sky.values == ["rain", "sun"]


def test_numbers_are_scaled_to_mean_zero_and_deviation_one() -> None:
    """Over the rows that have a value."""
    matrix = encoder()(*tensors(ROWS.columns, encoder().states)).numpy()
    assert matrix[:3, 0].mean() == pytest.approx(0, abs=1e-6)
    assert matrix[:3, 0].std() == pytest.approx(1, abs=1e-6)


def test_a_missing_number_takes_the_median_s_place() -> None:
    """FP32 by NaN, INT64 by the smallest integer."""
    matrix = encoder()(*tensors(ROWS.columns, encoder().states))
    assert torch.equal(matrix[3, :2], matrix[1, :2])


def test_absurd_numbers_are_cut() -> None:
    """Infinity and 1e30 become the largest scaled number."""
    columns = ROWS.columns | {"x": np.array([1e30, -1e30, np.inf, -np.inf], dtype=np.float32)}
    matrix = encoder()(*tensors(columns, encoder().states))
    assert matrix[:, 0].tolist() == [CLIP, -CLIP, CLIP, -CLIP]


def test_a_known_category_is_a_one_among_zeros() -> None:
    """Columns: x, n, hour 7, hour 23, rain, sun."""
    matrix = encoder()(*tensors(ROWS.columns, encoder().states))
    assert matrix[0, 2:].tolist() == [1, 0, 0, 1]
    assert matrix[1, 2:].tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("hour", [99, -1, 0, MISSING_INTEGER], ids=["99", "-1", "0", "missing"])
def test_an_unknown_integer_category_is_spread_as_in_training(hour: int) -> None:
    """Its row sums to one, like that of any known value."""
    columns = ROWS.columns | {"hour": np.full(4, hour)}
    matrix = encoder()(*tensors(columns, encoder().states))
    assert matrix[0, 2:4].tolist() == pytest.approx([2 / 3, 1 / 3])


def test_texts_reach_the_module_as_codes_with_zero_for_the_unknown() -> None:
    """1 + position among the categories of the signature, as the exported label encoder gives them."""
    states = learn(ROWS, FEATURES)
    columns = ROWS.columns | {"sky": np.array(["rain", "sun", "snow", ""], dtype=object)}
    assert tensors(columns, states)[3].tolist() == [[1], [2], [0], [0]]
    assert input_specs(states)[3].categories == ["rain", "sun"]


def test_the_signature_says_what_callers_send() -> None:
    """One tensor a feature, in order, with its unit."""
    specs = input_specs(learn(ROWS, FEATURES))
    assert [(s.name, s.datatype, s.shape) for s in specs] == [
        ("x", "FP32", [-1, 1]),
        ("n", "INT64", [-1, 1]),
        ("hour", "INT64", [-1, 1]),
        ("sky", "BYTES", [-1, 1]),
    ]
    assert specs[0].unit == "m"


def test_a_constant_column_encodes_to_zero() -> None:
    """No division by zero."""
    still = TrainingRows(np.zeros(2), {"x": np.array([5, 5], dtype=np.float32)}, np.zeros(2))
    states = learn(still, {"x": FEATURES["x"]})
    assert Encoder(states)(*tensors(still.columns, states)).tolist() == [[0], [0]]


def test_a_column_without_values_is_refused() -> None:
    """There is nothing to learn its median from."""
    empty = TrainingRows(np.zeros(1), {"x": np.array([np.nan], dtype=np.float32)}, np.zeros(1))
    with pytest.raises(InvalidInput, match=r"data\.features\.x: expected values .*; remove it from data\.features"):
        learn(empty, {"x": FEATURES["x"]})


def views(datatype: str, values: np.ndarray) -> Encoder:
    """An encoder of one column of pictures, learnt from these."""
    feature = Feature.model_validate({"kind": "image", "datatype": datatype, "shape": list(values.shape[1:])})
    return Encoder(
        learn(TrainingRows(np.arange(float(len(values))), {"p": values}, np.zeros(len(values))), {"p": feature})
    )


def test_bytes_become_0_to_1_and_each_channel_has_mean_zero_and_deviation_one() -> None:
    """Closed form of the state, and one row of numbers a picture, channel after channel."""
    draw = np.random.default_rng(0)
    values = np.stack([draw.integers(0, 50, (9, 3, 4)), draw.integers(100, 256, (9, 3, 4))], axis=1).astype(np.uint8)
    encoder = views("UINT8", values)
    state = encoder.states[0]
    assert isinstance(state, ImageState)
    assert state.mean == pytest.approx((values / 255).mean(axis=(0, 2, 3)).tolist())
    assert state.deviation == pytest.approx((values / 255).std(axis=(0, 2, 3)).tolist())
    matrix = encoder(*tensors({"p": values}, encoder.states)).numpy()
    expected = (values / 255 - np.reshape(state.mean, (1, 2, 1, 1))) / np.reshape(state.deviation, (1, 2, 1, 1))
    np.testing.assert_allclose(matrix, expected.reshape(9, 24), atol=1e-5)
    assert input_specs(encoder.states)[0].label() == "UINT8 [-1,2,3,4]"


def test_pictures_of_one_colour_do_not_divide_by_zero() -> None:
    """They carry nothing."""
    grey = np.full((3, 1, 2, 2), 7, dtype=np.uint8)
    encoder = views("UINT8", grey)
    assert encoder(*tensors({"p": grey}, encoder.states)).abs().max() < 1e-6


def test_a_pixel_that_is_no_number_takes_the_mean_and_an_absurd_one_is_cut() -> None:
    """As numbers in a table."""
    values = np.random.default_rng(0).normal(5, 2, (20, 1, 2, 2)).astype(np.float32)
    encoder = views("FP32", values)
    odd = np.array([[[[np.nan, np.inf], [-1e30, 5.0]]]], dtype=np.float32)
    row = encoder(torch.from_numpy(odd))[0].tolist()
    assert row[:3] == [0.0, CLIP, -CLIP]
    assert abs(row[3]) < 1


def test_pictures_stand_beside_the_columns_of_a_table_and_come_in_parts() -> None:
    """Width of both; parts that a network can hold at once, and a table whole."""
    columns: dict[str, np.ndarray] = {
        "x": np.zeros(CHUNK + 3, np.float32),
        "p": np.zeros((CHUNK + 3, 1, 2, 2), np.uint8),
    }
    features = {"x": Feature(kind="numeric"), "p": Feature(kind="image", shape=[1, 2, 2])}
    encoder = Encoder(learn(TrainingRows(np.arange(CHUNK + 3.0), columns, np.zeros(CHUNK + 3)), features))
    assert encoder.width == 5
    assert [len(part["p"]) for part in encoder.chunks(columns)] == [CHUNK, 3]
    table = Encoder(encoder.states[:1])
    assert [len(part["x"]) for part in table.chunks({"x": columns["x"]})] == [CHUNK + 3]
    assert [len(part["x"]) for part in table.chunks({"x": columns["x"][:0]})] == [0]


def test_nothing_is_learnt_from_rows_that_do_not_train() -> None:
    everything = Rows(ROWS.time, ROWS.columns, ROWS.target)
    with pytest.raises(TypeError, match="learnt from training rows alone"):
        learn(everything, FEATURES)  # type: ignore[arg-type]
