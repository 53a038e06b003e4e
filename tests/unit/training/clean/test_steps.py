"""Steps: in order, learnt from training rows alone, told, and stored with the checkpoint."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as budget
from hypothesis import strategies as st
from pydantic import ValidationError

from staytrue.checkpoint import CHECKPOINT, CONFIGURATION
from staytrue.errors import CorruptData, InvalidConfig, InvalidInput
from staytrue.feature import Feature
from staytrue.preparation import CleaningSection
from staytrue.project import Project
from staytrue.splitting import SplitSection
from tests.unit.training.clean.conftest import BIKES, CENSUS, NUMBER, TEXT, training, without
from training import checkpoint as checkpoints
from training.data.clean import missing, steps
from training.data.clean.cleaning import clean
from training.data.clean.report import StepsReport, chapter
from training.data.clean.steps import CleaningState
from training.data.encode.categories import CategoryState
from training.data.encode.encoder import learn
from training.data.encode.numbers import NumericState
from training.data.rows import Rows, TrainingRows
from training.data.split.plan import split
from training.devices import Processor
from training.models.regressor import Scale
from training.prepare import chapters, prepare
from training.run import train
from training.tasks.regression import Regression

if TYPE_CHECKING:
    from collections.abc import Callable

EVERYTHING: dict[str, Any] = {
    "max_missing_row": 0.5,
    "outliers": {"method": "iqr", "action": "clip", "columns": ["windspeed"]},
    "noise": {"method": "hampel", "window": 5, "columns": ["hum"]},
    "missing": {
        "method": "mean",
        "neighbours": 3,
        "donors": 300,
        "columns": {
            "temp": {"method": "knn"},
            "atemp": {"method": "iterative"},
            "hr": {"method": "drop_rows"},
            "weathersit": {"method": "constant", "value": "none"},
        },
    },
}
ENCODED = BIKES | {
    "temp": Feature(kind="numeric", scale="quantile", quantiles=20),
    "hum": Feature(kind="numeric", scale="robust", fill="mode"),
    "windspeed": Feature(kind="numeric", scale="minmax"),
    "hr": Feature(kind="category", datatype="INT64", rare_below=50),
    "weathersit": Feature(kind="category", encoding="embedding", unknown="bucket"),
}
NAN = float("nan")


def section(**values: Any) -> CleaningSection:
    """With these set."""
    return CleaningSection.model_validate(values)


def holed(rows: TrainingRows, count: int = 2000) -> TrainingRows:
    """The first rows, with one value in ten of each number and of the weather taken away."""
    draw = np.random.default_rng(3)
    rows = rows.take(np.arange(count))
    for name in ("temp", "atemp", "hum", "windspeed", "weathersit"):
        rows = without(rows, name, draw.random(count) < 0.1, "" if name == "weathersit" else NAN)
    return rows


def with_cleaning(project: Project, **values: Any) -> Project:
    """The project with other cleaning."""
    return project.model_copy(update={"cleaning": section(**values)})


def test_by_default_nothing_is_touched_and_the_states_are_as_before(bikes: TrainingRows) -> None:
    """The very same rows, and the encoder's states as they were learnt."""
    cleaned = steps.apply(bikes, BIKES, section())
    assert cleaned.rows is bikes
    assert (cleaned.state, cleaned.report.touches) == (CleaningState(), [])
    states = learn(bikes, BIKES)
    assert cleaned.instruct(states) == states
    assert msgspec.to_builtins(cleaned.state) == {}


def test_all_steps_together_learn_from_what_the_one_before_left(bikes: TrainingRows) -> None:
    rows = holed(bikes)
    cleaned = steps.apply(rows, BIKES, section(**EVERYTHING))
    assert not np.isnan(cleaned.rows.columns["temp"]).any()
    assert not np.isnan(cleaned.rows.columns["atemp"]).any()
    assert (cleaned.rows.columns["weathersit"] != "").all()
    assert (cleaned.rows.time == rows.time[cleaned.kept]).all()
    low, high = np.nanquantile(rows.columns["windspeed"].astype(np.float64), [0.25, 0.75])
    assert cleaned.state.outliers is not None
    bounds = cleaned.state.outliers.clips["windspeed"]
    assert bounds.high == pytest.approx(high + 1.5 * (high - low), rel=1e-6)
    states = {state.name: state for state in cleaned.instruct(learn(cleaned.rows, BIKES))}
    speed, sky = states["windspeed"], states["weathersit"]
    assert isinstance(speed, NumericState)
    assert isinstance(sky, CategoryState)
    clipped = np.clip(rows.columns["windspeed"].astype(np.float64), bounds.low, bounds.high)
    assert (speed.lowest, speed.highest) == (bounds.low, bounds.high)
    assert speed.fill == pytest.approx(np.nanmean(clipped[cleaned.kept]), rel=1e-6)
    assert sky.fill == "none"
    assert "none" in sky.values


