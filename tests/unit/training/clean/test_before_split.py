"""Before the split and by shares: rows and columns of real data, counted and dropped as pandas does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from staytrue.errors import InvalidInput
from staytrue.preparation import CleaningSection
from tests.unit.training.clean.conftest import BIKES, without
from training.data.clean import missing
from training.data.clean.cleaning import clean
from training.data.rows import Rows, TrainingRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAN = float("nan")


def section(**values: Any) -> CleaningSection:
    """With these set, and no limit to speak of."""
    return CleaningSection.model_validate({"max_dropped": 0.9} | values)


@pytest.fixture(scope="module")
def holed(bikes: TrainingRows) -> TrainingRows:
    """Hours of bikes with one value in ten of the weather's numbers taken away, of felt temperatures two in three."""
    draw, rows = np.random.default_rng(2), bikes
    for name, share in (("temp", 0.1), ("atemp", 2 / 3), ("hum", 0.1), ("windspeed", 0.1)):
        rows = without(rows, name, draw.random(len(rows)) < share)
    return rows


def gaps(rows: Rows) -> pd.DataFrame:
    """Which features are missing, as pandas sees it."""
    return pd.DataFrame(rows.columns).replace("", None).isna()


@pytest.mark.parametrize("policy", ["drop", "keep", "fail"])
def test_people_who_answered_alike_are_those_of_pandas(census: TrainingRows, policy: str) -> None:
    """Of 6,000 as if all had been asked at one moment; times would tell them apart."""
    rows = Rows(np.zeros(len(census)), census.columns, census.target)
    repeated = pd.DataFrame(rows.columns | {"employed": rows.target}).duplicated().to_numpy()
    assert 1000 < repeated.sum() < 5000
    if policy == "fail":
        with pytest.raises(InvalidInput, match=rf"cleaning.duplicates: .* got {repeated.sum()} of 6000 rows"):
            clean(rows, section(duplicates=policy))
        return
    done, report = clean(rows, section(duplicates=policy))
    assert report.duplicates == repeated.sum()
    stay: NDArray[np.bool_] = ~repeated if policy == "drop" else np.ones(len(rows), dtype=np.bool_)
    assert (done.columns["AGEP"] == census.columns["AGEP"][stay]).all()


def test_hours_with_gaps_are_dropped_as_pandas_drops_them(holed: TrainingRows) -> None:
    lacking = gaps(holed)
    done, report = clean(holed, section(missing_features="drop"))
    assert done.time.tolist() == holed.time[~lacking.any(axis=1)].tolist()
    assert report.dropped_for_missing_features == lacking.any(axis=1).sum()
    assert clean(holed, section())[1].missing == lacking.sum().to_dict()


def test_hours_without_a_target_are_dropped_and_infinite_winds_are_missing(bikes: TrainingRows) -> None:
    target, wind = bikes.target.copy(), bikes.columns["windspeed"].copy()
    target[::50], target[1::500], wind[3::700] = NAN, np.inf, -np.inf
    done, report = clean(Rows(bikes.time, bikes.columns | {"windspeed": wind}, target), section())
    finite = np.isfinite(target)
    assert (report.missing_target, len(done)) == ((~finite).sum(), finite.sum())
    assert report.infinite == {"windspeed": len(wind[3::700])}
    assert np.isnan(done.columns["windspeed"]).tolist() == np.isinf(wind[finite]).tolist()


def test_columns_and_rows_past_a_share_are_those_of_pandas(holed: TrainingRows) -> None:
    lacking = gaps(holed)
    columns, rows = lacking.mean(), lacking.mean(axis=1).to_numpy()
    found = missing.sparse_columns(holed, BIKES, section(max_missing_column=0.5))
    assert found == pytest.approx(columns[columns > 0.5].to_dict())
    assert list(found) == ["atemp"]
    for share in (0.2, 0.4):
        assert missing.sparse_rows(holed, BIKES, share).tolist() == (rows > share).tolist()
        assert (rows > share).any()
