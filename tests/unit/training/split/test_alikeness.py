"""Alikeness: tests as scipy does them, held to their rate; a shift in one column is the one that is told."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from staytrue.feature import Feature
from staytrue.splitting import SplitSection
from training.data.rows import Rows
from training.data.split.alikeness import adjusted, chi_square, compare
from training.data.split.plan import split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data.split.alikeness import Comparison
    from training.data.split.plan import Part

FEATURES = {name: Feature(kind="numeric") for name in ("x", "y", "z")} | {"sky": Feature(kind="category")}
RANDOM = SplitSection(method="random")


def made(seed: int, count: int = 1000) -> Rows:
    """Rows that are all drawn alike."""
    draw = np.random.default_rng(seed)
    columns: dict[str, NDArray[Any]] = {name: draw.normal(size=count).astype(np.float32) for name in ("x", "y", "z")}
    columns["sky"] = draw.choice(np.array(["sun", "rain", "fog"], dtype=object), count)
    return Rows(np.arange(count, dtype=np.float64), columns, draw.normal(size=count))


def compared(rows: Rows) -> list[Comparison]:
    """All columns, parts drawn at random."""
    return compare(rows, split(rows, RANDOM), FEATURES)


def test_p_values_are_adjusted_as_in_the_paper() -> None:
    """The fifteen p-values of section 3.2 of Benjamini and Hochberg: at 0.05 they reject the first four."""
    values = [
        *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
        *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0),
    ]
    ruled = adjusted(values)
    assert (ruled <= 0.05).tolist() == [True] * 4 + [False] * 11
    assert ruled[3] == pytest.approx(0.0095 * 15 / 4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_p_values_are_adjusted_as_scipy_does(values: list[float]) -> None:
    """In any order."""
    np.testing.assert_allclose(adjusted(values), stats.false_discovery_control(values), rtol=1e-12)


def test_nothing_to_adjust_is_nothing() -> None:
    """Columns may all be too short."""
    assert adjusted([]).tolist() == []


def test_categories_are_compared_by_chi_square() -> None:
    """A table of two by two in closed form: n (ad - bc)² over the product of its sums."""
    one = np.array(["a"] * 40 + ["b"] * 20)
    other = np.array(["a"] * 20 + ["b"] * 40)
    found = chi_square(one, other)
    assert found is not None
    closed = 120 * (40 * 40 - 20 * 20) ** 2 / (60 * 60 * 60 * 60)
    assert found[0] == pytest.approx(closed)
    assert found[1] == pytest.approx(stats.chi2.sf(closed, 1))


def test_rare_categories_are_counted_together() -> None:
    """As scipy counts the table in which they are one; a part with many names but few rows says nothing wrong."""
    one = np.array(["a"] * 500 + ["b"] * 300 + [f"rare {i}" for i in range(20)])
    other = np.array(["a"] * 200 + ["b"] * 100 + [f"other {i}" for i in range(10)])
    wanted = stats.chi2_contingency([[500, 300, 20], [200, 100, 10]], correction=False)
    assert chi_square(one, other) == pytest.approx((wanted.statistic, wanted.pvalue))


@pytest.mark.parametrize(
    ("one", "other"), [(["a"] * 9, ["a"] * 9), (["a", "b"], ["c", "d"]), ([], ["a"] * 9)], ids=["one", "few", "none"]
)
def test_one_category_alone_tells_nothing(one: list[str], other: list[str]) -> None:
    """Or too few rows of any."""
    assert chi_square(np.array(one, dtype=object), np.array(other, dtype=object)) is None


def test_numbers_are_compared_by_kolmogorov_and_smirnov() -> None:
    """The statistic is the largest distance of the two distribution functions, counted here by hand."""
    rows = made(0)
    plan = split(rows, RANDOM)
    one, other = (rows.columns["x"][plan.parts[part]] for part in ("train", "test"))
    grid = np.sort(np.concatenate([one, other]))
    distance = max(abs((one <= point).mean() - (other <= point).mean()) for point in grid)
    found = next(c for c in compare(rows, plan, FEATURES) if (c.column, c.part) == ("x", "test"))
    assert found.statistic == pytest.approx(distance)


def test_each_column_gap_and_the_target_is_compared_with_both_parts() -> None:
    """A column without gaps has none to compare."""
    rows = made(0)
    rows.columns["y"][::7] = np.nan
    names = [comparison.column for comparison in compared(rows) if comparison.part == "test"]
    assert names == ["x", "y", "y (missing)", "z", "sky", "target"]


@pytest.fixture(scope="module")
def drawn() -> list[list[Comparison]]:
    """What 120 draws of rows that are alike say."""
    return [compared(made(seed)) for seed in range(120)]


def test_p_values_of_parts_that_are_alike_are_uniform(drawn: list[list[Comparison]]) -> None:
    """The ten tests of a draw share their training rows, so two of them are looked at."""
    for column, part in (("x", "validation"), ("sky", "test")):
        found = [next(c.p_value for c in every if (c.column, c.part) == (column, part)) for every in drawn]
        assert stats.kstest(found, "uniform").pvalue > 0.01


def test_alike_parts_are_told_apart_as_seldom_as_the_rate_says(drawn: list[list[Comparison]]) -> None:
    """Of 120 draws at most 5% name any column, give or take: the binomial's 99.9% point is 13."""
    assert sum(any(c.differs for c in every) for every in drawn) <= 13


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("column", ["x", "sky", "target"])
def test_a_shift_of_one_column_is_the_one_that_is_told(part: Part, column: str) -> None:
    """Half a deviation, or another weather, in one part alone."""
    rows = made(5)
    plan = split(rows, RANDOM)
    moved = np.array(plan.parts[part])
    if column == "sky":
        rows.columns["sky"][moved[::2]] = "fog"
    else:
        values = rows.target if column == "target" else rows.columns[column]
        values[moved] += 0.8
    assert [(c.column, c.part) for c in compare(rows, plan, FEATURES) if c.differs] == [(column, part)]