def test_nothing_is_learnt_from_rows_that_do_not_train(bikes: TrainingRows) -> None:
    everything = Rows(bikes.time, bikes.columns, bikes.target)
    for values in ({}, EVERYTHING):
        with pytest.raises(TypeError, match="learnt from training rows alone"):
            steps.apply(everything, BIKES, section(**values))  # type: ignore[arg-type]


@budget(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.0, 1.0, 1e6, NAN]))
def test_whatever_held_out_rows_hold_the_states_are_the_same(bikes: TrainingRows, seed: int, scale: float) -> None:
    """Validation and test rows are overwritten with anything, also with nothing: no fitted state changes."""
    rows: Rows = holed(bikes)
    plan = split(rows, SplitSection(block_days=7))
    held = np.concatenate([plan.parts["validation"], plan.parts["test"]]).astype(np.int64)
    draw = np.random.default_rng(seed)
    columns = {name: column.copy() for name, column in rows.columns.items()}
    for name in ("temp", "atemp", "hum", "windspeed"):
        columns[name][held] = draw.normal(0, 1, len(held)) * scale
    columns["hr"][held] = draw.integers(-9, 99, len(held))
    columns["weathersit"][held] = draw.choice(np.array(["", "snow", "?"], dtype=object), len(held))
    target = rows.target.copy()
    target[held] = draw.normal(0, 1, len(held)) * scale
    other = Rows(rows.time, columns, target)
    for values in (
        EVERYTHING,
        {
            "outliers": {"method": "isolation_forest", "threshold": 0.05, "action": "drop", "trees": 10},
            "target": {"method": "robust_z", "action": "clip"},
            "noise": {"method": "rolling_mean", "columns": ["hum"], "by": "weathersit"},
            "max_missing_column": 0.1,
        },
    ):
        first, second = (told_of(plan.training(one), section(**values)) for one in (rows, other))
        assert first == second


def told_of(rows: TrainingRows, cleaning: CleaningSection) -> list[bytes]:
    """All that is learnt of rows: by the steps, the encoder, the target's scale, and which columns are sparse."""
    cleaned = steps.apply(rows, BIKES, cleaning)
    told = [
        cleaned.state,
        cleaned.instruct(learn(cleaned.rows, ENCODED)),
        Scale.of(cleaned.rows, np.ones(len(cleaned.rows)), "linear"),
        missing.sparse_columns(rows, BIKES, cleaning),
    ]
    return [msgspec.json.encode(one) for one in told]


def test_the_state_survives_json(bikes: TrainingRows) -> None:
    for outliers in (EVERYTHING["outliers"], {"method": "isolation_forest", "threshold": 0.05, "action": "drop"}):
        state = steps.apply(holed(bikes), BIKES, section(**EVERYTHING | {"outliers": outliers})).state
        assert None not in (state.outliers, state.noise, state.missing)
        assert msgspec.json.decode(msgspec.json.encode(state), type=CleaningState) == state


def test_the_report_tells_each_step_and_column_with_examples(bikes: TrainingRows) -> None:
    rows = holed(bikes)
    report = steps.apply(rows, BIKES, section(**EVERYTHING)).report
    told = {(touch.step, touch.column): touch for touch in report.touches}
    lacking = np.sum([np.isnan(rows.columns[name]) for name in ("temp", "atemp", "hum", "windspeed")], axis=0)
    stay = lacking + (rows.columns["weathersit"] == "") <= 3
    gone = int(np.isnan(rows.columns["temp"][stay]).sum())
    assert told["max_missing_row", ""].count == (~stay).sum()
    assert told["missing", "temp"].count == gone
    assert told["missing", "temp"].share == pytest.approx(gone / stay.sum())
    assert told["missing", "temp"].examples[0].before is None
    assert told["missing", "weathersit"].examples[0].after == "none"
    assert told["outliers", "windspeed"].action == "clipped"
    assert [touch.step for touch in report.touches] == sorted(
        (touch.step for touch in report.touches), key=["max_missing_row", "outliers", "noise", "missing"].index
    )
    page = chapter(report, clean(rows, section())[1])
    assert [table.title for table in page.tables] == [
        *("All rows, before the split", "Training rows, after the split", "Examples")
    ]
    assert ["missing", "temp", "knn", gone, round(gone / int(stay.sum()), 6), "training rows"] in page.tables[1].rows
    assert all(len(row) == len(table.columns) for table in page.tables for row in table.rows)


