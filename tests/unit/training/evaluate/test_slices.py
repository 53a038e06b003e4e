"""Slices: which rows they hold, what is learnt from whom, and what is said of those that cannot be judged."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from staytrue.errors import InvalidConfig
from staytrue.project import Project
from staytrue.signature import MISSING_INTEGER
from tests.unit.training.evaluate.judging import daily, days_of, numbers
from training.data.rows import Rows, TrainingRows, join
from training.evaluate.columns import columns, spoken
from training.evaluate.parts import evaluated
from training.evaluate.slices import check, learn

if TYPE_CHECKING:
    from training.evaluate.slices import Slice

FEATURES = {
    "temp": {"kind": "numeric"},
    "hour": {"kind": "category", "datatype": "INT64"},
    "sky": {"kind": "category"},
    "since": {"kind": "date"},
    "flag": {"kind": "numeric"},
    "note": {"kind": "text", "shape": [4]},
}


def project(**slices: Any) -> Project:
    """One with such slices."""
    data = {"source": "d.csv", "time": "at", "target": "y", "features": FEATURES}
    split = {"method": "grouped", "group": "who"}
    return Project.model_validate({"name": "bikes", "data": data, "split": split, "evaluation": {"slices": slices}})


def rows(count: int = 8, **changed: Any) -> TrainingRows:
    """A row a day; numbers 0, 1, 2, … unless they are changed."""
    numbers = np.arange(count)
    found: dict[str, Any] = {
        "temp": numbers.astype(np.float32),
        "hour": numbers % 3,
        "sky": np.array(["sun", "rain", "sun", "fog"] * (count // 4), dtype=object),
        "since": numbers * 86_400,
        "flag": (numbers % 2).astype(np.float32),
        "note": np.zeros((count, 4), dtype=np.uint8),
    }
    marks = {"who": np.array(["me", "you"] * (count // 2), dtype=object)}
    return TrainingRows(daily(count), found | changed, numbers.astype(np.float64), marks)


def held(given: Project, train: TrainingRows, judged: Rows | None = None) -> dict[str, Any]:
    """Which rows each slice holds; why it cannot be said."""
    table = columns(judged or train, given)
    found: list[Slice] = [one for division in learn(given, train) for one in division.of(table)]
    return {one.holds: one.why if one.mask is None else np.flatnonzero(one.mask).tolist() for one in found}


def test_a_category_is_sliced_by_its_most_frequent_values_of_training() -> None:
    """Others are one slice together, also values that no training row has, and missing ones are one of their own."""
    judged = rows(sky=np.array(["fog", "sun", "", "snow", "rain", "sun", "", "fog"], dtype=object))
    assert held(project(sky={"values": 2}), rows(), judged) == {
        "sky = sun": [1, 5],
        "sky = fog": [0, 7],
        "sky is none of these": [3, 4],
        "sky is missing": [2, 6],
    }
    assert held(project(weather={"column": "sky"}), rows()) == {
        "sky = sun": [0, 2, 4, 6],
        "sky = fog": [3, 7],
        "sky = rain": [1, 5],
    }


def test_a_number_is_cut_at_the_quartiles_of_training() -> None:
    """Of 0 to 7 they are 1.75, 3.5 and 5.25; a number at an edge is below it."""
    judged = rows(temp=np.array([-9, 1.75, 1.76, 3.5, 5.25, 99, math.nan, 4], dtype=np.float32))
    assert held(project(temp=None), rows(), judged) == {
        "temp <= 1.75": [0, 1],
        "1.75 < temp <= 3.5": [2, 3],
        "3.5 < temp <= 5.25": [4, 7],
        "5.25 < temp": [5],
        "temp is missing": [6],
    }


def test_a_number_of_few_values_is_sliced_by_them_and_one_without_any_is_not_cut() -> None:
    assert held(project(flag=None), rows()) == {"flag = 0": [0, 2, 4, 6], "flag = 1": [1, 3, 5, 7]}
    nothing = rows(temp=np.full(8, np.nan, dtype=np.float32))
    assert held(project(temp=None), nothing) == {"temp is missing": list(range(8))}


def test_dates_time_target_and_groups_are_columns_too() -> None:
    assert list(held(project(since=None), rows(since=np.array([MISSING_INTEGER, *range(7)]) * 1))) == [
        "since <= 1970-01-01T00:00:01.500Z",
        "1970-01-01T00:00:01.500Z < since <= 1970-01-01T00:00:03.000Z",
        "1970-01-01T00:00:03.000Z < since <= 1970-01-01T00:00:04.500Z",
        "1970-01-01T00:00:04.500Z < since",
        "since is missing",
    ]
    assert held(project(y=None), rows())["5.25 < y"] == [6, 7]
    assert held(project(at=None), rows())["at <= 1970-01-02T18:00:00.000Z"] == [0, 1]
    assert held(project(who=None), rows())["who = you"] == [1, 3, 5, 7]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("hour >= 2 or hour < 1", [0, 2, 3, 5, 6]),
        ("sky = 'sun' AND temp > 1", [2, 4, 6]),
        ("sky IS NULL", []),
        ("temp > avg(temp) OVER ()", [4, 5, 6, 7]),
        ('day("at") <= 2', [0, 1]),
        ("\"who\" = 'me' and since >= TIMESTAMPTZ '1970-01-03'", [2, 4, 6]),
        ("y = 3", [3]),
        ("true", list(range(8))),
    ],
)
def test_a_condition_is_asked_of_the_columns(where: str, expected: list[int]) -> None:
    given = project(these=where)
    check(given)
    assert held(given, rows()) == {where: expected}


def test_a_condition_does_not_hold_where_it_says_nothing() -> None:
    """Missing numbers, whole numbers and names are unknown to it."""
    gone = rows(
        temp=np.full(8, np.nan, dtype=np.float32),
        hour=np.full(8, MISSING_INTEGER),
        sky=np.full(8, "", dtype=object),
    )
    assert held(project(a="temp < 5", b="hour < 5", c="sky <> 'sun'", d="temp is null"), gone) == {
        "temp < 5": [],
        "hour < 5": [],
        "sky <> 'sun'": [],
        "temp is null": list(range(8)),
    }


@pytest.mark.parametrize(
    ("slices", "said"),
    [
        ({"skye": None}, r"slices\.skye: expected a column of the data.*got skye; did you mean 'sky'"),
        ({"note": None}, "expected a column of the data, with one value a row"),
        (
            {"night": "houre >= 22"},
            r"slices\.night: is no condition: .*houre.*it may speak of who, at, y, temp.* and other columns",
        ),
        ({"night": "houre >= 22"}, r"and other columns that the query gives; did you mean 'hour'\?$"),
        ({"night": "nothing_like_it > 2"}, "and other columns that the query gives$"),
        ({"night": "hour >="}, 'is no condition: Parser Error: syntax error at or near ">="'),
        ({"night": "hour >= > 2"}, 'syntax error at or near ">"'),
        ({"night": "hour > 2 from rows"}, 'Parser Error: syntax error at or near "from"'),
        ({"night": "sky"}, "gives VARCHAR and not true or false"),
        ({"night": "note = 'a'"}, "is no condition"),
        ({"night": "count(*) > 2"}, "another number of rows"),
    ],
)
def test_slices_that_cannot_be_made_are_refused_before_a_training(slices: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidConfig, match=said):
        check(project(**slices), rows())


def test_before_there_are_rows_only_what_no_row_could_answer_is_refused() -> None:
    """The query may give any other column."""
    check(project(skye=None, night='houre >= 22 and "it\'s" > 2'))
    for where in ("hour >=", "sky", "nofunction(hour) > 2"):
        with pytest.raises(InvalidConfig, match="is no condition"):
            check(project(night=where))


def test_columns_that_no_model_learns_from_are_sliced_too() -> None:
    """Numbers by quartiles, texts by value, moments by time; in a condition each as its kind, NULL where missing."""
    moments = np.array([f"2026-01-0{day}T12:00" for day in range(1, 8)] + ["NaT"], dtype="datetime64[us]")
    towns = np.array(["Ulm", "Ulm", "Bonn", "", "Ulm", "Bonn", "Ulm", "Ulm"], dtype=object)
    heights = np.array([*range(7), math.nan], dtype=np.float64)
    train = dataclasses.replace(rows(), beside={"town": towns, "seen": moments, "height": heights})
    given = project(
        town={"values": 1},
        height=None,
        seen=None,
        late="seen >= TIMESTAMPTZ '2026-01-06' and hour > 0",
        none="height is null or town is null",
    )
    check(given, train)
    assert held(given, train) == {
        "town = Ulm": [0, 1, 4, 6, 7],
        "town is none of these": [2, 5],
        "town is missing": [3],
        "height <= 1.5": [0, 1],
        "1.5 < height <= 3": [2, 3],
        "3 < height <= 4.5": [4],
        "4.5 < height": [5, 6],
        "height is missing": [7],
        "seen <= 2026-01-03T00:00:00.000Z": [0, 1],
        "2026-01-03T00:00:00.000Z < seen <= 2026-01-04T12:00:00.000Z": [2, 3],
        "2026-01-04T12:00:00.000Z < seen <= 2026-01-06T00:00:00.000Z": [4],
        "2026-01-06T00:00:00.000Z < seen": [5, 6],
        "seen is missing": [7],
        "seen >= TIMESTAMPTZ '2026-01-06' and hour > 0": [5],
        "height is null or town is null": [3, 7],
    }


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("day > 3", ["day"]),
        ("today > 3 or DAY_2 = 1", []),
        ('"Day" > 3', ["day"]),
        ('"odd ""name""" > 3', ['odd "name"']),
        ("odd > 3", []),
    ],
)
def test_of_a_condition_the_columns_it_names_come_along(where: str, expected: list[str]) -> None:
    assert spoken(project(some=where), ["day", 'odd "name"', "another"]) == expected
    assert spoken(project(day=None, some={"column": "another"}), ["day", "another"]) == ["day", "another"]


