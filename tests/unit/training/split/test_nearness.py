"""Nearness: rows with gaps, texts and sequences are near others where they were copied, and not by their gaps."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from staytrue.feature import Feature
from staytrue.splitting import SplitSection
from training.data import mapped
from training.data.padded import utf8
from training.data.rows import Rows, TrainingRows
from training.data.split.coordinates import Coordinates
from training.data.split.leakage import find
from training.data.split.nearness import nearness
from training.data.split.plan import split

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from training.data.split.leakage import Finding

FEATURES = {name: Feature(kind="numeric") for name in "xz"} | {"c": Feature(kind="category")}


def made(seed: int, missing: float, trend: float, count: int = 2000) -> Rows:
    """Rows that are drawn independently, z about a trend and at times missing."""
    draw = np.random.default_rng(seed)
    z = (trend * np.arange(count) + draw.normal(size=count)).astype(np.float32)
    z[draw.random(count) < missing] = np.nan
    columns: dict[str, NDArray[Any]] = {
        "x": draw.normal(size=count).astype(np.float32),
        "z": z,
        "c": draw.choice(np.array(list("abc"), dtype=object), count),
    }
    return Rows(np.arange(0.0, 3600.0 * count, 3600.0), columns, draw.normal(size=count))


def nearly(rows: Rows, settings: SplitSection, features: dict[str, Feature]) -> list[Finding]:
    """What is near in any two parts."""
    every = find(rows, split(rows, settings), settings, features)
    return [finding for finding in every if finding.kind == "near_duplicates"]


@pytest.mark.parametrize("missing", [0.0, 0.05, 0.15])
@pytest.mark.parametrize("method", ["blocks", "random"])
@pytest.mark.parametrize("trend", [0.0, 0.1])
def test_independent_rows_with_gaps_are_near_by_chance(method: str, missing: float, trend: float) -> None:
    """In none of six draws is any of them said to be a copy."""
    for seed in (*range(5), 19):
        settings = SplitSection.model_validate({"method": method} | ({"seed": seed} if method == "random" else {}))
        every = nearly(made(seed, missing, trend), settings, FEATURES)
        assert [finding.verdict for finding in every if finding.verdict == "leakage"] == []


def test_several_columns_that_are_missing_together_are_no_copies() -> None:
    """A fifth of the rows has but one number of five."""
    draw = np.random.default_rng(0)
    columns: dict[str, NDArray[Any]] = {f"z{place}": draw.normal(size=2000).astype(np.float32) for place in range(5)}
    for place in range(4):
        columns[f"z{place}"][::5] = np.nan
    features = {name: Feature(kind="numeric") for name in columns}
    rows = Rows(np.arange(2000.0), columns, draw.normal(size=2000))
    every = nearly(rows, SplitSection(method="random"), features)
    assert {finding.verdict for finding in every} <= {"by chance", "none"}
    for finding in every:
        assert finding.expected / 2 <= finding.rows + 1 <= 2 * finding.expected + 4


def test_noised_copies_of_rows_with_gaps_are_found() -> None:
    """Six numbers, of which two are missing in the copied rows and their copies."""
    draw = np.random.default_rng(3)
    columns: dict[str, NDArray[Any]] = {f"z{place}": draw.normal(size=2000).astype(np.float32) for place in range(6)}
    for place in range(2):
        columns[f"z{place}"][::2] = np.nan
    parts = np.where(np.arange(2000) < 1400, "train", np.where(np.arange(2000) < 1800, "validation", "test"))
    for column in columns.values():
        column[1800:1820] = column[:20] + draw.uniform(-0.005, 0.005, 20).astype(np.float32)
    features = {name: Feature(kind="numeric") for name in columns}
    rows = Rows(np.arange(2000.0), columns, draw.normal(size=2000), {"part": parts.astype(object)})
    every = nearly(rows, SplitSection(method="given", column="part"), features)
    told = {(finding.part, finding.other): (finding.rows, finding.verdict) for finding in every}
    assert told["test", "train"] == (20, "leakage")


WORDS = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they " * 2
).split()


def copied(column: NDArray[Any], shape: list[int], kind: str) -> list[tuple[int, str]]:
    """Rows of a test part of a hundred that are near one of 700 train rows, and the verdict."""
    draw = np.random.default_rng(1)
    parts = np.array(["train"] * 700 + ["validation"] * 200 + ["test"] * 100, dtype=object)
    rows = Rows(np.arange(1000.0), {"it": column}, draw.normal(size=1000), {"part": parts})
    features = {"it": Feature.model_validate({"kind": kind, "shape": shape})}
    every = nearly(rows, SplitSection(method="given", column="part"), features)
    return [(f.rows, f.verdict) for f in every if (f.part, f.other) == ("test", "train")]


@pytest.mark.parametrize("copies", [0, 20])
def test_texts_as_bytes_that_are_nearly_the_same_are_found(copies: int) -> None:
    """An answer repeats what it answers to, broken bytes and letters of two bytes aside."""
    draw = np.random.default_rng(2)
    texts = [" ".join(draw.choice(WORDS, 60)) + " né" for _ in range(1000)]
    texts[900 : 900 + copies] = ["Re: " + text for text in texts[:copies]]
    column = np.stack([utf8(text, 400) for text in texts])
    column[5, :2] = 255
    assert copied(column, [400], "text") == [(copies, "leakage" if copies else "none")]


@pytest.mark.parametrize("copies", [0, 20])
def test_noised_copies_of_sequences_are_found(copies: int) -> None:
    """Paths of two channels of which one counts in thousands, of different lengths; each step is noised."""
    draw = np.random.default_rng(3)
    units = np.array([1.0, 1000.0])
    column = (15 * draw.normal(size=(1000, 1, 2)) + draw.normal(size=(1000, 200, 2)).cumsum(axis=1)) * units
    column[np.arange(200) >= 25 * draw.integers(2, 9, 1000)[:, None]] = np.nan
    noise = 0.1 * draw.normal(size=(copies, 200, 2)) * units
    column[900 : 900 + copies] = column[:copies] + noise
    assert copied(column.astype(np.float32), [200, 2], "sequence") == [(copies, "leakage" if copies else "none")]


def test_long_texts_as_bytes_take_no_more_memory_than_they_have() -> None:
    """Sixteen thousand bytes each; as numbers of eight bytes they would take eight times as much."""
    draw = np.random.default_rng(4)
    column = draw.integers(1, 256, (1000, 16_384)).astype(np.uint8)
    parts = [Rows(np.arange(500.0), {"it": half}, np.zeros(500)) for half in (column[:500], column[500:])]
    features = {"it": Feature(kind="text", shape=[16_384])}
    tracemalloc.start()
    points = Coordinates(TrainingRows.of(parts[0]), features, 0.01).of(*parts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [part.shape for part in points] == [(500, 1), (500, 1)]
    assert peak < 4 * column.nbytes


def table_of(values: NDArray[np.float64], copies: int, noise: float) -> list[tuple[int, str]]:
    """Rows of a test part that nearly are rows of train, some planted with noise in deviations, and the verdict."""
    draw = np.random.default_rng(6)
    values, count = values.copy(), len(values)
    begin = count * 9 // 10
    values[begin : begin + copies] = values[:copies] + noise * values.std(axis=0) * draw.normal(
        size=(copies, values.shape[1])
    )
    parts = np.where(np.arange(count) < count * 7 // 10, "train", "validation").astype(object)
    parts[begin:] = "test"
    columns: dict[str, NDArray[Any]] = {f"x{place}": axis.astype(np.float32) for place, axis in enumerate(values.T)}
    rows = Rows(np.arange(float(count)), columns, draw.normal(size=count), {"part": parts})
    features = {name: Feature(kind="numeric") for name in columns}
    every = nearly(rows, SplitSection(method="given", column="part"), features)
    return [(f.rows, f.verdict) for f in every if (f.part, f.other) == ("test", "train")]


@pytest.mark.parametrize("noise", [0.005, 0.01])
@pytest.mark.parametrize("kind", ["digits", "drawn"])
def test_noised_copies_of_wide_rows_are_found_though_one_number_of_many_moved_far(kind: str, noise: float) -> None:
    """The 1,797 digits of scikit-learn as 64 numbers, and hundred drawn ones: nothing is told without copies."""
    draw = np.random.default_rng(5)
    values = draw.permutation(load_digits().data) if kind == "digits" else draw.normal(size=(2000, 100))
    assert table_of(values, 0, noise) == [(0, "none")]
    assert table_of(values, 20, noise) == [(20, "leakage")]


@pytest.mark.parametrize("noise", [0.018, 0.02])
def test_copies_that_were_moved_a_little_more_do_not_hide_those_that_were_moved_less(noise: float) -> None:
    """They fill the shell beyond the distance, which else would tell how dense the data are; the next is empty."""
    ((rows, verdict),) = table_of(np.random.default_rng(5).normal(size=(2000, 100)), 150, noise)
    assert 40 < rows < 150
    assert verdict == "leakage"


HEAVY: dict[str, Callable[[np.random.Generator, Any], NDArray[np.float64]]] = {
    "Cauchy": lambda draw, size: draw.standard_cauchy(size),
    "lognormal of deviation 2": lambda draw, size: draw.lognormal(0, 2, size),
    "lognormal of deviation 3": lambda draw, size: draw.lognormal(0, 3, size),
    "Pareto of exponent 0.7": lambda draw, size: draw.pareto(0.7, size),
}
"""Columns whose deviation is that of a few rows."""


@pytest.mark.parametrize("column", HEAVY.values(), ids=HEAVY)
def test_a_single_column_with_heavy_tails_has_no_copies(
    column: Callable[[np.random.Generator, Any], NDArray[np.float64]],
) -> None:
    for seed in range(3):
        values = column(np.random.default_rng(seed), 2000).astype(np.float32)
        rows = Rows(np.arange(2000.0), {"x": values}, np.zeros(2000))
        every = nearly(rows, SplitSection(method="random", seed=seed), {"x": Feature(kind="numeric")})
        assert {finding.verdict for finding in every} <= {"none", "by chance"}


@pytest.mark.parametrize("column", HEAVY.values(), ids=HEAVY)
def test_copies_of_rows_with_heavy_tails_are_found(
    column: Callable[[np.random.Generator, Any], NDArray[np.float64]],
) -> None:
    """Twenty, moved by little beside what most of the numbers differ by: a deviation would take in most of the rows."""
    draw = np.random.default_rng(4)
    values = column(draw, (2000, 8))
    assert table_of(values, 0, 0.0)[0][1] in {"none", "by chance"}
    values[1800:1820] = values[:20] + 0.005 * np.median(np.abs(values)) * draw.normal(size=(20, 8))
    ((count, verdict),) = table_of(values, 0, 0.0)
    assert (verdict, 20 <= count <= 24) == ("leakage", True)


def test_sequences_with_heavy_tails_have_no_copies_but_those_that_are() -> None:
    draw = np.random.default_rng(11)
    column = np.exp(2 * draw.normal(size=(1000, 24, 2)))
    column[900:920] = column[:20] + 0.005 * draw.normal(size=(20, 24, 2))
    assert copied(column.astype(np.float32), [24, 2], "sequence") == [(20, "leakage")]


def test_copies_of_sequences_with_other_gaps_are_found() -> None:
    """Smooth paths of two lengths, of which the copies lack a fifth of the steps, each others."""
    draw = np.random.default_rng(7)
    waves = np.stack([np.sin(np.arange(50) * k / 50) for k in range(1, 6)])
    column = np.einsum("nck,kt->ntc", draw.normal(size=(1000, 2, 5)), waves)
    column[::3, 40:] = np.nan
    column[900:920] = column[1:60:3]
    inner = (np.arange(50) > 0) & (np.arange(50) < 49)
    column[900:920][(draw.random((20, 50)) < 0.2) & inner] = np.nan
    assert copied(column.astype(np.float32), [50, 2], "sequence") == [(20, "leakage")]


def test_three_pictures_that_are_nearly_others_are_leakage() -> None:
    """Of black and white, with few pixels that are others: as many numbers do not meet by chance."""
    draw = np.random.default_rng(8)
    column = (draw.random((1000, 1, 8, 8)).repeat(8, axis=2).repeat(8, axis=3) < 0.5).astype(np.float32)
    column[900:903] = column[:3]
    column[900:903, 0, 0, 0] = 1 - column[900:903, 0, 0, 0]
    assert copied(column, [1, 64, 64], "image") == [(3, "leakage")]


@pytest.mark.parametrize("kind", ["image", "sequence"])
def test_points_of_what_is_mapped_are_mapped_and_the_same_to_the_bit(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so is what is found by them, also of rows with gaps, which are looked at apart."""
    monkeypatch.setattr(mapped, "PART_BYTES", 4096)
    draw = np.random.default_rng(12)
    column = draw.normal(size=(300, 2, 16, 16) if kind == "image" else (300, 24, 2)).astype(np.float32)
    column[200:210] = column[:10] + 0.001
    if kind == "sequence":
        column[::5, :, 1] = np.nan
    features = {"v": Feature.model_validate({"kind": kind, "shape": list(column.shape[1:])}), "x": FEATURES["x"]}
    found = []
    for one in (column, mapped.kept(column, 0)):
        rows = Rows(np.arange(300.0), {"v": one, "x": np.ones(300, np.float32)}, np.zeros(300))
        points = Coordinates(TrainingRows.of(rows), features, 0.02).of(rows)[0]
        assert mapped.is_mapped(points) == mapped.is_mapped(one)
        held, others = _mapped_like(points, points[200:]), _mapped_like(points, points[:200])
        found.append((points.tobytes(), nearness(held, others, np.random.default_rng(0))))
    assert found[0][0] == found[1][0]
    assert np.array_equal(found[0][1].place, found[1][1].place)
    assert found[0][1][1:] == found[1][1][1:]
    assert (found[0][1].place[:10] == np.arange(10)).all()


def _mapped_like(points: NDArray[np.float64], some: NDArray[np.float64]) -> NDArray[np.float64]:
    return mapped.kept(some, 0) if mapped.is_mapped(points) else some