def test_marked_rows_are_listed_and_stay(bikes: TrainingRows) -> None:
    cleaned = steps.apply(bikes, BIKES, section(outliers={"method": "robust_z", "columns": ["windspeed"]}))
    assert cleaned.rows.digest() == bikes.digest()
    assert len(cleaned.report.marked) == cleaned.report.touches[0].count
    assert chapter(cleaned.report).tables[-1].title == "Marked rows"
    assert chapter(cleaned.report).summary.endswith("of 8645 training rows touched, 0 of them dropped.")


def test_too_many_dropped_training_rows_fail(bikes: TrainingRows) -> None:
    rows = without(bikes, "temp", np.arange(len(bikes)) % 3 == 0)
    dropping = {"columns": {"temp": {"method": "drop_rows"}}}
    with pytest.raises(
        InvalidInput, match=r"at most 20% of 8645 training rows dropped, got 2882 \(2882 by missing temp"
    ):
        steps.apply(rows, BIKES, section(missing=dropping))
    assert len(steps.apply(rows, BIKES, section(missing=dropping, max_dropped=0.5)).rows) == 8645 - 2882


def test_a_row_that_two_columns_name_is_dropped_and_counted_once(bikes: TrainingRows) -> None:
    """Every third row lacks one number, every second another: two thirds of the rows, not five sixths."""
    places = np.arange(len(bikes))
    rows = without(without(bikes, "temp", places % 3 == 0), "hum", places % 2 == 0)
    dropping = {"columns": {name: {"method": "drop_rows"} for name in ("temp", "hum")}}
    dropped = int(((places % 3 == 0) | (places % 2 == 0)).sum())
    told = r"\(2882 by missing temp, 4323 by missing hum: a row that several of them name is dropped once\)"
    with pytest.raises(InvalidInput, match=f"got {dropped} {told}"):
        steps.apply(rows, BIKES, section(missing=dropping))


def test_rows_that_lack_most_are_dropped_first(bikes: TrainingRows) -> None:
    rows, bare = bikes, np.arange(len(bikes)) < 50
    for name in ("temp", "atemp", "hum", "windspeed"):
        rows = without(rows, name, bare)
    cleaned = steps.apply(rows, BIKES, section(max_missing_row=0.5))
    assert cleaned.kept[0] == 50
    assert [(t.step, t.count) for t in cleaned.report.touches] == [("max_missing_row", 50)]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"outliers": {"method": "iqr", "columns": ["sky"]}}, r'cleaning.outliers.columns: .* got "sky", category'),
        ({"noise": {"method": "hampel", "columns": ["y"]}}, r'cleaning.noise.columns: .* got "y", no feature'),
        ({"missing": {"columns": {"z": {"method": "mean"}}}}, r'missing.columns.z: expected a feature, got "z"'),
        ({"missing": {"columns": {"sky": {"method": "knn"}}}}, r"columns.sky: expected of kind category: .* got knn"),
        ({"missing": {"columns": {"x": {"method": "constant", "value": "none"}}}}, r"columns.x.value: expected a num"),
        ({"missing": {"columns": {"hour": {"method": "constant", "value": 1.5}}}}, r"hour.value: expected a whole num"),
    ],
)
def test_steps_on_columns_that_they_do_not_suit_are_refused(project: Project, values: Any, why: str) -> None:
    with pytest.raises(InvalidConfig, match=why):
        prepare(with_cleaning(project, **values))


def sparse(project: Project) -> Project:
    """The project with x in one row of four."""
    path = project.data.source
    assert path is not None
    lines = path.read_text().splitlines()
    for place in range(1, len(lines)):
        if place % 4:
            at, _, rest = lines[place].split(",", 2)
            lines[place] = f"{at},,{rest}"
    path.write_text("\n".join(lines) + "\n")
    return project


