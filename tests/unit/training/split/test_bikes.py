"""Each way to split on a year of bike rentals, 8,645 hours: sizes by arithmetic, wholeness and order by pandas."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from staytrue.errors import InvalidInput
from staytrue.feature import Feature
from staytrue.preparation import DataSection
from staytrue.splitting import SplitSection
from training.data.collect.source import collect
from training.data.rows import Rows
from training.data.split.partition import partition
from training.data.split.plan import Split, split

HOURLY = Path(__file__).parents[4] / "examples" / "bikeshare" / "hourly.csv"
QUERY = (
    "SELECT TIMESTAMP '2011-01-01' + to_days(day::INTEGER - 1) + to_hours(hr::INTEGER) AS time, day AS whose, "
    "CASE WHEN day <= 243 THEN 'train' WHEN day <= 304 THEN 'validation' ELSE 'test' END AS part, * FROM source"
)
NUMBERS = ("temp", "atemp", "hum", "windspeed")
FEATURES = {name: Feature(kind="numeric") for name in NUMBERS} | {
    "weathersit": Feature(kind="category"),
    "hr": Feature(kind="category", datatype="INT64"),
}
SHARES = np.array([0.7, 0.2, 0.1])


@pytest.fixture(scope="module")
def year() -> Rows:
    """All hours, with the day that each is of and the part that a calendar gives it."""
    features = {name: feature.model_dump() for name, feature in FEATURES.items()}
    values = {"source": HOURLY, "query": QUERY, "time": "time", "target": "bikers", "features": features}
    return collect(DataSection.model_validate(values), marks=["whose", "part"])[0]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """The same as pandas reads them, which is in the order of time."""
    return pd.read_csv(HOURLY)


def frames(frame: pd.DataFrame, plan: Split) -> list[pd.DataFrame]:
    """Train, validation and test; each row in one of them."""
    parts = [frame.iloc[part] for part in plan.parts.values()]
    assert sorted(np.concatenate([part.index for part in parts])) == list(range(8645))
    return parts


def settings(method: str) -> SplitSection:
    """With the column that it needs."""
    columns = {"grouped": {"group": "whose"}, "given": {"column": "part"}}.get(method, {})
    return SplitSection.model_validate({"method": method, **columns})


@pytest.mark.parametrize("method", ["random", "stratified", "time", "grouped"])
def test_of_8645_hours_70_20_and_10_in_100_are_dealt(method: str, year: Rows, frame: pd.DataFrame) -> None:
    """To within a row; where days of up to 24 hours stay together, to within one of them."""
    sizes = [len(part) for part in frames(frame, split(year, settings(method)))]
    assert np.abs(np.array(sizes) - 8645 * SHARES).max() < (24 if method == "grouped" else 1.5)


def test_whole_weeks_take_turns(year: Rows, frame: pd.DataFrame) -> None:
    """Of 52 weeks, the last with the day that is over, each part has its share to within one, in all seasons."""
    parts = frames(frame, split(year, settings("blocks")))
    weeks = [set(np.minimum((part.day - 1) // 7, 51)) for part in parts]
    assert (np.abs([len(them) for them in weeks] - 52 * SHARES) < 1).all()
    assert len(set.union(*weeks)) == 52
    assert all(part.season.nunique() == 4 for part in parts)


def test_each_tenth_of_the_rentals_is_dealt_alike(year: Rows, frame: pd.DataFrame) -> None:
    """As pandas cuts them into tenths, equal counts in one."""
    edges = np.unique(np.quantile(frame.bikers, np.arange(1, 10) / 10))
    tenth = pd.cut(frame.bikers, [-np.inf, *edges, np.inf], right=False, labels=False)
    sizes = tenth.value_counts()
    for part, share in zip(frames(frame, split(year, settings("stratified"))), SHARES, strict=True):
        assert (tenth[part.index].value_counts() - share * sizes).abs().max() < 1


def test_days_stay_whole(year: Rows, frame: pd.DataFrame) -> None:
    parts = frames(frame, split(year, settings("grouped")))
    assert sum(part.day.nunique() for part in parts) == frame.day.nunique() == 365


def test_by_time_the_year_is_cut_in_september_and_november(year: Rows, frame: pd.DataFrame) -> None:
    """After 6,051.5 and 7,780.5 hours."""
    train, validation, test = frames(frame, split(year, settings("time")))
    assert (len(train), len(validation), len(test)) in {(6051, 1729, 865), (6052, 1728, 865), (6052, 1729, 864)}
    assert train.index.max() + 1 == validation.index.min()
    assert (validation.mnth.iloc[0], test.mnth.iloc[0]) == ("Sept", "Nov")


def test_given_parts_are_those_of_the_calendar(year: Rows, frame: pd.DataFrame) -> None:
    """January to August, September and October, November and December."""
    parts = frames(frame, split(year, settings("given")))
    assert [sorted(part.mnth.unique()) for part in parts] == [
        sorted(["Jan", "Feb", "March", "April", "May", "June", "July", "Aug"]),
        ["Oct", "Sept"],
        ["Dec", "Nov"],
    ]


@pytest.mark.parametrize("method", ["time", "random"])
def test_columns_are_compared_as_scipy_does_and_ruled_as_scipy_rules(
    method: str, year: Rows, frame: pd.DataFrame
) -> None:
    """By time every column but the hour is another season's; drawn at random none differs."""
    plan, report = partition(year, SplitSection.model_validate({"method": method}), FEATURES)
    train, *others = frames(frame, plan)
    parts: tuple[Literal["validation", "test"], ...] = ("validation", "test")
    expected: dict[tuple[str, Literal["validation", "test"]], float] = {}
    for part, other in zip(parts, others, strict=True):
        for name in (*NUMBERS, "bikers"):
            one, two = (those[name].to_numpy(np.float32) for those in (train, other))
            expected[name.replace("bikers", "target"), part] = stats.ks_2samp(one, two, method="asymp").pvalue
        hours = pd.crosstab(np.r_[np.zeros(len(train)), np.ones(len(other))], np.r_[train.hr, other.hr])
        expected["hr", part] = stats.chi2_contingency(hours, correction=False).pvalue
    found = {(c.column, c.part): c for c in report.comparisons if "missing" not in c.column}
    for place, p_value in expected.items():
        assert found[place].p_value == pytest.approx(p_value, abs=1e-12), place
    ruled = stats.false_discovery_control([c.p_value for c in report.comparisons])
    assert [c.adjusted for c in report.comparisons] == pytest.approx(ruled)
    differing = {column for column, part in expected if part == "test" and found[column, part].differs}
    assert differing == ({*NUMBERS, "target"} if method == "time" else set())


def test_a_group_that_the_calendar_cuts_fails_and_says_which(year: Rows) -> None:
    """Every weekday is in all parts."""
    given = SplitSection(method="given", column="part", group="whose")
    weekdays = np.array([f"{int(time // 86400) % 7}" for time in year.time], dtype=object)
    cut = Rows(year.time, year.columns, year.target, year.marks | {"whose": weekdays})
    with pytest.raises(InvalidInput, match=r'1460 of 1460 validation rows are of a group .*whose "\d" and 6 more'):
        partition(cut, given, FEATURES)
