"""Keys of joins: of unlike types they are refused, missing ones match nothing, those that repeat are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from staytrue.errors import InvalidConfig
from training.data.collect.report import chapter
from training.data.collect.source import collected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.preparation import DataSection
    from training.data.collect.joins import JoinReport

    Make = Callable[..., DataSection]

NAN = float("nan")


@pytest.fixture
def joined(section: Make, tmp_path: Path) -> Callable[..., DataSection]:
    """A section that joins a table of three rows to one that the test says, both Parquet files."""

    def made(left: Any, right: dict[str, Any], how: str = "left", **settings: Any) -> DataSection:
        rows = len(left)
        days = np.datetime64("2024-01-01") + np.arange(rows)
        tables = {"a": {"k": left, "at": days, "y": np.arange(rows) * 1.0}, "b": right}
        for name, columns in tables.items():
            pq.write_table(pa.table({key: pa.array(values) for key, values in columns.items()}), tmp_path / name)
        sources = {name: {"path": tmp_path / name, "format": "parquet"} | settings.get(name, {}) for name in tables}
        join = [{"left": "a", "right": "b", "key": ["k"], "how": how}]
        features = {"z": {"kind": "numeric"}}
        query = settings.get("query", "SELECT * FROM source")
        return section(sources=sources, join=join, query=query, time="at", target="y", features=features)

    return made


def report(section: DataSection) -> JoinReport:
    """Of its join."""
    (join,) = collected(section).report.joins
    return join


@pytest.mark.parametrize(
    ("left", "right", "said"),
    [
        (["01", "1", "NA"], [1, 2], "got VARCHAR in a ('NA', '01') and BIGINT in b"),
        (["1", "2"], [1.0, 2.0], "got VARCHAR in a ('1', '2') and DOUBLE in b"),
        ([True, False], [1, 0], "got BOOLEAN in a and BIGINT in b"),
        (np.array(["2024-01-01"], dtype="datetime64[D]"), ["2024-01-01"], "got DATE in a and VARCHAR in b"),
    ],
    ids=["zeros and words", "points", "truths", "dates"],
)
@pytest.mark.parametrize("how", ["left", "inner", "append"])
def test_keys_of_unlike_types_are_refused_with_what_to_declare(
    left: Any, right: Any, said: str, how: str, joined: Make
) -> None:
    with pytest.raises(InvalidConfig) as caught:
        collected(joined(left, {"k": right, "z": [1.0] * len(right)}, how))
    assert f'data.join.0.key: expected "k" of one type in both, {said}' in str(caught.value)
    assert "declare data.sources.a.columns: {k: " in str(caught.value)


@pytest.mark.parametrize(
    ("side", "kind", "matched"), [("a", "BIGINT", [10.0, 10.0]), ("b", "VARCHAR", [NAN, 10.0])], ids=["01 is 1", "not"]
)
def test_what_the_refusal_says_to_declare_joins_them(side: str, kind: str, matched: list[float], joined: Make) -> None:
    right = {"k": [1], "z": [10.0]}
    rows = collected(joined(["01", "1"], right, **{side: {"columns": {"k": kind}}})).rows
    np.testing.assert_array_equal(rows.columns["z"], matched)


def test_fractions_meet_whole_numbers_exactly(joined: Make) -> None:
    """As DOUBLE the last two keys of the right would be one."""
    left = [1.0, 1.5, float("inf"), 2.0**53, NAN, None]
    rows = collected(joined(left, {"k": [1, 2, 2**53, 2**53 + 1], "z": [1.0, 2.0, 3.0, 4.0]})).rows
    np.testing.assert_array_equal(rows.columns["z"], [1.0, NAN, NAN, 3.0, NAN, NAN])


@pytest.mark.parametrize(
    ("left", "right"),
    [([1.0, NAN, None], [1.0, NAN, NAN, None]), (["x", "", None], ["x", "", "", None]), ([1, None], [1, None, None])],
    ids=["numbers", "texts", "whole"],
)
@pytest.mark.parametrize("how", ["left", "inner"])
def test_missing_keys_are_unmatched_and_never_repeat(left: Any, right: Any, how: str, joined: Make) -> None:
    found = report(joined(left, {"k": right, "z": [float(place) for place in range(len(right))]}, how))
    assert (found.unmatched_left.count, found.unmatched_left.examples) == (len(left) - 1, ["missing"])
    assert (found.unmatched_right.count, found.unmatched_right.examples) == (len(right) - 1, ["missing"])
    assert (found.rows, found.duplicated_right.count, found.repeated) == (1 if how == "inner" else len(left), 0, 0)


@pytest.mark.parametrize("how", ["left", "inner"])
def test_rows_that_a_join_repeats_are_counted_and_unlike_values_told(how: str, joined: Make) -> None:
    """Key 1 stands there thrice with two values, 2 twice with one, 3 twice with a gap; 8 has no row to repeat."""
    keys = [1, 1, 1, 2, 2, 3, 3, 8, 8]
    values = [5.0, 6.0, 5.0, 7.0, 7.0, 4.0, None, 1.0, 2.0]
    found = collected(joined([1, 1, 2, 3, 9], {"k": keys, "z": values, "same": [0] * len(keys)}, how)).report
    (join,) = found.joins
    assert join.rows == (11 if how == "left" else 10)
    assert join.repeated == 6  # two for each row of key 1, one for that of 2, one for that of 3
    assert (join.duplicated_right.count, join.duplicated_right.examples[0]) == (4, "1 (3 rows)")
    assert {name: (keys.count, keys.examples) for name, keys in join.ambiguous.items()} == {"z": (2, ["1", "8"])}
    told = chapter(found)
    assert "a and b: 4 keys stand several times in b, by which the result has 6 repeated rows of a" in told.warnings
    assert any("2 keys that repeat in b have unlike values of z" in warning for warning in told.warnings)
    assert [row[-1] for row in told.tables[1].rows] == [6]


def test_shared_columns_of_unlike_types_contradict_as_texts(section: Make, tmp_path: Path) -> None:
    """Among which a word is no error."""
    (tmp_path / "a.csv").write_text("k,at,y,x\n1,2024-01-01,1,7\n2,2024-01-02,2,8\n3,2024-01-03,3,9\n")
    (tmp_path / "b.csv").write_text("k,x,z\n1,7,1\n2,NA,2\n3,,3\n")
    sources = {name: tmp_path / f"{name}.csv" for name in "ab"}
    join = [{"left": "a", "right": "b", "key": ["k"]}]
    features = {"z": {"kind": "numeric"}}
    values = {"sources": sources, "join": join, "query": "SELECT * FROM source", "time": "at", "target": "y"}
    found = report(section(**values, features=features))
    assert {name: (keys.count, keys.examples) for name, keys in found.conflicting.items()} == {"x": (1, ["2"])}