def test_a_sparse_feature_ends_the_run_with_its_name_or_is_left_out(project: Project) -> None:
    """Left out of the signature, the profile and the configuration of the run."""
    with pytest.raises(InvalidInput, match=r'at most 50% missing in each feature, got more in "x" \(7[45]%\)'):
        train(with_cleaning(sparse(project), max_missing_column=0.5))
    said: list[str] = []
    narrow = with_cleaning(project, max_missing_column=0.5, on_sparse_column="drop")
    folder = train(narrow, say=said.append)
    assert "cleaning: x is sparse and left out of the model" in said
    warnings = [warning for told in chapters(narrow, prepare(narrow)) for warning in told.warnings]
    assert "x is sparse and left out: the model is made without it, and callers do not send it" in warnings
    checkpoint, reference, _ = checkpoints.load(folder)
    assert [spec.name for spec in checkpoint.signature.inputs] == ["hour", "sky"]
    assert [column.name for column in reference.columns] == ["hour", "sky"]
    assert "  x:" not in (folder / CONFIGURATION).read_text()


def test_all_features_sparse_leave_nothing_to_drop_to() -> None:
    data = {"source": "d.csv", "time": "t", "target": "y", "features": {"x": {"kind": "numeric"}}}
    cleaning = {"max_missing_column": 0.1, "on_sparse_column": "drop"}
    project = Project.model_validate({"name": "n", "data": data, "cleaning": cleaning})
    with pytest.raises(InvalidInput, match='more in "x"'):
        steps.dense(project, training({"x": np.array([1, NAN], np.float32)}))
    assert steps.dense(project, training({"x": np.zeros(2, np.float32)})) is project


def test_a_run_stores_what_was_learnt_and_tells_what_was_done(project: Project) -> None:
    """Dropped rows do not count as trained; the profile keeps all rows, as they came."""
    values = {"outliers": {"method": "zscore", "action": "drop", "threshold": 2, "columns": ["x"]}}
    folder = train(with_cleaning(project, **values))
    checkpoint, reference, _ = checkpoints.load(folder)
    state = checkpoints.cleaning_of(checkpoint)
    assert state.outliers is not None
    rows = prepare(project).training
    out = np.abs(rows.columns["x"] - rows.columns["x"].mean(dtype=np.float64)) > 2 * rows.columns["x"].std(
        dtype=np.float64
    )
    report = json.loads((folder / checkpoints.CLEANING).read_text())
    assert report["touches"][0]["count"] == out.sum() > 10
    assert checkpoint.lineage.trained_rows == len(rows) - out.sum()
    assert reference.rows == 960 - len(prepare(project).split.parts["test"])


def test_a_checkpoint_with_a_broken_cleaning_state_does_not_load(project: Project) -> None:
    folder = train(project)
    record = msgspec.json.decode((folder / CHECKPOINT).read_bytes())
    assert record["preprocessing"].pop("cleaning") == {}
    (folder / CHECKPOINT).write_bytes(msgspec.json.encode(record))
    assert checkpoints.cleaning_of(checkpoints.load(folder)[0]) == CleaningState()  # a run from before there were steps
    record["preprocessing"]["cleaning"] = {"noise": {"method": "unheard of"}}
    (folder / CHECKPOINT).write_bytes(msgspec.json.encode(record))
    with pytest.raises(CorruptData, match="does not describe a module"):
        checkpoints.load(folder)


def test_a_default_project_trains_to_the_weights_of_plain_states(project: Project) -> None:
    """The same digest as a training in which the steps are not called at all."""
    with pytest.MonkeyPatch.context() as patch:
        plain = CleaningState()
        patch.setattr(steps, "apply", lambda rows, *_: _untouched(rows, plain))
        before = checkpoints.load(train(project))[0]
    after = checkpoints.load(train(project))[0]
    assert (before.weights_sha256, before.preprocessing) == (after.weights_sha256, after.preprocessing)


def _untouched(rows: TrainingRows, state: CleaningState) -> steps.Cleaned:
    report = StepsReport(rows_before=len(rows), rows_after=len(rows))
    return steps.Cleaned(rows, np.arange(len(rows)), state, report)


def test_codes_filled_with_a_constant_become_a_value_of_their_own(census: TrainingRows) -> None:
    rows = without(census, "MAR", np.arange(len(census)) % 5 == 0, np.iinfo(np.int64).min)
    way = {"columns": {"MAR": {"method": "constant", "value": -1}}}
    cleaned = steps.apply(rows, CENSUS, section(missing=way))
    state = next(state for state in cleaned.instruct(learn(cleaned.rows, CENSUS)) if state.name == "MAR")
    assert isinstance(state, CategoryState)
    assert state.fill == "-1"
    assert "-1" in state.values


def test_a_fill_that_no_row_bears_leaves_missing_ones_unknown() -> None:
    rows = training({"s": np.array(["a", "b"], dtype=object), "x": np.zeros(2, np.float32)})
    features = {"s": TEXT, "x": NUMBER}
    way = {"columns": {"s": {"method": "constant", "value": "none"}}}
    cleaned = steps.apply(rows, features, section(missing=way))
    state = cleaned.instruct(learn(cleaned.rows, features))[0]
    assert isinstance(state, CategoryState)
    assert (state.fill, state.sent) == ("", ["a", "b"])