def test_gaps_that_one_part_alone_has_are_told() -> None:
    """The numbers that are there are alike."""
    rows = made(5)
    plan = split(rows, RANDOM)
    rows.columns["z"][np.array(plan.parts["test"])[::2]] = np.nan
    assert [(c.column, c.part) for c in compare(rows, plan, FEATURES) if c.differs] == [("z (missing)", "test")]


@pytest.mark.parametrize(
    ("kind", "values", "missing"),
    [
        ("numeric", np.arange(600.0, dtype=np.float32), np.nan),
        ("date", np.arange(600), np.iinfo(np.int64).min),
        ("text", (np.arange(2400).reshape(600, 4) % 199 + 1).astype(np.uint8), 0),
        ("sequence", np.arange(3600.0, dtype=np.float32).reshape(600, 3, 2), np.nan),
    ],
)
def test_a_column_without_any_value_in_a_part_is_compared_by_its_gaps_alone(
    kind: Literal["numeric", "date", "text", "sequence"], values: NDArray[Any], missing: float
) -> None:
    """Validation has values to compare, test has none."""
    rows = made(5, 600)
    rows.columns["x"] = values
    plan = split(rows, RANDOM)
    values[np.array(plan.parts["test"])] = missing
    shape = [] if values.ndim == 1 else list(values.shape[1:])
    features = FEATURES | {"x": Feature(kind=kind, shape=shape)}
    found = [(c.column, c.part) for c in compare(rows, plan, features) if c.column.startswith("x")]
    assert found == [("x", "validation"), ("x (missing)", "test")]


def test_a_column_without_any_value_at_all_is_not_compared() -> None:
    """Nor does SciPy warn of a sample of nothing."""
    rows = made(5)
    rows.columns["z"][:] = np.nan
    assert not [c for c in compare(rows, split(rows, RANDOM), FEATURES) if c.column.startswith("z")]


