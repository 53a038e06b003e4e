"""Neighbours: copies within and across parts are no chance where no rows nearly meet; values that many take are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from staytrue.feature import Feature
from staytrue.splitting import SplitSection
from training.data.keys import codes_of, keys_of
from training.data.rows import Rows
from training.data.split.leakage import Finding, find
from training.data.split.neighbours import neighbours, rare
from training.data.split.plan import split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def made(columns: Mapping[str, NDArray[Any]], seed: int = 9) -> Rows:
    """Rows with targets that all differ."""
    count = len(next(iter(columns.values())))
    return Rows(
        np.arange(float(count)), dict(columns), np.random.default_rng(seed).permutation(count).astype(np.float64)
    )


def of_validation(rows: Rows) -> Finding:
    """What validation shares with train, dealt at random."""
    settings = SplitSection(method="random")
    kinds = {"f": "numeric", "O": "category"}
    features = {
        name: Feature.model_validate({"kind": kinds[column.dtype.kind]}) for name, column in rows.columns.items()
    }
    every = find(rows, split(rows, settings), settings, features)
    (finding,) = [one for one in every if (one.kind, one.part, one.other) == ("duplicates", "validation", "train")]
    return finding


@pytest.mark.parametrize("copies", [100, 1000])
def test_rows_written_again_with_another_target_are_leakage_however_many(copies: int) -> None:
    """Three numbers of three decimals, a text and a site; half of the copies repeat a row of their own part."""
    draw = np.random.default_rng(5)
    first: dict[str, NDArray[Any]] = {
        "temp": draw.normal(10, 5, 3000).round(3).astype(np.float32),
        "hum": draw.normal(50, 9, 3000).round(3).astype(np.float32),
        "wind": draw.exponential(5, 3000).round(3).astype(np.float32),
        "kind": draw.choice(["no", "yes", "NA"], 3000).astype(object),
        "site": draw.choice([f"s{place}" for place in range(12)], 3000).astype(object),
    }
    assert len(np.unique(first["temp"])) < 0.95 * 3000  # no number names its row
    rows = made({name: np.concatenate([column, column[:copies]]) for name, column in first.items()})
    finding = of_validation(rows)
    assert finding.verdict == "leakage"
    assert finding.expected < 0.1
    assert finding.rows > copies / 10
    assert of_validation(made(first)).verdict == "none"


def test_a_few_values_of_columns_that_determine_each_other_are_no_copies() -> None:
    """Fifty stations by the places where they stand: every row meets many, and none differs in a single column."""
    draw = np.random.default_rng(6)
    places = {"north": draw.normal(size=50).round(1), "east": draw.normal(size=50).round(1)}
    station = draw.integers(0, 50, 3000)
    rows = made({name: place.astype(np.float32)[station] for name, place in places.items()})
    finding = of_validation(rows)
    assert finding.rows > 500
    assert finding.verdict == "by chance"


def usual(data: str) -> dict[str, NDArray[Any]]:
    """Rows whose columns determine each other, as people's tables have them; none is a copy."""
    draw = np.random.default_rng(8)
    if data == "body mass":
        weight, height = draw.normal(75, 12, 3000).round(), draw.normal(172, 9, 3000).round()
        found = {"kg": weight, "cm": height, "bmi": (weight / (height / 100) ** 2).round(1)}
    elif data == "sum":
        one, two = draw.integers(0, 40, (2, 3000)).astype(float)
        found = {"one": one, "two": two, "sum": one + two, "difference": one - two}
    elif data == "one-hot":
        kinds, size = draw.integers(0, 3, 3000), draw.integers(0, 900, 3000).astype(float)
        found = {f"is{kind}": (kinds == kind).astype(float) for kind in range(3)} | {"size": size}
    else:
        hour = draw.integers(0, 1440, 3000) * 2 * np.pi / 1440
        found = {"hour": hour, "sine": np.sin(hour), "cosine": np.cos(hour)}
    return {name: column.astype(np.float32) for name, column in found.items()}


@pytest.mark.parametrize("data", ["body mass", "sum", "one-hot", "moment of the day"])
def test_usual_columns_that_determine_each_other_are_no_leakage(data: str) -> None:
    """Of their rows those that are alike differ in no single column, and yet they are alike by chance."""
    finding = of_validation(made(usual(data)))
    assert finding.rows > 20
    assert finding.verdict == "by chance"


def test_two_numbers_that_say_the_same_count_once() -> None:
    """A temperature in two units, of which one value in two is taken twice."""
    celsius = np.random.default_rng(7).integers(0, 3000, 3000).astype(np.float32)
    finding = of_validation(made({"celsius": celsius, "fahrenheit": celsius * np.float32(1.8) + 32}))
    assert finding.rows > 100
    assert finding.verdict == "by chance"


def test_rows_that_differ_in_one_column_are_found_and_copies_and_others_are_not() -> None:
    """Of four held rows: a copy, one that differs in b, one in a and b, and a copy that has a neighbour as well."""
    held, others = np.arange(4), np.arange(4, 8)
    columns = {
        "a": np.array([1, 2, 9, 4, 1, 2, 4, 4], np.float32),
        "b": np.array([1, 9, 9, 4, 1, 2, 4, 5], np.float32),
        "c": np.array(["x", "y", "x", "z", "x", "y", "z", "z"], object),
    }
    rows = made(columns)
    keys = keys_of(rows.columns)
    found = neighbours(rows, keys, [(held, others), (others, held)])
    assert [has.tolist() for has in found] == [[False, True, False, True], [False, True, False, True]]
    assert rare(codes_of(keys), held, others).all()
    assert not rare(np.zeros(9, np.int64), np.arange(1), np.arange(1, 9)).any()
