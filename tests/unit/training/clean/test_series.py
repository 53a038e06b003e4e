"""Series: rows of several are filtered each by itself, and sequences along their steps, in the graph as in pandas."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.signal import savgol_filter

from staytrue.errors import InvalidConfig, InvalidInput
from staytrue.feature import Feature
from staytrue.preparation import CleaningSection
from staytrue.project import Project
from staytrue.repairs import NoiseSection
from tests.unit.training.clean.conftest import training
from tests.unit.training.encode.test_real import CHANNELS, LONGEST, vowels
from training.data.clean import noise, steps
from training.data.clean.report import touch
from training.data.encode.encoder import learn
from training.data.encode.numbers import CLIP
from training.data.encode.sequences import SequenceState
from training.data.encode.smoothing import smoothed
from training.data.padded import padded
from training.data.rows import Rows, TrainingRows, join
from training.prepare import chapters, prepare

if TYPE_CHECKING:
    from training.data.clean.noise import NoiseState

METHODS = ["rolling_median", "rolling_mean", "savitzky_golay", "hampel"]
NAN = float("nan")


def fitted(rows: TrainingRows, **values: Any) -> NoiseState:
    """With these settings."""
    state = noise.fit(rows, NoiseSection.model_validate({"method": "hampel"} | values))
    assert state is not None
    return state


def seasons(rows: TrainingRows) -> TrainingRows:
    """Hours of spring and of autumn as if two places had measured at the same time; every hour, and every third."""
    spring, autumn = np.arange(2000, 2600), np.arange(6000, 6600, 3)
    hum = np.concatenate([rows.columns["hum"][spring], rows.columns["hum"][autumn]])
    time = np.concatenate([np.arange(600.0), 3 * np.arange(200.0)]) * 3600
    order = np.argsort(time, kind="stable")
    place = np.repeat(np.array(["spring", "autumn"], dtype=object), [600, 200])[order]
    return TrainingRows(time[order], {"hum": hum[order]}, np.zeros(800), {"place": place})


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_each_series_is_filtered_as_if_it_were_alone(bikes: TrainingRows, method: str, centred: bool) -> None:
    both, values = seasons(bikes), {"method": method, "window": 5, "columns": ["hum"], "centred": centred}
    state = fitted(both, by="place", **values)
    assert state.gaps == {"spring": 5 * 3600, "autumn": 5 * 3 * 3600}
    got = noise.apply(both, state)[0].columns["hum"]
    for name in ("spring", "autumn"):
        one = both.take(both.marks["place"] == name)
        expected = noise.apply(one, fitted(one, **values))[0].columns["hum"]
        np.testing.assert_allclose(got[both.marks["place"] == name], expected, rtol=1e-6)
        assert (expected != one.columns["hum"]).any()


def test_medians_of_each_series_are_those_of_pandas(bikes: TrainingRows) -> None:
    both = seasons(bikes)
    state = fitted(both, method="rolling_median", window=7, columns=["hum"], by="place")
    table = pd.DataFrame({"hum": both.columns["hum"].astype(np.float64), "place": both.marks["place"]})
    expected = table.groupby("place")["hum"].transform(lambda one: one.rolling(7, min_periods=1).median())
    np.testing.assert_allclose(noise.apply(both, state)[0].columns["hum"], expected, rtol=1e-6)


def test_a_feature_can_name_the_series_and_rows_without_a_name_are_left_and_told_of() -> None:
    """A pause ends a series of its own usual step, and nobody's rows are in none."""
    time = np.repeat(np.arange(9.0), 2)
    rows = training({"x": np.tile([0, 9], 9).astype(np.float32), "id": np.tile([7, 8], 9)}, time)
    rows.columns["x"][8], rows.columns["id"][17] = 5, np.iinfo(np.int64).min
    rows.columns["x"][17] = 50
    done, told = noise.apply(rows, fitted(rows, columns=["x"], by="id", centred=True))
    assert done.columns["x"].tolist() == [0, 9] * 8 + [0, 50]
    assert [(touch.column, touch.action, touch.count, touch.scope) for touch in told] == [
        ("id", "row of no series, not filtered", 1, "report"),
        ("x", "hampel", 1, "training rows"),
    ]


