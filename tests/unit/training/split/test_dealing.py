"""Dealing: parts that are disjoint, cover all rows and meet their shares; groups whole, classes in proportion."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from staytrue.errors import InvalidConfig, InvalidInput
from staytrue.splitting import SplitSection
from tests.packages import member
from training.data.rows import Rows
from training.data.split.plan import split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.data.split.plan import Part, Split

SHARES: dict[Part, float] = {"train": 0.7, "validation": 0.2, "test": 0.1}
DRAWN = ("random", "stratified", "grouped")


def rows_of(target: NDArray[Any], groups: Sequence[int] = (), times: NDArray[np.float64] | None = None) -> Rows:
    """Rows with a target, whose they are, and when they were."""
    time = np.arange(len(target), dtype=np.float64) if times is None else times
    marks = {"who": np.array([f"g{group}" for group in groups], dtype=object)} if len(groups) else {}
    return Rows(time, {"x": time.astype(np.float32)}, target, marks)


def named(classes: Sequence[object]) -> NDArray[Any]:
    """Names of classes as a target."""
    return np.array([str(name) for name in classes], dtype=object)


def section(method: str, **values: object) -> SplitSection:
    """Settings of a method, with the columns that it needs."""
    columns = {"grouped": {"group": "who"}, "given": {"column": "part"}}.get(method, {})
    return SplitSection.model_validate({"method": method, **columns, **values})


def check_whole(plan: Split, count: int) -> None:
    """Each row is in exactly one part, and no part is empty."""
    assert sorted(itertools.chain.from_iterable(plan.parts.values())) == list(range(count))
    assert all(plan.parts.values())


@given(st.integers(3, 400), st.integers(0, 5))
def test_random_parts_cover_all_rows_and_meet_their_shares_within_a_row(count: int, seed: int) -> None:
    """Smaller ones than a row a part still get one each."""
    plan = split(rows_of(np.arange(float(count))), section("random", seed=seed))
    check_whole(plan, count)
    for name, share in SHARES.items():
        assert abs(len(plan.parts[name]) - share * count) <= 1 or len(plan.parts[name]) == 1


@given(st.lists(st.integers(0, 6), min_size=30, max_size=300), st.integers(0, 3))
def test_each_class_is_dealt_by_the_shares_within_a_row(classes: list[int], seed: int) -> None:
    """And so are all rows together, whatever is over in the classes."""
    plan = split(rows_of(named(classes)), section("stratified", seed=seed))
    check_whole(plan, len(classes))
    sizes = np.bincount(classes)
    for name, share in SHARES.items():
        got = np.bincount(np.array(classes)[plan.parts[name]], minlength=len(sizes))
        alone = (sizes * 0.7 < 1) & (sizes > 0)  # of which the only row trains, whatever is owed to others
        assert (np.abs(got - share * sizes) < 1 + 1e-9)[~alone].all()
        assert abs(got.sum() - share * len(classes)) < 2 + alone.sum()


def test_a_class_of_one_row_trains() -> None:
    """A class that no row trains on could not be learnt."""
    target = named(["a"] * 50 + ["b"] * 50 + [f"rare {i}" for i in range(8)])
    for seed in range(5):
        parts = split(rows_of(target), section("stratified", seed=seed)).parts
        assert {f"rare {i}" for i in range(8)} <= set(target[parts["train"]])


def test_a_number_is_stratified_by_its_quantiles() -> None:
    """Of 1000 different numbers each tenth of the order gives 70, 20 and 10 rows."""
    target = np.random.default_rng(3).normal(size=1000)
    parts = split(rows_of(target), section("stratified")).parts
    tenth = pd.qcut(target, 10, labels=False)
    wanted: dict[Part, int] = {"train": 70, "validation": 20, "test": 10}
    for name, count in wanted.items():
        assert np.bincount(tenth[parts[name]]).tolist() == [count] * 10


@given(st.lists(st.integers(1, 30), min_size=3, max_size=60), st.integers(0, 3))
def test_groups_stay_whole_and_shares_are_met_within_the_largest(sizes: list[int], seed: int) -> None:
    """A part that no cut would leave a group still gets one."""
    groups = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows = rows_of(np.zeros(len(groups)), groups.tolist())
    plan = split(rows, section("grouped", seed=seed))
    check_whole(plan, len(groups))
    found = [set(rows.marks["who"][part]) for part in plan.parts.values()]
    assert not found[0] & found[1] | found[0] & found[2] | found[1] & found[2]
    for part, share in zip(plan.parts.values(), SHARES.values(), strict=True):
        assert abs(len(part) - share * len(groups)) <= 2 * max(sizes)


def test_many_small_groups_meet_the_shares_nearly() -> None:
    """Thousand groups of one to nine rows: within half of a percent."""
    groups = np.repeat(np.arange(1000), np.random.default_rng(0).integers(1, 10, 1000))
    plan = split(rows_of(np.zeros(len(groups)), groups.tolist()), section("grouped"))
    for part, share in zip(plan.parts.values(), SHARES.values(), strict=True):
        assert len(part) / len(groups) == pytest.approx(share, abs=0.005)


@given(st.lists(st.integers(0, 50), min_size=10, max_size=200).filter(lambda times: len(set(times)) >= 3))
def test_by_time_no_part_begins_before_the_one_before_has_ended(times: list[int]) -> None:
    """Rows of one time stay together."""
    ordered = np.sort(np.array(times, dtype=np.float64))
    plan = split(rows_of(np.zeros(len(ordered)), times=ordered), section("time"))
    check_whole(plan, len(ordered))
    train, validation, test = (ordered[part] for part in plan.parts.values())
    assert train.max() < validation.min() <= validation.max() < test.min()


def test_by_time_the_oldest_rows_train() -> None:
    """Of hundred rows the first seventy."""
    plan = split(rows_of(np.zeros(100)), section("time"))
    assert plan.parts == {"train": [*range(70)], "validation": [*range(70, 90)], "test": [*range(90, 100)]}


def test_given_parts_are_taken_as_they_are() -> None:
    """Whatever their shares."""
    part = named(["test", "train", "validation", "train"])
    plan = split(Rows(np.arange(4.0), {}, np.zeros(4), {"part": part}), section("given"))
    assert plan.parts == {"train": [1, 3], "validation": [2], "test": [0]}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (["train", "dev", "test"], r'"dev" in row 1 of 1970-01-01T00:00:01.000Z; rows are counted from 0'),
        (["train", "", "dev"], r'"" in row 1 of 1970-01-01T00:00:01.000Z, and the like in 1 more;'),
        (["train", "train", "test"], "none of validation"),
    ],
)
def test_a_column_that_says_something_else_is_refused(parts: list[str], said: str) -> None:
    """With what it says."""
    rows = Rows(np.arange(3.0), {}, np.zeros(3), {"part": named(parts)})
    with pytest.raises(InvalidInput, match=rf"split\.column.*{said}"):
        split(rows, section("given"))


def test_a_row_without_a_group_is_refused() -> None:
    """It may be anybody's."""
    rows = Rows(np.arange(4.0), {}, np.zeros(4), {"who": named(["a", "b", "c", ""])})
    with pytest.raises(InvalidInput, match=r"a group in every row, got 1 without"):
        split(rows, section("grouped"))