def test_pictures_are_compared_by_what_they_look_like() -> None:
    """Darker ones in validation are told as darker."""
    draw = np.random.default_rng(1)
    pictures = draw.integers(0, 200, (600, 1, 8, 8)).astype(np.uint8)
    names = draw.choice(np.array(["a", "b"], dtype=object), 600)
    rows = Rows(np.arange(600.0), {"p": pictures}, names)
    plan = split(rows, RANDOM)
    pictures[plan.parts["validation"]] //= 2
    found = compare(rows, plan, {"p": Feature(kind="image", shape=[1, 8, 8])})
    assert {"p.brightness", "p.contrast"} == {c.column for c in found if c.differs and c.statistic > 0.5}
    assert {c.part for c in found if c.differs} == {"validation"}


@pytest.mark.parametrize("values", [2, 10])
@pytest.mark.parametrize("name", ["x", "target"])
def test_numbers_of_few_values_are_compared_by_chi_square(values: int, name: str) -> None:
    """As scipy does it of the counts of each."""
    rows = made(3, 2000)
    column = rows.target if name == "target" else rows.columns[name]
    column[:] = np.random.default_rng(3).integers(0, values, 2000)
    plan = split(rows, RANDOM)
    found = next(c for c in compare(rows, plan, FEATURES) if (c.column, c.part) == (name, "test"))
    table = [np.bincount(column[plan.parts[part]].astype(int), minlength=values) for part in ("train", "test")]
    wanted = stats.chi2_contingency(table, correction=False)
    assert found.test == "chi-square"
    assert (found.statistic, found.p_value) == pytest.approx((wanted.statistic, wanted.pvalue))


def test_a_share_of_ones_that_moves_is_told() -> None:
    """From a half to eight of thirteen: of ten tests, Kolmogorov and Smirnov would not say so."""
    rows = made(5, 2000)
    plan = split(rows, RANDOM)
    rows.columns["x"][:] = np.arange(2000) % 2
    moved = np.array(plan.parts["test"])
    rows.columns["x"][moved] = np.arange(len(moved)) % 13 < 8
    one, other = (rows.columns["x"][np.array(plan.parts[part])] for part in ("train", "test"))
    assert stats.ks_2samp(one, other, method="asymp").pvalue > 0.01
    assert [(c.column, c.part) for c in compare(rows, plan, FEATURES) if c.differs] == [("x", "test")]


@pytest.mark.parametrize("values", [11, 10])
def test_numbers_of_more_values_or_few_rows_stay_with_kolmogorov_and_smirnov(values: int) -> None:
    """Of 100 rows each of ten values is expected once in a part of ten."""
    rows = made(3, 2000 if values > 10 else 100)
    rows.columns["x"][:] = np.arange(len(rows)) % values
    assert {c.test for c in compared(rows) if c.column == "x"} == {"Kolmogorov-Smirnov"}


@pytest.mark.parametrize("kind", ["text", "sequence"])
def test_texts_and_sequences_are_compared_without_a_copy_in_fp64(kind: Literal["text", "sequence"]) -> None:
    """Beside the copies of the rows of each part there is a mask at most; FP64 would be eight times a text's bytes."""
    draw = np.random.default_rng(0)
    shape = [1000] if kind == "text" else [125, 2]
    values = draw.integers(1, 99, (6000, 1000)).astype(np.uint8) if kind == "text" else draw.random((6000, 125, 2))
    column = values if kind == "text" else values.astype(np.float32)
    rows = Rows(np.arange(6000.0), {"t": column}, draw.normal(size=6000))
    plan = split(rows, RANDOM)
    compare(rows, plan, {"t": Feature(kind=kind, shape=shape)})  # what it imports counts for nothing
    tracemalloc.start()
    compare(rows, plan, {"t": Feature(kind=kind, shape=shape)})
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 3 * column.nbytes