def test_served_rows_do_not_know_their_series_where_it_is_no_feature() -> None:
    """Joined to rows that do, they belong to none."""
    own = TrainingRows(
        np.arange(3.0), {"x": np.zeros(3, np.float32)}, np.zeros(3), {"id": np.array(list("aba"), object)}
    )
    served = Rows(np.arange(3.0, 5), {"x": np.ones(2, np.float32)}, np.zeros(2))
    whole = TrainingRows.of(join([own, served]))
    assert whole.marks["id"].tolist() == ["a", "b", "a", "", ""]
    told = noise.apply(whole, fitted(whole, columns=["x"], by="id"))[1]
    assert [touch.count for touch in told] == [2]


def test_a_column_of_the_source_that_is_no_feature_names_the_series(project: Project) -> None:
    """Two stations that measure at the same times; the report of a preparation warns of what callers do not get."""
    query = "SELECT *, 'north' AS station FROM source UNION ALL SELECT * REPLACE (x + 9 AS x), 'south' FROM source"
    noisy = {"method": "rolling_median", "columns": ["x"], "window": 3}
    data = project.data.model_copy(update={"query": query})
    cleaning = {by: CleaningSection.model_validate({"noise": noisy | {"by": by}}) for by in (None, "station")}
    one, two = (project.model_copy(update={"data": data, "cleaning": cleaning[by]}) for by in cleaning)
    with pytest.raises(InvalidInput, match=r"name the column that tells series apart as cleaning\.noise\.by"):
        chapters(one, prepare(one))
    prepared = prepare(two)
    warnings = [warning for chapter in chapters(two, prepared) for warning in chapter.warnings]
    assert any(
        re.fullmatch(r"noise \(rolling_median\) changed \d+ values of x in training rows.*", w) for w in warnings
    )
    rows = prepared.training
    after = steps.apply(rows.only(data.features), data.features, cleaning["station"]).rows.columns["x"]
    south = rows.marks["station"] == "south"
    np.testing.assert_allclose(after[south], after[~south] + 9, atol=1e-5)


def test_a_series_with_several_rows_at_a_time_is_refused_by_name() -> None:
    rows = training({"x": np.zeros(6, np.float32)}, [0, 0, 0, 1, 2, 3])
    marked = TrainingRows(rows.time, rows.columns, rows.target, {"id": np.array(list("aaabbb"), dtype=object)})
    with pytest.raises(InvalidInput, match=r'got 2 of 3 of id "a" at the time of the row before'):
        fitted(marked, columns=["x"], by="id")


def test_many_short_series_take_no_longer_than_their_rows() -> None:
    """Fifty thousand of four rows: a loop over them would take a minute."""
    draw, count = np.random.default_rng(0), 50_000
    time = np.repeat(np.arange(4.0), count)
    x = draw.normal(size=4 * count).astype(np.float32)
    rows = training({"x": x, "id": np.tile(np.arange(count), 4)}, time)
    state = fitted(rows, method="rolling_mean", window=4, columns=["x"], by="id")
    got = noise.apply(rows, state)[0].columns["x"].reshape(4, count)
    expected = np.cumsum(x.reshape(4, count), axis=0, dtype=np.float64) / np.arange(1, 5)[:, None]
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    """Sixty vowels of 7 to 26 steps by 12 channels, a value in thirty taken away."""
    made = padded(Feature(kind="sequence", shape=[LONGEST, CHANNELS]), vowels("TRAIN")[0][:60], "vowels")
    made[np.random.default_rng(0).random(made.shape) < 1 / 30] = NAN
    return made


def alone(series: np.ndarray, method: str, *, centred: bool) -> np.ndarray:
    """One channel of one sequence, by pandas and scipy. Shapes: [T] → [T]."""
    told = pd.Series(series.astype(np.float64))
    rolling = told.rolling(5, min_periods=1, center=centred)
    if method == "rolling_mean":
        return rolling.mean().where(told.notna()).to_numpy()
    median = rolling.median()
    if method == "rolling_median":
        return median.where(told.notna()).to_numpy()
    if method == "hampel":
        reach = rolling.apply(lambda seen: np.nanmedian(np.abs(seen - np.nanmedian(seen))), raw=True)
        return told.where((told - median).abs() <= 3 * 1.4826022185 * reach, median).where(told.notna()).to_numpy()
    made, span = told.to_numpy().copy(), 2 if centred else 4
    for place in range(span, len(made) - (2 if centred else 0)):
        seen = told.to_numpy()[place - span : place - span + 5]
        if not np.isnan(seen).any():
            made[place] = savgol_filter(seen, 5, 2)[span]
    return made


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_sequences_are_filtered_along_their_steps_as_pandas_and_scipy_do(
    spoken: np.ndarray, method: str, centred: bool
) -> None:
    """Each channel by itself, gaps and what fills a sequence up neither looked at nor changed."""
    some = spoken[::12]
    rows = training({"v": some})
    got = smoothed(some, fitted(rows, method=method, window=5, columns=["v"], centred=centred))
    expected = np.array([[alone(channel, method, centred=centred) for channel in one.T] for one in some])
    np.testing.assert_allclose(got, expected.transpose(0, 2, 1), atol=2e-6)
    assert (np.isnan(got) == np.isnan(some)).all()


