"""Noise: filters against pandas, scipy and polynomials fitted window by window; no window crosses a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from scipy.signal import savgol_filter

from staytrue.errors import InvalidInput
from staytrue.repairs import NoiseSection
from staytrue.signature import MISSING_INTEGER
from tests.unit.training.clean.conftest import training, without
from training.data.clean import noise
from training.data.clean.noise import NoiseState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data.rows import TrainingRows

NAN = float("nan")


def filtered(rows: TrainingRows, method: str, window: int, name: str = "hum", **values: Any) -> NDArray[Any]:
    """The column after the filter."""
    section = NoiseSection.model_validate({"method": method, "window": window, "columns": [name], **values})
    state = noise.fit(rows, section)
    assert state is not None
    return noise.apply(rows, state)[0].columns[name]


def steady(rows: TrainingRows, count: int = 3000) -> TrainingRows:
    """Rows an hour apart without a pause."""
    return training({name: column[:count] for name, column in rows.columns.items()})


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("method", ["rolling_median", "rolling_mean"])
def test_rolling_filters_are_those_of_pandas(bikes: TrainingRows, method: str, centred: bool) -> None:
    """With gaps, which stay, and are not counted."""
    rows = steady(bikes)
    holed = without(rows, "hum", np.random.default_rng(0).random(len(rows)) < 0.2)
    series = pd.Series(holed.columns["hum"].astype(np.float64))
    rolling = series.rolling(7, min_periods=1, center=centred)
    expected = (rolling.median() if method == "rolling_median" else rolling.mean()).where(series.notna())
    np.testing.assert_allclose(filtered(holed, method, 7, centred=centred), expected, rtol=1e-6)


def test_a_centred_savitzky_golay_is_that_of_scipy(bikes: TrainingRows) -> None:
    rows = steady(bikes)
    expected = savgol_filter(rows.columns["hum"].astype(np.float64), 11, 3)
    got = filtered(rows, "savitzky_golay", 11, order=3, centred=True)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_a_causal_savitzky_golay_is_the_last_value_of_each_window_s_polynomial(bikes: TrainingRows) -> None:
    rows = steady(bikes, 200)
    raw = rows.columns["hum"].astype(np.float64)
    fits = [np.polyval(np.polyfit(np.arange(9), raw[end - 8 : end + 1], 2), 8) for end in range(8, 200)]
    got = filtered(rows, "savitzky_golay", 9)
    np.testing.assert_allclose(got[8:], fits, rtol=1e-5)
    assert (got[:8] == rows.columns["hum"][:8]).all()


def test_hampel_is_that_of_a_plain_loop(bikes: TrainingRows) -> None:
    rows = steady(bikes, 500)
    raw = rows.columns["windspeed"].astype(np.float64)
    expected = raw.copy()
    for place in range(len(raw)):
        window = raw[max(place - 3, 0) : place + 4]
        centre = np.median(window)
        if abs(raw[place] - centre) > 3 * 1.4826022185 * np.median(np.abs(window - centre)):
            expected[place] = centre
    got = filtered(rows, "hampel", 7, "windspeed", centred=True)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert (expected != raw).any()


@pytest.mark.parametrize("method", ["hampel", "rolling_median"])
def test_planted_spikes_are_taken_away(bikes: TrainingRows, method: str) -> None:
    """80 of 3,000 temperatures jump by half their range; what is left of their error is a tenth, or less."""
    rows = steady(bikes)
    draw = np.random.default_rng(5)
    where = np.zeros(len(rows), dtype=np.bool_)
    where[draw.choice(len(rows), 80, replace=False)] = True
    truth = rows.columns["temp"]
    spoilt = without(rows, "temp", where, truth[where] + draw.choice([-0.5, 0.5], 80).astype(np.float32))
    got = filtered(spoilt, method, 7, "temp", centred=True)
    assert np.abs(got - truth)[where].mean() < 0.05
    if method == "hampel":  # and other values are mostly let be
        assert (got[~where] != truth[~where]).mean() < 0.1


@pytest.mark.parametrize("method", ["rolling_median", "rolling_mean", "savitzky_golay", "hampel"])
def test_a_causal_filter_does_not_know_the_future(bikes: TrainingRows, method: str) -> None:
    rows = steady(bikes, 400)
    later = without(rows, "hum", np.arange(400) >= 200, 9.0)
    assert (filtered(rows, method, 7)[:200] == filtered(later, method, 7)[:200]).all()


@pytest.mark.parametrize("method", ["rolling_median", "rolling_mean", "savitzky_golay", "hampel"])
def test_no_window_crosses_a_pause(method: str) -> None:
    """Two weeks with a week between them, which another part may hold: each is filtered as if it were alone."""
    draw = np.random.default_rng(0)
    values = draw.normal(size=336).astype(np.float32)
    hours = np.concatenate([np.arange(168.0), 336 + np.arange(168.0)]) * 3600
    both = training({"hum": values}, hours)
    apart = [training({"hum": values[part]}, hours[part]) for part in (slice(0, 168), slice(168, 336))]
    for centred in (False, True):
        expected = np.concatenate([filtered(rows, method, 9, centred=centred) for rows in apart])
        assert (filtered(both, method, 9, centred=centred) == expected).all()


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("method", ["rolling_median", "rolling_mean", "savitzky_golay", "hampel"])
def test_a_window_longer_than_the_series_takes_what_there_is(method: str, centred: bool) -> None:
    rows = training({"hum": np.array([1, 5, 3], np.float32)})
    got = filtered(rows, method, 9, centred=centred)
    if method == "savitzky_golay":
        assert got.tolist() == [1, 5, 3]
    if method == "rolling_mean":
        assert got.tolist() == ([3, 3, 3] if centred else [1, 3, 3])


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("method", ["rolling_median", "rolling_mean", "savitzky_golay", "hampel"])
def test_gaps_stay_gaps_and_a_column_of_gaps_too(method: str, centred: bool) -> None:
    rows = training({"hum": np.full(20, NAN, np.float32)})
    assert np.isnan(filtered(rows, method, 5, centred=centred)).all()
    half = training({"hum": np.array([1, NAN, 2, 4, NAN, 5, 6, 7, 3, 1], np.float32)})
    line: dict[str, Any] = {"order": 1} if method == "savitzky_golay" else {}
    got = filtered(half, method, 3, centred=centred, **line)
    assert np.flatnonzero(np.isnan(got)).tolist() == [1, 4]


def test_whole_numbers_stay_whole() -> None:
    rows = training({"n": np.array([1, 2, MISSING_INTEGER, 4, 90])})
    assert filtered(rows, "rolling_mean", 2, "n").tolist() == [1, 2, MISSING_INTEGER, 4, 47]


def test_a_constant_series_stays_as_it_is() -> None:
    rows = training({"hum": np.full(30, 0.5, np.float32)})
    for method in ("rolling_median", "rolling_mean", "savitzky_golay", "hampel"):
        np.testing.assert_allclose(filtered(rows, method, 5), 0.5, rtol=1e-6)


def test_rows_of_one_time_are_no_series() -> None:
    rows = training({"hum": np.arange(6, dtype=np.float32)}, [0, 0, 0, 1, 1, 1])
    with pytest.raises(InvalidInput, match="expected a series: one row at a time, got 4 of 6"):
        filtered(rows, "hampel", 3)


def test_the_state_survives_json_and_the_report_counts_changes() -> None:
    rows = training({"hum": np.array([1, 1, 9, 1, 1, 1], np.float32)})
    state = noise.fit(rows, NoiseSection(method="hampel", window=3, columns=["hum"], centred=True))
    assert state is not None
    assert msgspec.json.decode(msgspec.json.encode(state), type=NoiseState) == state
    (told,) = noise.apply(rows, state)[1]
    assert told.count == 1
    assert told.share == pytest.approx(1 / 6)
    assert [(e.time, e.before, e.after) for e in told.examples] == [("1970-01-01T02:00:00.000Z", 9.0, 1.0)]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, "columns must name"),
        ({"columns": ["x"], "window": 4, "centred": True}, "odd number"),
        ({"columns": ["x"], "window": 3, "order": 3, "method": "savitzky_golay"}, "order 3 needs a window of more"),
    ],
)
def test_windows_that_do_not_fit_are_refused(values: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        NoiseSection.model_validate({"method": "hampel"} | values)