@pytest.mark.parametrize(("method", "what"), [("random", "rows"), ("grouped", "groups"), ("time", "different times")])
def test_fewer_than_three_make_no_three_parts(method: str, what: str) -> None:
    """Said in what the method deals."""
    rows = rows_of(np.zeros(2), [0, 1])
    with pytest.raises(InvalidInput, match=f"at least 3 {what}, got 2"):
        split(rows, section(method))


def test_rows_that_lost_their_groups_are_no_rows_of_one_group() -> None:
    """Such a mistake is ours, and is told."""
    with pytest.raises(InvalidConfig, match='column "who" did not come with the rows'):
        split(rows_of(np.zeros(9)), section("grouped"))


@pytest.mark.parametrize("method", DRAWN)
def test_the_seed_decides(method: str) -> None:
    """The same one deals alike and is stored, another one deals otherwise."""
    rows = rows_of(named((np.arange(300) % 3).tolist()), (np.arange(300) // 3).tolist())
    plans = [split(rows, section(method, seed=seed)) for seed in (7, 7, 8)]
    assert plans[0] == plans[1]
    assert plans[0].parts != plans[2].parts
    assert [(plan.method, plan.seed) for plan in plans] == [(method, 7), (method, 7), (method, 8)]


@pytest.mark.parametrize("values", [{"method": "grouped"}, {"method": "given"}, {"column": "part"}])
def test_a_method_needs_its_column_and_no_other(values: dict[str, str]) -> None:
    """A column that nothing reads is a mistake."""
    with pytest.raises(ValidationError, match="needs"):
        SplitSection.model_validate(values)


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_the_default_shares_are_70_20_and_10(seed: int) -> None:
    """Of a round number exactly."""
    plan = split(rows_of(np.arange(100.0)), section("random", seed=seed))
    assert [len(part) for part in plan.parts.values()] == [70, 20, 10]


def test_the_census_is_dealt_in_the_proportions_of_its_classes() -> None:
    """Employed or not, in Massachusetts in 2015: each part holds both as the whole does, to a row."""
    table = pd.read_parquet(member("nannyml==0.13.1", "nannyml/datasets/data/employment_MA_reference.pq"))
    target = named(table["employed"].tolist())
    parts = split(rows_of(target), section("stratified")).parts
    whole = table["employed"].value_counts()
    assert len(table) == 68785
    for name, share in SHARES.items():
        got = table["employed"].iloc[parts[name]].value_counts()
        assert (got - share * whole).abs().max() < 1


@pytest.mark.parametrize("kind", ["numbers", "labels"])
def test_several_targets_are_stratified_though_their_combinations_are_rare(kind: str) -> None:
    """Four numbers in ten bins, or twelve labels of which one is rare: nearly every combination is a single row's."""
    draw = np.random.default_rng(4)
    target = draw.normal(size=(1000, 4)) if kind == "numbers" else (draw.random((1000, 12)) < 0.4).astype(np.float64)
    if kind == "labels":
        target[:, 5] = draw.permutation(np.arange(1000) < 30)
    parts = split(rows_of(target), section("stratified")).parts
    assert {name: len(part) for name, part in parts.items()} == {"train": 700, "validation": 200, "test": 100}
    if kind == "labels":
        assert [target[parts[name], 5].sum() for name in SHARES] == pytest.approx([21, 6, 3], abs=1)
    else:
        tenth = pd.qcut(target[:, 0], 10, labels=False)
        assert np.abs(np.bincount(tenth[parts["test"]]) - 10).max() <= 1


def test_classes_of_one_row_each_are_told() -> None:
    """All of them train, and nothing is left."""
    with pytest.raises(InvalidInput, match=r"50 rows of 50 classes or bins, of which the only row trains.*random"):
        split(rows_of(named(range(50))), section("stratified"))
