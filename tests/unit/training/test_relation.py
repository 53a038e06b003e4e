"""Relation: what is told of a feature and the target, against SciPy, closed forms and a year of bike rentals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from staytrue.feature import Feature
from training.data import columns
from training.data.relation import RATIO, SHARED, SPEARMAN, Relation, chapter, correlation_ratio, relations
from training.data.rows import TrainingRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBER, NAME = Feature(kind="numeric"), Feature(kind="category")
HOURLY = Path(__file__).parents[3] / "examples" / "bikeshare" / "hourly.csv"


def told(target: NDArray[Any], **given: NDArray[Any]) -> dict[str, Relation]:
    """By feature; texts are names."""
    features = {name: NAME if column.dtype == object else NUMBER for name, column in given.items()}
    rows = TrainingRows(np.arange(float(len(target))), given, target)
    return {one.feature: one for one in relations(rows, features, ["y"])}


def test_of_bike_rentals_temperature_and_hour_tell_most() -> None:
    """As SciPy ranks them and pandas groups them; rows without a temperature are left out."""
    table = pd.read_csv(HOURLY)
    temp = table["temp"].to_numpy(np.float32)
    temp[:100] = np.nan
    hour, sky = table["hr"].astype(str).to_numpy(object), table["weathersit"].to_numpy(object)
    bikers = table["bikers"].to_numpy(np.float64)
    found = told(bikers, temp=temp, hour=hour, sky=sky)
    assert found["temp"].measure == SPEARMAN
    assert found["temp"].value == pytest.approx(stats.spearmanr(temp[100:], bikers[100:]).statistic)
    assert found["temp"].rows == len(table) - 100
    between = table["bikers"].groupby(table["hr"]).transform("mean").var(ddof=0) / bikers.var()
    assert found["hour"].value == pytest.approx(1 - (1 - between) * (len(table) - 1) / (len(table) - 24))
    rows = TrainingRows(np.arange(float(len(table))), {"temp": temp, "hour": hour, "sky": sky}, bikers)
    made = chapter(rows, {"temp": NUMBER, "hour": NAME, "sky": NAME}, ["bikers"])
    assert [row[1] for row in made.tables[0].rows] == ["hour", "temp", "sky"]
    assert made.warnings == []


def test_names_that_tell_nothing_have_a_ratio_near_zero_however_many_they_are() -> None:
    """The plain ratio of 500 names among 2,000 rows would be a quarter by chance."""
    draw = np.random.default_rng(1)
    names, numbers = draw.integers(0, 500, 2000).astype(str).astype(object), draw.normal(size=2000)
    value = correlation_ratio(names, numbers)
    assert value is not None
    assert value < 0.05
    assert correlation_ratio(np.arange(50).astype(str).astype(object), numbers[:50]) is None
    assert correlation_ratio(names, np.where(names == "7", 1e300, 0.0)) == pytest.approx(1.0)


def test_of_classes_names_are_told_by_the_entropy_they_share_and_numbers_by_the_ratio() -> None:
    """Half of a fair coin's rows are known and half are not: half of its bit, and a constant tells nothing."""
    coin = np.array(["heads", "tails"] * 40, dtype=object)
    half = np.where(np.arange(80) < 40, coin, "hidden").astype(object)
    found = told(coin, same=coin, half=half, number=(coin == "heads") * 1.0, still=np.array(["x"] * 80, object))
    assert {name: one.measure for name, one in found.items()} == {
        "same": SHARED,
        "half": SHARED,
        "number": RATIO,
        "still": SHARED,
    }
    assert found["same"].value == pytest.approx(1.0)
    assert found["half"].value == pytest.approx(0.5)
    assert found["number"].value == pytest.approx(1.0)
    assert found["still"].value is None


def test_a_feature_that_is_the_target_in_another_unit_is_warned_of() -> None:
    y = np.random.default_rng(2).normal(size=200)
    x = np.random.default_rng(3).normal(size=200)
    rows = TrainingRows(np.arange(200.0), {"cents": (-100 * y).astype(np.float32), "x": x.astype(np.float32)}, y)
    made = chapter(rows, {"cents": NUMBER, "x": NUMBER}, ["y"])
    assert made.warnings == ["cents rises or falls with y in all rows: is it known when the model is asked?"]
    assert made.tables[0].rows[0][3] == pytest.approx(-1.0)


def test_a_few_far_numbers_do_not_squeeze_a_chart_and_are_counted() -> None:
    """Of 1,000 numbers of one deviation, three far above and one far below."""
    x = np.random.default_rng(4).normal(size=1000)
    x[:3], x[3] = [1e6, 2e6, 3e6], -1e6
    rows = TrainingRows(np.arange(1000.0), {"x": x.astype(np.float32)}, np.ones(1000))
    (bars,) = [bars for bars in columns.chapter(rows, {"x": NUMBER}, ["y"]).bars if bars.title.startswith("x")]
    low, high = np.quantile(x, [0.01, 0.99])
    ends = low - 0.5 * (high - low), high + 0.5 * (high - low)
    assert bars.title == f"x (not drawn: 1 below {ends[0]:.4g}, 3 above {ends[1]:.4g})"
    assert sum(bars.counts) == 996
    assert max(bars.counts) < 300