def test_the_graph_filters_sequences_for_training_rows_and_callers_alike(spoken: np.ndarray) -> None:
    """So training rows stay as they are, and no warning says that they differ; the report counts what changes."""
    rows, features = training({"v": spoken}), {"v": Feature(kind="sequence", shape=[LONGEST, CHANNELS])}
    section = {"noise": {"method": "hampel", "window": 5, "columns": ["v"], "centred": True}}
    cleaned = steps.apply(rows, features, with_cleaning(features, section).cleaning)
    np.testing.assert_array_equal(cleaned.rows.columns["v"], spoken)
    plain = learn(cleaned.rows, features)
    (state,) = cleaned.instruct(plain)
    assert isinstance(state, SequenceState)
    assert msgspec.json.decode(msgspec.json.encode(state), type=SequenceState) == state
    encoded = state.module()(torch.from_numpy(spoken)).numpy()[:, : LONGEST * CHANNELS].reshape(spoken.shape)
    after = smoothed(spoken, cleaned.state.noise)  # type: ignore[arg-type]
    scaled = np.clip((after - np.array(state.mean)) / np.array(state.deviation), -CLIP, CLIP)
    np.testing.assert_allclose(encoded, np.where(np.isnan(spoken), 0, scaled), atol=2e-5)
    changed = int((np.nan_to_num(after) != np.nan_to_num(spoken)).any(axis=(1, 2)).sum())
    assert [(t.column, t.count, t.scope) for t in cleaned.report.touches] == [
        ("v", changed, "training rows and the exported graph")
    ]
    assert cleaned.report.warnings == []


def test_examples_of_sequences_show_the_values_that_changed() -> None:
    """A spike of one channel, and missing numbers that are none; many changes are counted."""
    calm, wild = np.zeros((9, 2), dtype=np.float32), np.zeros((9, 2), dtype=np.float32)
    calm[4, 1], calm[6, 0] = 50, NAN
    wild[0::2] = 7
    before, after = np.stack([calm, wild]), np.stack([np.where(calm == 50, 0.25, calm), np.where(wild == 7, 1, wild)])
    made = touch("noise", "v", "hampel", "report", np.array([True, True]), np.zeros(2), before, after)
    assert [(one.before, one.after) for one in made.examples] == [
        ("step 5, channel 2: 50", "0.25"),
        ("step 1, channel 1: 7; step 1, channel 2: 7; step 3, channel 1: 7; 7 more", "1; 1; 1"),
    ]


def with_cleaning(features: dict[str, Feature], cleaning: dict[str, Any], task: str = "regression") -> Project:
    """A project of these features."""
    data = {"source": "d.csv", "time": "t", "target": "y", "features": features}
    return Project.model_validate({"name": "n", "data": data, "cleaning": cleaning, "model": {"task": task}})


@pytest.mark.parametrize(
    ("cleaning", "why"),
    [
        ({"noise": {"method": "hampel", "columns": ["v"], "window": 31}}, 'at most 29, the steps of "v", got 31'),
        ({"noise": {"method": "hampel", "columns": ["x"], "by": "v"}}, 'expected a column of names, got "v", sequence'),
        ({"noise": {"method": "hampel", "columns": ["c"]}}, 'numeric features or sequence features, got "c", category'),
        (
            {"target": {"method": "iqr"}},
            "cleaning.target.method: expected none, as it is of one target that is a number, got iqr",
        ),
    ],
)
def test_filters_and_bounds_that_could_do_nothing_are_refused(cleaning: dict[str, Any], why: str) -> None:
    features = {
        "v": Feature(kind="sequence", shape=[LONGEST, CHANNELS]),
        "x": Feature(kind="numeric"),
        "c": Feature(kind="category"),
    }
    with pytest.raises(InvalidConfig, match=why):
        steps.check(with_cleaning(features, cleaning, "classification"))
