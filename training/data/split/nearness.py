"""Nearness: which rows are near duplicates of others, and how many would be by the mere density of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from training.data import mapped
from training.data.clean.cleaning import is_missing
from training.data.distinct import distinct
from training.data.keys import keys_of
from training.data.rows import learnable
from training.data.split.shingles import MOST_CHARACTERS, clusters, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray
    from scipy.spatial import KDTree

    from staytrue.feature import Feature
    from training.data.rows import Rows, TrainingRows

SIDE = 8
"""Pictures are compared by the means of at most so many patches along each side."""
SEGMENTS = 8
"""And sequences by those of so many parts of their steps."""
_ENOUGH = 30
"""Pairs that a shell must hold to tell how dense the data are."""
_RADII = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Between which the shells lie."""
_WORK = 2 * 10**8
"""Products of pairs and axes that the look at the density may cost; of more it takes a sample."""
_SEVERAL = 5
"""Words that make a text of a category."""
_APART = 1000.0
"""Distance of one category from another, beyond all shells."""


class Nearness(NamedTuple):
    """Which points are near another, and what chance explains."""

    place: NDArray[np.int64]
    """Of each point's nearest other within 1 along every axis, or -1. Shapes: [N]."""
    pairs: int
    """Within 1 along every axis."""
    expected_pairs: float
    expected_points: float
    """That chance puts near another."""


