"""Outliers: bounds against scipy and pandas, planted values against what is found, and what each action does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.ensemble import IsolationForest

from staytrue.repairs import OutlierSection
from staytrue.signature import MISSING_INTEGER
from tests.unit.training.clean.conftest import training, without
from training.data.clean import outliers
from training.data.clean.outliers import OutlierState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data.rows import TrainingRows

NUMERIC = ["temp", "atemp", "hum", "windspeed"]
NAN = float("nan")


def fitted(rows: TrainingRows, columns: list[str], **values: Any) -> OutlierState:
    """With these settings."""
    state = outliers.fit(rows, columns, OutlierSection.model_validate(values))
    assert state is not None
    return state


def planted(rows: TrainingRows, name: str, count: int = 60) -> tuple[TrainingRows, NDArray[np.bool_]]:
    """The rows with some values of a column put five to nine deviations from its mean, up or down."""
    draw = np.random.default_rng(7)
    where = np.zeros(len(rows), dtype=np.bool_)
    where[draw.choice(len(rows), count, replace=False)] = True
    column = rows.columns[name].astype(np.float64)
    moves = draw.uniform(5, 9, count) * draw.choice([-1, 1], count) * column.std()
    return without(rows, name, where, (column.mean() + moves).astype(np.float32)), where


@pytest.mark.parametrize("method", ["zscore", "robust_z", "iqr"])
def test_what_lies_out_is_what_an_independent_computation_says(bikes: TrainingRows, method: str) -> None:
    column = bikes.columns["windspeed"].astype(np.float64)
    if method == "zscore":
        out = np.abs(scipy.stats.zscore(column)) > 3
    elif method == "robust_z":
        spread = scipy.stats.median_abs_deviation(column, scale="normal")
        out = np.abs(column - np.median(column)) / spread > 3.5
    else:
        low, high = pd.Series(column).quantile([0.25, 0.75])
        out = (column < low - 1.5 * (high - low)) | (column > high + 1.5 * (high - low))
    state = fitted(bikes, ["windspeed"], method=method)
    found = outliers.apply(bikes, state)[2]
    assert found.tolist() == out.tolist()
    assert found.any()


def test_whole_numbers_have_whole_bounds(census: TrainingRows) -> None:
    state = fitted(census, ["AGEP"], method="iqr", threshold=0.2)
    low, high = np.quantile(census.columns["AGEP"], [0.25, 0.75])
    assert state.bounds[0].low == np.floor(low - 0.2 * (high - low))
    assert state.bounds[0].high == np.ceil(high + 0.2 * (high - low))
    holed = without(census, "AGEP", np.arange(len(census)) < 9, MISSING_INTEGER)
    assert not outliers.apply(holed, fitted(holed, ["AGEP"], method="zscore"))[2][:9].any()


@pytest.mark.parametrize("method", ["zscore", "robust_z", "iqr"])
def test_planted_outliers_of_humidity_are_found(bikes: TrainingRows, method: str) -> None:
    """60 of 8,645 values, five to nine deviations off the mean; 22 zeros of a broken sensor were there before."""
    spoilt, where = planted(bikes, "hum")
    found = outliers.apply(spoilt, fitted(spoilt, ["hum"], method=method))[2]
    broken = spoilt.columns["hum"] == 0
    assert broken.sum() == 22
    assert (found & where).sum() / where.sum() == 1  # recall
    assert (found & (where | broken)).sum() / found.sum() == 1  # precision
    assert (found & broken).sum() == (22 if method == "iqr" else 0)


def test_the_forest_finds_rows_that_are_odd_only_as_a_whole(bikes: TrainingRows) -> None:
    """Real and felt temperature of 90 rows are swapped with another row's: each value is usual, the pair is not."""
    draw = np.random.default_rng(1)
    where = np.zeros(len(bikes), dtype=np.bool_)
    cold, warm = (np.flatnonzero(test) for test in (bikes.columns["temp"] < 0.25, bikes.columns["temp"] > 0.75))
    where[np.concatenate([draw.choice(cold, 45, replace=False), draw.choice(warm, 45, replace=False)])] = True
    spoilt = without(bikes, "atemp", where, bikes.columns["atemp"].max() - bikes.columns["atemp"][where])
    joint = outliers.apply(spoilt, fitted(spoilt, ["temp", "atemp"], method="isolation_forest", threshold=0.02))[2]
    alone = outliers.apply(spoilt, fitted(spoilt, ["temp", "atemp"], method="zscore"))[2]
    assert (alone & where).sum() == 0
    assert (joint & where).sum() / where.sum() >= 0.6
    assert (joint & where).sum() / joint.sum() >= 0.3  # of 173 flagged rows 90 can be right


