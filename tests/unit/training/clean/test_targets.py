"""Targets: bounds against scipy and pandas on real rentals; only training rows are dropped or clipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
import pytest
import scipy.stats

from staytrue.preparation import CleaningSection
from tests.unit.training.clean.conftest import BIKES
from training.data.clean import steps
from training.data.clean.steps import Cleaned, CleaningState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data.rows import TrainingRows


def cleaned(rows: TrainingRows, **values: Any) -> Cleaned:
    """By these settings of the target."""
    return steps.apply(rows, BIKES, CleaningSection.model_validate({"target": values}))


def beyond(rentals: NDArray[np.float64], method: str) -> NDArray[np.bool_]:
    """Which rentals lie out, by scipy and pandas."""
    if method == "zscore":
        return np.abs(scipy.stats.zscore(rentals)) > 3
    if method == "robust_z":
        spread = scipy.stats.median_abs_deviation(rentals, scale="normal")
        return np.abs(rentals - np.median(rentals)) / spread > 3.5
    low, high = pd.Series(rentals).quantile([0.25, 0.75])
    return np.asarray((rentals < low - 1.5 * (high - low)) | (rentals > high + 1.5 * (high - low)))


@pytest.mark.parametrize("method", ["zscore", "robust_z", "iqr"])
def test_rows_whose_rentals_lie_out_are_dropped_as_scipy_and_pandas_say(bikes: TrainingRows, method: str) -> None:
    out = beyond(bikes.target, method)
    done = cleaned(bikes, method=method, action="drop")
    assert 0 < out.sum() < 400
    assert done.kept.tolist() == np.flatnonzero(~out).tolist()
    assert done.rows.target.tolist() == bikes.target[~out].tolist()
    (told,) = done.report.touches
    assert (told.step, told.action, told.scope, told.count) == ("target", "row dropped", "training rows", out.sum())


def test_rentals_are_clipped_to_the_bounds_and_the_rows_as_given_stay(bikes: TrainingRows) -> None:
    before = bikes.target.copy()
    done = cleaned(bikes, method="iqr", action="clip")
    low, high = np.quantile(before, [0.25, 0.75])
    np.testing.assert_allclose(done.rows.target, np.minimum(before, high + 1.5 * (high - low)))
    assert (bikes.target == before).all()
    assert len(done.rows) == len(bikes)
    (warning,) = done.report.warnings
    assert warning.startswith(
        f"target (clipped) changed {beyond(before, 'iqr').sum()} values of (target) in training rows"
    )


def test_marked_rentals_are_listed_and_stay(bikes: TrainingRows) -> None:
    done = cleaned(bikes, method="zscore")
    assert done.rows.digest() == bikes.digest()
    assert len(done.report.marked) == beyond(bikes.target, "zscore").sum()


def test_the_state_survives_json_and_is_absent_where_nothing_is_set(bikes: TrainingRows) -> None:
    state = cleaned(bikes, method="iqr", threshold=2, action="clip").state
    assert state.target is not None
    assert msgspec.json.decode(msgspec.json.encode(state), type=CleaningState) == state
    assert cleaned(bikes).state == CleaningState()


def test_both_outliers_of_features_and_of_the_target_leave_the_places_of_the_rows_that_stay(
    bikes: TrainingRows,
) -> None:
    settings = {
        "outliers": {"method": "zscore", "action": "drop", "columns": ["windspeed"]},
        "target": {"method": "zscore", "action": "drop"},
    }
    done = steps.apply(bikes, BIKES, CleaningSection.model_validate(settings))
    first = np.flatnonzero(~(np.abs(scipy.stats.zscore(bikes.columns["windspeed"].astype(np.float64))) > 3))
    expected = first[~beyond(bikes.target[first], "zscore")]
    assert done.kept.tolist() == expected.tolist()
    assert (done.rows.time == bikes.time[expected]).all()