def test_served_rows_lack_what_they_were_not_asked_for() -> None:
    own = dataclasses.replace(rows(), beside={"town": np.array(["Ulm"] * 8, dtype=object), "height": np.arange(8.0)})
    both = join([own, rows()])
    assert both.beside["town"].tolist() == ["Ulm", ""] * 8
    assert np.isnan(both.beside["height"]).tolist() == [False, True] * 8
    assert both.take(np.array([3])).beside["town"].tolist() == [""]
    assert own.digest() == rows().digest()  # no part of the content: neither a fingerprint nor a seal knows of it


def test_generators_have_no_slices() -> None:
    given = project(temp=None)
    made = given.model_copy(update={"model": given.model.model_copy(update={"task": "generation"})})
    with pytest.raises(InvalidConfig, match="makes pictures of no row"):
        check(made)


def test_a_condition_that_fails_on_the_rows_and_a_column_left_out_are_told() -> None:
    """Hours after the training began, which they must not cost."""
    given, train = project(odd="CAST(sky AS INTEGER) > 1", temp=None), rows()
    left = dataclasses.replace(train, columns={key: value for key, value in train.columns.items() if key != "temp"})
    found = held(given, left)
    assert found["temp"] == "temp was left out of the model"
    assert "sun" in found["CAST(sky AS INTEGER) > 1"]


