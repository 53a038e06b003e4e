"""Numbers: each scale beside scikit-learn, each fill beside SciPy, on a skewed column with ties and gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler

from staytrue.feature import Feature
from staytrue.signature import MISSING_INTEGER
from tests.encoders import Exported, encoded, learnt, signature
from training.data.encode.numbers import NumericState, signed_log1p
from training.data.encode.quantiles import Knots, QuantileScale

if TYPE_CHECKING:
    from pathlib import Path

DRAW = np.random.default_rng(5)
VALUES = DRAW.lognormal(sigma=1.5, size=400).astype(np.float32)
VALUES[:120] = 0.0  # a fifth and more of one value
GAPS = np.concatenate([VALUES, np.array([np.nan] * 7, dtype=np.float32)])
FRESH = np.concatenate([VALUES[::3], DRAW.lognormal(sigma=1.5, size=300).astype(np.float32)])
"""Rows to encode: some of training, some new within its range."""
FRESH = np.minimum(FRESH, VALUES.max())


def scaled(values: Any, **settings: Any) -> np.ndarray:
    """Fresh numbers, encoded by what was learnt of the column with gaps."""
    encoder = learnt({"x": GAPS}, {"x": Feature.model_validate({"kind": "numeric"} | settings)})
    return encoded(encoder, {"x": np.asarray(values, dtype=np.float32)})[:, 0]


LOGARITHM = StandardScaler().fit(np.log1p(VALUES.astype(np.float64)).reshape(-1, 1))
QUANTILES = QuantileTransformer(n_quantiles=50, subsample=None).fit(VALUES.astype(np.float64).reshape(-1, 1))
SCIKIT = {
    "standard": StandardScaler().fit(VALUES.astype(np.float64).reshape(-1, 1)).transform,
    "minmax": MinMaxScaler().fit(VALUES.reshape(-1, 1)).transform,
    "symmetric": MinMaxScaler((-1, 1)).fit(VALUES.reshape(-1, 1)).transform,
    "robust": RobustScaler().fit(VALUES.reshape(-1, 1)).transform,
    "log": lambda column: LOGARITHM.transform(np.log1p(column.astype(np.float64))),
    "quantile": lambda column: QUANTILES.transform(column.astype(np.float64)),
}


@pytest.mark.parametrize("scale", SCIKIT)
def test_a_scale_is_scikit_learns_up_to_where_it_is_cut(scale: str) -> None:
    settings = {"quantiles": 50} if scale == "quantile" else {}
    expected = SCIKIT[scale](FRESH.reshape(-1, 1))[:, 0]
    np.testing.assert_allclose(scaled(FRESH, scale=scale, **settings), np.clip(expected, -10, 10), atol=2e-5)


@pytest.mark.parametrize(
    ("scale", "low", "high"),
    [
        ("standard", -10, 10),
        ("minmax", 0, 1),
        ("symmetric", -1, 1),
        ("robust", -10, 10),
        ("log", -10, 10),
        ("quantile", 0, 1),
    ],
)
def test_an_absurd_number_is_cut_where_its_scale_ends(scale: str, low: float, high: float) -> None:
    absurd = scaled([1e30, np.inf, -1e30, -np.inf], scale=scale)
    assert absurd.tolist() == [high, high, low, low]


def test_without_a_scale_numbers_stay_up_to_ten_deviations_from_their_mean() -> None:
    mean, deviation = VALUES.mean(dtype=np.float64), VALUES.std(dtype=np.float64)
    got = scaled([0.25, -1.5, 1e30, -np.inf], scale="none")
    assert got.tolist() == pytest.approx([0.25, -1.5, mean + 10 * deviation, mean - 10 * deviation], rel=1e-5)


FILLS = {
    "median": float(np.median(VALUES)),
    "mean": float(VALUES.mean(dtype=np.float64)),
    "mode": float(stats.mode(VALUES).mode),
    0.75: 0.75,
}


@pytest.mark.parametrize("fill", FILLS)
def test_a_missing_number_counts_as_its_fill(fill: Any) -> None:
    assert scaled([np.nan], scale="none", fill=fill)[0] == pytest.approx(FILLS[fill], rel=1e-6)


def test_of_values_that_are_as_frequent_the_smallest_is_the_mode() -> None:
    encoder = learnt({"x": np.array([4, 4, -2, -2, 9])}, {"x": Feature(kind="numeric", datatype="INT64", fill="mode")})
    state = encoder.states[0]
    assert isinstance(state, NumericState)
    assert state.fill == -2
    gone, there = (encoded(encoder, {"x": np.array([number])}) for number in (MISSING_INTEGER, -2))
    assert gone == there


@pytest.mark.parametrize("scale", [*SCIKIT, "none"])
def test_a_constant_column_encodes_to_a_finite_number(scale: Any) -> None:
    still = np.full(5, 3.0, dtype=np.float32)
    encoder = learnt({"x": still}, {"x": Feature(kind="numeric", scale=scale)})
    got = encoded(encoder, {"x": np.array([3.0, np.nan], dtype=np.float32)})
    assert got.ravel().tolist() == ([3.0, 3.0] if scale == "none" else [0.0, 0.0])


@pytest.mark.parametrize("scale", sorted({*SCIKIT} - {"quantile"}))
def test_what_a_constant_column_rounds_to_is_no_deviation(scale: Any) -> None:
    """The mean of many 0.1 is not 0.1 to the last bit; by the difference the next value would be enormous."""
    still = np.full(1000, 0.1, dtype=np.float32)
    encoder = learnt({"x": still}, {"x": Feature(kind="numeric", scale=scale)})
    [state] = encoder.states
    assert isinstance(state, NumericState)
    assert state.deviation == 1.0


LARGEST, LEAST = float(np.finfo(np.float32).max), 1e-45
EXTREMES = {
    "largest": [LARGEST] * 4,
    "ends": [-LARGEST, LARGEST, -LARGEST, LARGEST],
    "far": [-LARGEST, LARGEST, 0.0, 1.0],
    "outlier": [1.0, 1.0, 1.0, LARGEST],
    "subnormal": [0.0, LEAST, 0.0, LEAST],
    "tiny": [0.0, 1e-40, 2e-40, 5e-40],
}
PROBES = np.array([np.nan, np.inf, -np.inf, LARGEST, -LARGEST, 0.0, LEAST, -1e-40, 1.0, 1e30, -LARGEST / 2], np.float32)


@pytest.mark.parametrize("scale", [*SCIKIT, "none"])
def test_numbers_at_the_ends_of_fp32_encode_to_finite_ones_in_every_runtime(scale: Any, tmp_path: Path) -> None:
    """Neither a span beyond the largest number nor a deviation below the smallest one makes NaN."""
    columns = {name: np.array(values, dtype=np.float32) for name, values in EXTREMES.items()}
    encoder = learnt(columns, dict.fromkeys(columns, Feature(kind="numeric", scale=scale)))
    exported = Exported.of(encoder, signature(encoder.states, encoder.width), tmp_path)
    rows = {name: np.concatenate([column, PROBES]).reshape(-1, 1) for name, column in columns.items()}
    got = exported.eager(rows)
    assert np.isfinite(got).all()
    if scale != "none":
        assert np.abs(got).max() <= 10
    for runtime in (exported.onnx, exported.torchscript):
        np.testing.assert_allclose(runtime(rows), got, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("standard", [-1, 1, 0, -0.5]),
        ("minmax", [0, 1, 0.5, 0.25]),
        ("symmetric", [-1, 1, 0, -0.5]),
        ("robust", [-0.5, 0.5, 0, -0.25]),
        ("none", [-LARGEST, LARGEST, 0, -LARGEST / 2]),
    ],
)
def test_a_span_beyond_the_largest_number_is_scaled_rightly(scale: Any, expected: list[float]) -> None:
    ends = np.array(EXTREMES["ends"], dtype=np.float32)
    encoder = learnt({"x": ends}, {"x": Feature(kind="numeric", scale=scale)})
    got = encoded(encoder, {"x": np.array([-LARGEST, LARGEST, 0, -LARGEST / 2], dtype=np.float32)})
    assert got.ravel().tolist() == pytest.approx(expected, rel=1e-6)


def test_quantiles_of_a_span_beyond_the_largest_number_are_even() -> None:
    spread = (np.arange(9) / 4 - 1) * LARGEST
    encoder = learnt({"x": spread.astype(np.float32)}, {"x": Feature(kind="numeric", scale="quantile")})
    between = ((np.arange(8) + 0.5) / 4 - 1) * LARGEST
    got = encoded(encoder, {"x": between.astype(np.float32)}).ravel()
    assert got.tolist() == pytest.approx([(place + 0.5) / 8 for place in range(8)])


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_the_logarithm_is_exact_also_near_zero(numbers: list[float]) -> None:
    """Within 4 units in the last place of float32, where a plain logarithm of 1 + x would lose all digits."""
    exact = np.sign(numbers) * np.log1p(np.abs(np.array(numbers, dtype=np.float64)))
    got = signed_log1p(torch.tensor(numbers, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(got, exact, rtol=5e-7, atol=1e-44)


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60),
    st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=30),
    st.integers(2, 30),
)
def test_quantiles_keep_the_order_of_numbers_and_end_at_0_and_1(
    seen: list[float], fresh: list[float], count: int
) -> None:
    curve = QuantileScale(Knots.of(np.array(seen), count))
    levels = curve(torch.tensor(sorted(fresh), dtype=torch.float32).reshape(-1, 1))[:, 0]
    assert bool((levels[1:] >= levels[:-1]).all())
    assert float(levels.min()) >= 0
    assert float(levels.max()) <= 1


def test_quantiles_of_the_training_rows_are_evenly_spread() -> None:
    """A Kolmogorov-Smirnov distance of no more than a step of the curve."""
    column = DRAW.gamma(0.5, size=2000).astype(np.float32)
    encoder = learnt({"x": column}, {"x": Feature(kind="numeric", scale="quantile")})
    assert stats.kstest(encoded(encoder, {"x": column})[:, 0], "uniform").statistic < 0.01


def test_a_state_of_an_older_run_is_still_read() -> None:
    """It knew of one scale."""
    old = {"kind": "numeric", "name": "x", "datatype": "FP32", "unit": "", "fill": 1.0, "mean": 2.0, "deviation": 4.0}
    state = msgspec.convert(old, NumericState)
    assert state.module()(torch.tensor([[4.0], [float("nan")]])).tolist() == [[0.5], [-0.25]]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"kind": "category", "scale": "log"}, "scale is a setting of kind numeric, not of category"),
        ({"kind": "numeric", "encoding": "ordinal"}, "encoding is a setting of kind category, not of numeric"),
        ({"kind": "numeric", "shape": [3]}, "kind numeric has no shape"),
        ({"kind": "text"}, r"a text needs shape: \[bytes\]"),
        ({"kind": "sequence", "shape": [3]}, r"a sequence needs shape: \[steps, channels\]"),
        (
            {"kind": "category", "encoding": "ordinal", "order": ["a"], "rare_below": 2},
            "rare_below does not go with order",
        ),
        ({"kind": "image", "shape": [1, 4, 4], "crop": [5, 4]}, r"crop \[5, 4\] is larger than the picture, \[4, 4\]"),
        ({"kind": "image", "shape": [4, 4, 3], "resize": [2]}, r"resize takes \[height, width\]"),
        ({"kind": "image", "shape": [1, 4, 4], "normalise": "given"}, "takes 1 numbers as mean"),
        ({"kind": "image", "shape": [1, 4, 4], "mean": [0.5]}, "nothing else takes any"),
        ({"kind": "numeric", "fill": "nan"}, "finite number"),
        ({"kind": "numeric", "fill": 1e39}, r"FP32 holds numbers up to 3.4e"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Feature.model_validate(settings)


def test_every_setting_of_a_kind_names_one_that_there_is() -> None:
    """And what is written down with its defaults is read again."""
    for kind, shape in (("numeric", []), ("image", [1, 2, 2]), ("text", [5]), ("sequence", [4, 2]), ("date", [])):
        feature = Feature.model_validate({"kind": kind, "shape": shape})
        assert Feature.model_validate(feature.model_dump(mode="json")) == feature