def test_a_retraining_leaves_out_the_feature_that_the_training_left_out(
    project: Project, serve: Callable[[int, float], float]
) -> None:
    """Its served rows hold x, its project's rows lack it; the parts it joins have neither."""
    from training.retrain import gather

    narrow = with_cleaning(sparse(project), max_missing_column=0.5, on_sparse_column="drop")
    prepared = prepare(narrow)
    until = serve(6, 0.0)
    left = steps.dense(narrow, prepared.training)
    parts, gate = gather(left, prepared, float(prepared.rows.time[-1]), until)
    assert list(parts.train.columns) == list(parts.held.columns) == list(gate.columns) == ["hour", "sky"]


def test_weights_of_a_retraining_follow_the_rows_that_stay(
    project: Project, serve: Callable[[int, float], float]
) -> None:
    """Old and served rows are cleaned as one training part; the scale is that of the rows that stay, as weighted."""
    from training.retrain import gather
    from training.run import fit_parts

    values = {"outliers": {"method": "zscore", "action": "drop", "threshold": 2, "columns": ["x"]}}
    dropping = with_cleaning(project, **values)
    prepared = prepare(dropping)
    parts, _ = gather(dropping, prepared, float(prepared.rows.time[-1]), serve(6, 0.0))
    assert parts.weights is not None
    trained = fit_parts(dropping, parts, checkpoints.new_run(dropping.retraining.runs), "", Processor())
    x = parts.train.columns["x"].astype(np.float64)
    stay = np.abs(x - x.mean()) <= 2 * x.std()
    assert (trained.cleaned.rows.time == parts.train.time[stay]).all()
    assert len(parts.train) > len(prepared.training)
    assert isinstance(trained.task, Regression)
    expected = np.average(parts.train.target[stay], weights=parts.weights[0][stay])
    assert trained.task.scale.location == pytest.approx(expected)


@pytest.mark.parametrize("step", [{"outliers": {"method": "iqr"}}, {"noise": {"method": "rolling_mean"}}])
def test_a_step_on_a_column_that_is_left_out_is_left_out_too(project: Project, step: dict[str, Any]) -> None:
    """Named alone it ends the step; beside others it leaves them."""
    named = {name: values | {"columns": ["x"]} for name, values in step.items()}
    narrow = with_cleaning(sparse(project), max_missing_column=0.5, on_sparse_column="drop", **named)
    left = steps.dense(narrow, prepare(narrow).training)
    assert [getattr(left.cleaning, name).method for name in step] == ["none"]
    wide = {name: values | {"columns": ["x", "z"]} for name, values in step.items()}
    both = with_cleaning(project, max_missing_column=0.5, on_sparse_column="drop", **wide)
    left = steps.dense(both, prepare(narrow).training)
    assert [getattr(left.cleaning, name).columns for name in step] == [["z"]]
    assert train(narrow).exists()


@pytest.mark.parametrize(
    ("value", "filled"), [("unknown", ["b"]), (2.5, ["n"]), (2, ["n", "c"])], ids=["text", "fraction", "whole"]
)
def test_a_constant_for_all_goes_to_the_columns_that_it_suits(value: Any, filled: list[str]) -> None:
    features = {"n": Feature(kind="numeric"), "b": Feature(kind="category")}
    features |= {"c": Feature(kind="category", datatype="INT64")}
    ways = missing.chosen(features, section(missing={"method": "constant", "value": value}).missing)
    assert [name for name, way in ways.items() if way.method == "constant"] == filled


@pytest.mark.parametrize("value", [NAN, math.inf])
def test_a_constant_is_a_number(value: float) -> None:
    with pytest.raises(ValidationError, match="value"):
        section(missing={"method": "constant", "value": value})


def test_two_answers_to_what_is_missing_are_refused(project: Project) -> None:
    features = dict(project.data.features) | {"x": Feature(kind="numeric", fill=-1.0)}
    twice = project.model_copy(update={"data": project.data.model_copy(update={"features": features})})
    with pytest.raises(InvalidConfig, match=r"features\.x\.fill: .*got -1.0 here and mean of cleaning\.missing"):
        steps.check(with_cleaning(twice, missing={"method": "mean"}))
    steps.check(with_cleaning(twice, missing={"method": "mean", "columns": {"x": {"method": "keep"}}}))
