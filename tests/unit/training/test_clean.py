"""Clean: every step counts what it touched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from staytrue.errors import InvalidInput
from staytrue.preparation import CleaningSection
from staytrue.signature import MISSING_INTEGER
from training.data.clean import cleaning
from training.data.clean.cleaning import clean, clean_served, duplicates, is_missing
from training.data.rows import Rows

NAN = float("nan")


def rows(**columns: list[Any]) -> Rows:
    """Ten rows: x, a category, and a target, overwritten from the start by what is given."""
    base: dict[str, list[Any]] = {"x": [float(i) for i in range(10)], "c": list(range(10)), "y": [1.0] * 10}
    time = list(map(float, range(10)))
    for name, values in columns.items():
        target = time if name == "time" else base[name]
        target[: len(values)] = values
    x, c = np.array(base["x"], dtype=np.float32), np.array(base["c"], dtype=np.int64)
    return Rows(np.array(time), {"x": x, "c": c}, np.array(base["y"]))


def test_clean_rows_stay_as_they_are() -> None:
    """Nothing found, nothing touched."""
    kept, report = clean(rows(), CleaningSection())
    assert kept.digest() == rows().digest()
    assert (report.rows_before, report.rows_after, report.duplicates, report.infinite) == (10, 10, 0, {})


def test_a_repeated_row_is_dropped_also_when_it_has_gaps() -> None:
    """Two missing values are alike, though NaN does not equal itself."""
    twice = rows(time=[0.0, 0.0], x=[NAN, NAN], c=[5, 5])
    kept, report = clean(twice, CleaningSection())
    assert (len(kept), report.duplicates) == (9, 1)


def test_rows_of_one_time_that_differ_are_no_duplicates() -> None:
    """Two things may happen at once."""
    assert clean(rows(time=[0.0, 0.0]), CleaningSection())[1].duplicates == 0


def test_an_infinite_feature_counts_as_missing_and_an_infinite_target_as_none() -> None:
    """Infinity is not a measurement."""
    kept, report = clean(rows(x=[np.inf], y=[1.0, -np.inf]), CleaningSection())
    assert np.isnan(kept.columns["x"][0])
    assert (report.infinite, report.missing, report.missing_target) == ({"x": 1}, {"x": 1, "c": 0}, 1)


def test_a_target_that_fp32_does_not_hold_is_none() -> None:
    """The model would compute with infinity."""
    assert clean(rows(y=[1e39, -1e39, 3e38]), CleaningSection())[1].missing_target == 2


def test_rows_with_gaps_are_kept_for_the_graph_to_impute_or_dropped_by_setting() -> None:
    """The default leaves imputation to the exported graph."""
    gaps = rows(x=[NAN], c=[0, MISSING_INTEGER])
    assert len(clean(gaps, CleaningSection())[0]) == 10
    kept, report = clean(gaps, CleaningSection(missing_features="drop"))
    assert (len(kept), report.dropped_for_missing_features) == (8, 2)


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({"duplicates": "fail"}, {"time": [0.0, 0.0], "x": [1.0, 1.0], "c": [1, 1]}),
        ({"missing_target": "fail"}, {"y": [NAN]}),
        ({"missing_features": "fail"}, {"c": [MISSING_INTEGER]}),
    ],
    ids=["duplicates", "missing target", "missing feature"],
)
def test_a_step_set_to_fail_fails(settings: dict[str, Any], changes: dict[str, list[Any]]) -> None:
    """It names the setting and the count."""
    with pytest.raises(InvalidInput, match=rf"cleaning\.{next(iter(settings))}.*got 1 of 10 rows"):
        clean(rows(**changes), CleaningSection.model_validate(settings))


def test_too_many_dropped_rows_fail_the_run() -> None:
    """A source that lost its target must not train on the rest quietly."""
    with pytest.raises(InvalidInput, match="at most 20% of 10 rows dropped, got 3"):
        clean(rows(y=[NAN, NAN, NAN]), CleaningSection())


def test_served_rows_are_cleaned_by_the_same_policies() -> None:
    """Infinities count as missing, gaps are left to the graph or dropped; each counted."""
    odd = rows(x=[np.inf, NAN, -np.inf])
    kept, touched = clean_served(odd, CleaningSection())
    assert (len(kept), touched) == (10, {"infinite values of x": 2})
    assert np.isnan(kept.columns["x"][:3]).all()
    kept, touched = clean_served(odd, CleaningSection(missing_features="drop"))
    assert (len(kept), touched) == (7, {"infinite values of x": 2, "rows with missing features": 3})


def test_a_gap_that_fails_a_run_only_leaves_out_a_served_row() -> None:
    """One odd request must not end every later retraining."""
    kept, touched = clean_served(rows(c=[MISSING_INTEGER]), CleaningSection(missing_features="fail"))
    assert (len(kept), touched) == (9, {"rows with missing features": 1})
    assert clean_served(rows(), CleaningSection(missing_features="fail"))[1] == {}


def pictured(**changes: Any) -> Rows:
    """Three rows with pictures and names, changed."""
    values = {"p": np.arange(12, dtype=np.uint8).reshape(3, 1, 2, 2), "y": np.array(["a", "b", "b"], dtype=object)}
    values |= changes
    return Rows(np.array([0.0, 1.0, 1.0]), {"p": values["p"]}, values["y"])


def test_a_row_whose_picture_and_name_repeat_is_a_duplicate() -> None:
    """And one with another picture is not."""
    settings = CleaningSection(max_dropped=0.5)
    assert clean(pictured(), settings)[1].duplicates == 0
    same = pictured().columns["p"].copy()
    same[2] = same[1]
    assert clean(pictured(p=same), settings)[1].duplicates == 1


def test_a_row_without_a_name_has_no_target() -> None:
    """The empty text is how a file says so."""
    kept, report = clean(pictured(y=np.array(["a", "", "b"], dtype=object)), CleaningSection(max_dropped=0.5))
    assert (kept.target.tolist(), report.missing_target) == (["a", "b"], 1)


def test_a_picture_of_floats_that_lacks_a_pixel_has_a_gap() -> None:
    """Of bytes none does."""
    gap = np.zeros((2, 1, 2, 2), dtype=np.float32)
    gap[1, 0, 1, 1] = np.nan
    assert is_missing(gap).tolist() == [False, True]
    assert not is_missing(np.zeros((2, 1, 2, 2), np.uint8)).any()


def test_rows_that_share_a_key_by_chance_are_no_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning, "keys_of", lambda columns: np.zeros(len(columns["0"]), dtype=np.uint64))
    assert clean(rows(), CleaningSection())[1].duplicates == 0


def test_rows_of_other_marks_are_no_duplicates() -> None:
    """Two patients may be measured alike; and a copy that a file gives to another part is leakage, to be told of."""
    some = np.zeros(3)
    marks = {"part": np.array(["train", "test", "test"], dtype=object)}
    assert duplicates(Rows(some, {"x": some}, some, marks)).tolist() == [False, False, True]


def test_duplicates_are_those_that_pandas_finds() -> None:
    draw = np.random.default_rng(5)
    x = draw.integers(0, 3, 500).astype(np.float32)
    x[::7] = np.nan
    names = draw.choice(np.array(["a", "b", ""], dtype=object), 500)
    made = Rows(draw.integers(0, 3, 500).astype(np.float64), {"x": x, "n": names}, draw.integers(0, 2, 500) * 1.0)
    table = pd.DataFrame({"t": made.time, "x": x, "n": names, "y": made.target})
    assert np.array_equal(cleaning.duplicates(made), table.duplicated().to_numpy())