def test_the_forest_is_that_of_scikit_learn(bikes: TrainingRows) -> None:
    table = np.column_stack([bikes.columns[name].astype(np.float64) for name in NUMERIC])
    forest = IsolationForest(n_estimators=30, contamination=0.01, random_state=3).fit(table)
    state = fitted(bikes, NUMERIC, method="isolation_forest", threshold=0.01, trees=30, seed=3)
    assert state.flagged == np.flatnonzero(forest.predict(table) < 0).tolist()
    assert state.score == forest.offset_
    inside = np.delete(table, state.flagged, axis=0)
    assert [(one.low, one.high) for one in state.bounds] == list(
        zip(inside.min(axis=0), inside.max(axis=0), strict=True)
    )


def test_each_action_does_what_it_says(bikes: TrainingRows) -> None:
    spoilt, where = planted(bikes, "hum", 20)
    raw = spoilt.columns["hum"]
    state = {a: fitted(spoilt, ["hum"], method="robust_z", action=a) for a in ("drop", "clip", "mark", "missing")}
    done = {action: outliers.apply(spoilt, one) for action, one in state.items()}
    found = done["mark"][2]
    assert found[where].all()
    assert (done["drop"][0].time == spoilt.time[~found]).all()
    assert (done["drop"][1] == ~found).all()
    assert done["mark"][0].digest() == spoilt.digest()
    assert np.isnan(done["missing"][0].columns["hum"]).tolist() == found.tolist()
    bounds = state["clip"].clips["hum"]
    expected = np.clip(raw, np.float32(bounds.low), np.float32(bounds.high))
    assert (done["clip"][0].columns["hum"] == expected).all()
    assert state["drop"].clips == {}
    for action, (_, stay, _, touches) in done.items():
        assert (touches[0].column, touches[0].count) == ("hum", found.sum()), action
        assert stay.all() == (action != "drop")
        assert touches[0].examples[0].before == pytest.approx(raw[found][0], rel=1e-5)
    assert [done[a][3][0].examples[0].after for a in ("drop", "missing")] == [None, None]
    assert done["clip"][3][0].examples[0].after == pytest.approx(expected[found][0])


def test_the_forest_drops_rows_but_clips_values(bikes: TrainingRows) -> None:
    spoilt, where = planted(bikes, "hum", 20)
    values: dict[str, Any] = {"method": "isolation_forest", "threshold": 0.01}
    dropped = outliers.apply(spoilt, fitted(spoilt, ["hum"], action="drop", **values))
    assert len(dropped[0]) == len(spoilt) - dropped[2].sum()
    assert dropped[2][where].all()
    assert [(told.column, told.count) for told in dropped[3]] == [("", dropped[2].sum())]
    state = fitted(spoilt, ["hum"], action="clip", **values)
    clipped = outliers.apply(spoilt, state)[0].columns["hum"]
    inside = spoilt.columns["hum"][~dropped[2]]
    assert (clipped.min(), clipped.max()) == (inside.min(), inside.max())


def test_a_column_that_lies_still_has_no_outliers() -> None:
    rows = training({"x": np.full(50, 3.3, np.float32)})
    for method in ("zscore", "robust_z", "iqr"):
        assert not outliers.apply(rows, fitted(rows, ["x"], method=method))[2].any(), method


def test_where_the_median_deviation_is_0_the_mean_one_stands_in() -> None:
    """90 zeros, nine ones and a hundred: by the median deviation every one would lie out."""
    rows = training({"x": np.array([0] * 90 + [1] * 9 + [100], np.float32)})
    assert np.flatnonzero(outliers.apply(rows, fitted(rows, ["x"], method="robust_z"))[2]).tolist() == [99]
    high = 3.5 * np.sqrt(np.pi / 2) * (9 * 1 + 100) / 100
    assert fitted(rows, ["x"], method="robust_z").bounds[0].high == pytest.approx(high, rel=1e-6)


def test_a_column_without_values_is_let_be_and_gaps_lie_nowhere() -> None:
    half = np.array([NAN, 0, 1, 2, 3, 1000] * 5, np.float32)
    rows = training({"x": half, "gone": np.full(30, NAN, np.float32)})
    for method in ("iqr", "isolation_forest"):
        state = fitted(rows, ["x", "gone"], method=method, threshold=0.2, action="missing")
        assert [one.name for one in state.bounds] == ["x"]
        done = outliers.apply(rows, state)[0].columns["x"]
        assert not np.isnan(done[half == 2]).any()
        assert np.isnan(done[half == 1000]).all()
    nothing = fitted(rows, ["gone"], method="isolation_forest")
    assert (nothing.flagged, nothing.bounds) == ([], [])
    assert not outliers.apply(rows, fitted(rows, ["gone"], method="zscore"))[2].any()


def test_the_state_survives_json(bikes: TrainingRows) -> None:
    for method in ("robust_z", "isolation_forest"):
        state = fitted(bikes, NUMERIC, method=method, action="clip")
        assert msgspec.json.decode(msgspec.json.encode(state), type=OutlierState) == state


def test_a_forest_flags_no_more_than_half() -> None:
    with pytest.raises(ValueError, match=r"at most 0\.5"):
        OutlierSection(method="isolation_forest", threshold=0.7)