def test_what_divides_is_learnt_from_training_rows_alone() -> None:
    plain = rows()
    with pytest.raises(TypeError, match="training rows alone"):
        learn(project(temp=None), Rows(plain.time, plain.columns, plain.target))  # type: ignore[arg-type]


def test_slices_have_the_headline_metrics_and_small_ones_say_so() -> None:
    """Errors are 1 on even days and 3 on odd ones; a row without a truth is no row of a slice."""
    given, train = project(flag=None, few="temp < 2", none="temp > 100", gone="temp / hour"), rows(40)
    truth = np.arange(40.0)
    made, truth[0] = truth + np.where(np.arange(40) % 2, 3, 1), math.nan
    slices = [one for division in learn(given, train) for one in division.of(columns(train, given))]
    judge = numbers(truth, made)
    part = evaluated(judge, slices, days_of(judge.times), minimum_rows=3, seed=0)
    even, odd, few, none, _ = part.slices
    assert [(one.name, one.rows) for one in part.slices[:4]] == [("flag", 19), ("flag", 20), ("few", 1), ("none", 0)]
    assert set(even.metrics) == {"mae", "rmse", "r2"}
    assert (even.metrics["mae"].value, odd.metrics["mae"].value, even.metrics["mae"].low) == (1, 3, 1)
    assert few.note == "1 rows, fewer than 3: too few to judge by"
    assert none.note == "0 rows, fewer than 3: too few to judge by"
    assert (few.metrics, none.metrics) == ({}, {})
