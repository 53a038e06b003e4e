"""Nearness: which rows are near duplicates of others, and how many would be by the mere density of the data."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from training.data import mapped
from training.data.keys import keys_of
from training.data.split.coordinates import APART

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from scipy.spatial import KDTree

_ENOUGH = 30
"""Pairs that a shell must hold to tell how dense the data are."""
_RADII = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Between which the shells lie."""
_WORK = 2 * 10**8
"""Products of pairs and axes that the look at the density may cost; of more it takes a sample."""
_ROUNDED = 1e-9
"""By which a distance may be computed too large."""
_SURE = 4.0
"""Deviations by which a shell must have fewer pairs than the one within it to be said to."""
_A_FEW = 3.0
"""Copies of a row that another part has, at most, for the pairs of a shell to be taken for copies."""


class Nearness(NamedTuple):
    """Which points are near another, and what chance explains."""

    place: NDArray[np.int64]
    """Of each point's nearest other within 1, or -1. Shapes: [N]."""
    pairs: int
    """Within 1 of each other."""
    expected_pairs: float
    expected_points: float
    """That chance puts near another."""


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
        some, those = _chosen(points, mine, axes), _chosen(others, theirs, axes)
        _spread(some, those)
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
    gone = [np.packbits(np.isnan(part[some]), axis=1) for part in (points, others) for some in mapped.parts(part)]
    keys = np.split(keys_of({"": np.concatenate(gone)}), [len(points)])
    orders = [np.argsort(part, kind="stable") for part in keys]
    shared = np.intersect1d(keys[0], keys[1])
    ends = [
        np.searchsorted(part[order], shared, side=side)
        for part, order in zip(keys, orders, strict=True)
        for side in ("left", "right")
    ]
    for begin, end, start, stop in zip(*ends, strict=True):
        yield orders[0][begin:end], orders[1][start:stop]


def _chosen(points: NDArray[np.float64], rows: NDArray[np.int64], axes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A copy of some rows and axes, mapped where the points are. Shapes: [N,D], [M], [D] → [M,E]."""
    made = _alike(points, (len(rows), int(axes.sum())))
    for some in mapped.parts(made):
        made[some] = points[np.ix_(rows[some], axes)]
    return made


def _alike(points: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """An array to be filled, mapped where other points are."""
    return mapped.empty(shape, np.float64, mapped.PART_BYTES if mapped.is_mapped(points) else sys.maxsize)


def _spread(points: NDArray[np.float64], others: NDArray[np.float64]) -> None:
    """Scale both so that the distance between two is the root of the mean over the numbers. Shapes: [N,D], [M,D]."""
    numbers = _numeric(points) | _numeric(others)
    scale = np.where(numbers, 1 / np.sqrt(max(int(numbers.sum()), 1)), 1.0)
    np.multiply(points, scale, out=points)
    np.multiply(others, scale, out=others)


def _numeric(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which axes are none of categories; one by one, as they are many in wide tables. Shapes: [N,D] → [D]."""
    return np.array([(axis % APART != 0).any() for axis in points.T], dtype=np.bool_)


def near(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.int64]:
    """Place of each point's nearest other within 1, or -1. Shapes: [N,D], [M,D] → [N]."""
    distance, place = _tree(others).query(points, k=1, distance_upper_bound=1.0 + _ROUNDED)
    return np.where(np.isfinite(distance), place, -1).astype(np.int64)


def pairs_within(points: NDArray[np.float64], others: NDArray[np.float64], radius: float = 1.0) -> int:
    """Pairs within a radius. Shapes: [N,D], [M,D]."""
    return int(_tree(points).count_neighbors(_tree(others), radius + _ROUNDED))


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
    shells = np.diff(counts.sum(axis=0))
    place = _telling(counts, shells)
    shell, following = max(float(shells[place]), share), float(shells[place + 1])
    grows = (following - np.sqrt(following)) / (shell + np.sqrt(shell))  # at least, so few pairs tell no dimensions
    axes = int(_numeric(points).sum())  # no more dimensions than axes, those of categories aside
    dimensions = max(1.0, min(float(np.log2(max(grows, 1.0))), axes))
    inner = _RADII[place]
    return float(len(points) / size * shell / ((2 * inner) ** dimensions - inner**dimensions))


def _telling(counts: NDArray[np.int64], shells: NDArray[np.int64]) -> int:
    """The narrowest shell that tells how dense the data are; the last but one where none does.

    By chance a shell holds at least as many pairs as the one within it. Where it holds far fewer, and those within are
    but a few for each point that has any, these are copies that were moved by a little more than others.
    """
    for place in np.flatnonzero(shells[:-1] >= _ENOUGH).tolist():
        within, shell, following = counts[:, place + 1], float(shells[place]), float(shells[place + 1])
        fewer = following + _SURE * np.sqrt(following + shell) < shell
        if not fewer or within[within > 0].mean() > _A_FEW:
            return int(place)
    return len(shells) - 2


def _counts(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.int64]:
    """Others of each point within each radius. Those beyond the largest on the widest axis are not looked at.

    Shapes: [N,D], [M,D] → [N,radii].
    """
    counts = np.zeros((len(points), len(_RADII)), dtype=np.int64)
    widest = int(np.argmax([axis.std() for axis in others.T]))
    order = np.argsort(others[:, widest])
    axes = _alike(others, others.shape[::-1])
    for axis, along in zip(axes, others.T, strict=True):
        axis[:] = along[order]
    reach = _RADII[-1] + 1.0
    for point, found in zip(points, counts, strict=True):
        begin, end = np.searchsorted(axes[widest], [point[widest] - reach, point[widest] + reach])
        squares = np.zeros(end - begin)
        for axis, value in zip(axes[:, begin:end], point, strict=True):
            squares += (axis - value) ** 2
        found += [int((squares <= radius**2 + _ROUNDED).sum()) for radius in _RADII]
    return counts


def _tree(points: NDArray[np.float64]) -> KDTree:
    from scipy.spatial import KDTree  # noqa: PLC0415 - it takes long to import

    return KDTree(points, balanced_tree=False, compact_nodes=False)  # medians of many equal values take very long