class Coordinates:
    """Rows as points such that near duplicates are within 1 of each other along every axis.

    A number counts in ``distance`` deviations of the training rows, a missing one is NaN; a picture by the means of 8
    by 8 patches, in ``distance`` of its range; a sequence by the means of 8 parts of its steps, in ``distance``
    deviations of each; categories must be equal, upper and lower case, spaces and punctuation aside; texts must share
    most of their runs of three words.
    """

    def __init__(self, train: TrainingRows, features: Mapping[str, Feature], distance: float) -> None:
        self.features = features
        self.scales = {
            name: _scale(column, features[name].kind) * distance for name, column in learnable(train).columns.items()
        }
        self.texts = {name for name, column in train.columns.items() if _is_text(column)}

    def of(self, *parts: Rows) -> list[NDArray[np.float64]]:
        """Points of some parts, whose categories are numbered together. Shapes: [N] each → [N,D] each."""
        made: list[list[NDArray[np.float64]]] = [[] for _ in parts]
        for name, scale in self.scales.items():
            columns = [part.columns[name] for part in parts]
            for points, column in zip(made, self._axes(name, columns, scale), strict=True):
                points.append(column)
        return [np.concatenate(points, axis=1) for points in made]

    def _axes(self, name: str, columns: list[NDArray[Any]], scale: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        if self.features[name].kind == "category" or _is_written(columns[0]):
            values, codes = distinct(np.concatenate([_read(column) for column in columns]))
            said = [str(value) for value in values.tolist()]
            alike = clusters(said) if name in self.texts else np.unique(list(map(_plain, said)), return_inverse=True)[1]
            ends = np.cumsum([len(column) for column in columns])[:-1]
            return [part[:, None] for part in np.split(alike[codes] * _APART, ends)]
        if columns[0].ndim == 4:
            return [_patches(column) / scale for column in columns]
        if columns[0].ndim == 3:
            return [_segments(column) / scale for column in columns]
        return [_number(column, scale)[:, None] for column in columns]


def nearness(points: NDArray[np.float64], others: NDArray[np.float64], draw: np.random.Generator) -> Nearness:
    """Look for near points among those that lack the same numbers (NaN), by the axes that they have.

    Points that lack numbers are spread along fewer axes and so are near each other more often: what chance explains is
    told for each pattern of gaps by itself. Points that have nothing are near none.

    Shapes: [N,D], [M,D].
    """
    place = np.full(len(points), -1, dtype=np.int64)
    pairs, expected_pairs, expected_points = 0, 0.0, 0.0
    for mine, theirs in _patterns(points, others):
        axes = ~np.isnan(points[mine[0]])
        if not axes.any():
            continue
        some, those = points[np.ix_(mine, axes)], others[np.ix_(theirs, axes)]
        found = near(some, those)
        place[mine] = np.where(found >= 0, theirs[found], -1)
        share = some.size * len(those) / (points.size * len(others))
        by_chance = expected_within(some, those, draw, share)
        pairs += pairs_within(some[found >= 0], those) if (found >= 0).any() else 0
        expected_pairs += by_chance
        expected_points += len(some) * -float(np.expm1(-by_chance / len(some)))
    return Nearness(place, pairs, expected_pairs, expected_points)


def _patterns(
    points: NDArray[np.float64], others: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Places of the points and of the others that lack the same numbers, for each such pattern that both have."""
    gone = np.packbits(np.isnan(np.concatenate([points, others])), axis=1)
    keys = np.split(keys_of({"": gone}), [len(points)])
    orders = [np.argsort(part, kind="stable") for part in keys]
    shared = np.intersect1d(keys[0], keys[1])
    ends = [
        np.searchsorted(part[order], shared, side=side)
        for part, order in zip(keys, orders, strict=True)
        for side in ("left", "right")
    ]
    for begin, end, start, stop in zip(*ends, strict=True):
        yield orders[0][begin:end], orders[1][start:stop]


def near(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.int64]:
    """Place of each point's nearest other within 1 along every axis, or -1. Shapes: [N,D], [M,D] → [N]."""
    distance, place = _tree(others).query(points, k=1, p=np.inf, distance_upper_bound=np.nextafter(1.0, 2.0))
    return np.where(np.isfinite(distance), place, -1).astype(np.int64)


def pairs_within(points: NDArray[np.float64], others: NDArray[np.float64], radius: float = 1.0) -> int:
    """Pairs within a radius along every axis. Shapes: [N,D], [M,D]."""
    return int(_tree(points).count_neighbors(_tree(others), radius, p=np.inf))


def expected_within(
    points: NDArray[np.float64], others: NDArray[np.float64], draw: np.random.Generator, share: float = 1.0
) -> float:
    """Pairs within 1 of each other that chance explains, from how many there are farther away.

    In d dimensions the pairs within r grow as rᵈ, while copies only add to those within 1. The narrowest shell beyond 1
    that holds enough pairs gives their density, the next one d, which is 1 at least: so it is rather too many.
    ``share`` is that of all pairs looked at, by which the work is cut.

    Shapes: [N,D], [M,D]. Source: Grassberger and Procaccia, Characterization of strange attractors, 1983.
    """
    size = min(len(points), max(1, int(share * _WORK) // (others.size + len(_RADII) * len(others) + 1)))
    counts = _counts(points[draw.permutation(len(points))[:size]], others)
    shells = np.diff(counts)
    place = int(np.argmax(shells[:-1] >= _ENOUGH)) if (shells[:-1] >= _ENOUGH).any() else len(shells) - 2
    shell, following = max(float(shells[place]), share), float(shells[place + 1])
    grows = (following - np.sqrt(following)) / (shell + np.sqrt(shell))  # at least, so few pairs tell no dimensions
    axes = int((points % _APART != 0).any(axis=0).sum())  # no more dimensions than axes, those of categories aside
    dimensions = max(1.0, min(float(np.log2(max(grows, 1.0))), axes))
    inner = _RADII[place]
    return float(len(points) / size * shell / ((2 * inner) ** dimensions - inner**dimensions))


def _counts(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.int64]:
    """Pairs within each radius. Those beyond the largest along the axis that varies most are not looked at."""
    counts = np.zeros(len(_RADII), dtype=np.int64)
    widest = int(np.argmax(others.std(axis=0)))
    order = np.argsort(others[:, widest])
    axes = np.ascontiguousarray(others[order].T)
    reach = _RADII[-1] + 1.0
    for point in points:
        begin, end = np.searchsorted(axes[widest], [point[widest] - reach, point[widest] + reach])
        distance = np.zeros(end - begin)
        for axis, value in zip(axes[:, begin:end], point, strict=True):
            np.maximum(distance, np.abs(axis - value), out=distance)
        counts += [int((distance <= radius).sum()) for radius in _RADII]
    return counts


def _tree(points: NDArray[np.float64]) -> KDTree:
    from scipy.spatial import KDTree  # noqa: PLC0415 - it takes long to import

    return KDTree(points, balanced_tree=False, compact_nodes=False)  # medians of many equal values take very long


def _scale(column: NDArray[Any], kind: str) -> NDArray[np.float64]:
    """What distances count in: deviations of a number or of a sequence's means, the range of a picture's values."""
    one = np.ones(1)
    if kind == "category" or _is_written(column):
        return one
    if column.dtype == np.uint8:
        return 255 * one
    if column.ndim == 3:
        return _deviations(_segments(column))
    if column.ndim == 4:
        return one * (_range(column) or 1.0)
    present = column[~is_missing(column)].astype(np.float64)
    return one * (float(present.std()) or 1.0) if len(present) else one


def _range(pictures: NDArray[np.float32]) -> float:
    """Between the least and the largest value that is finite; 0 where none is."""
    finite = (some[np.isfinite(some)] for some in (pictures[part] for part in mapped.parts(pictures)))
    ends = [(some.min(), some.max()) for some in finite if len(some)]
    return float(max(high for _, high in ends) - min(low for low, _ in ends)) if ends else 0.0


def _deviations(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each axis over the points that have it, 1 where they are all alike. Shapes: [N,D] → [D]."""
    there = ~np.isnan(points)
    counts = np.maximum(there.sum(axis=0), 1)
    apart = np.where(there, points - np.where(there, points, 0.0).sum(axis=0) / counts, 0.0)
    found: NDArray[np.float64] = np.sqrt((apart**2).sum(axis=0) / counts)
    return np.where(found > 0, found, 1.0)


def _number(column: NDArray[Any], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(is_missing(column), np.nan, column.astype(np.float64) / scale)


def _patches(pictures: NDArray[Any]) -> NDArray[np.float64]:
    """Means of patches. Shapes: [N,C,H,W] → [N,C*min(H,8)*min(W,8)]."""
    rows, columns = (np.linspace(0, n, min(n, SIDE) + 1).astype(np.int64) for n in pictures.shape[2:])
    made = []
    for some in mapped.parts(pictures, most=1024):
        values = pictures[some].astype(np.float64)
        sums = np.add.reduceat(np.add.reduceat(values, rows[:-1], axis=2), columns[:-1], axis=3)
        made.append((sums / (np.diff(rows)[:, None] * np.diff(columns))).reshape(len(values), -1))
    return np.concatenate(made)


def _segments(sequences: NDArray[Any]) -> NDArray[np.float64]:
    """Means of parts of the steps, NaN where a part has none. Shapes: [N,T,C] → [N,min(T,8)*C]."""
    steps = sequences.shape[1]
    starts = np.linspace(0, steps, min(steps, SEGMENTS) + 1).astype(np.int64)[:-1]
    made = []
    for some in mapped.parts(sequences, most=1024):
        values = sequences[some].astype(np.float64)
        there = ~np.isnan(values)
        sums = np.add.reduceat(np.where(there, values, 0.0), starts, axis=1)
        counts = np.add.reduceat(there.astype(np.int64), starts, axis=1)
        means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        made.append(means.reshape(len(values), -1))
    return np.concatenate(made)


def _is_written(column: NDArray[Any]) -> bool:
    """Whether the values are texts, or the UTF-8 bytes of texts."""
    return column.dtype == object or (column.ndim == 2 and column.dtype == np.uint8)


def _read(column: NDArray[Any]) -> NDArray[Any]:
    """The column, bytes as the texts they are, as far as they are looked at. Shapes: [N] or [N,L] → [N]."""
    if column.ndim != 2:
        return column
    made = np.empty(len(column), dtype=object)
    for place, row in enumerate(column[:, : 4 * MOST_CHARACTERS]):  # a character has four bytes at most
        made[place] = row.tobytes().rstrip(b"\0").decode("utf-8", errors="replace")[:MOST_CHARACTERS]
    return made


def _is_text(column: NDArray[Any]) -> bool:
    """Whether the values are of several words, the most of them."""
    if not _is_written(column):
        return False
    some = _read(column[:: -(-len(column) // 1000)])
    return float(np.median([len(words_of(str(value))) for value in some.tolist()])) >= _SEVERAL


def _plain(text: str) -> str:
    return " ".join(words_of(text)) or text
