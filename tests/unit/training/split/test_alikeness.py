"""Alikeness: tests as scipy does them, held to their rate; a shift in one column is the one that is told."""

from __future__ import annotations

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
        ("text", np.full((600, 4), 97, dtype=np.uint8), 0),
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
