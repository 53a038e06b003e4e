"""Alpha: Krippendorff's, for nominal, ordinal and interval scales, whichever labels are missing."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy.sparse

from training.data.label.figures import Figure, alike, bootstrap, figure, ratio
from training.data.label.kappa import NO_PAIR, ONE_CLASS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data.label.annotations import Annotations
    from training.data.label.figures import Resampling

Scale = Literal["nominal", "ordinal", "interval"]
SCALES: tuple[Scale, ...] = ("nominal", "ordinal", "interval")


def alphas(made: Annotations, scale: Scale, resampling: Resampling) -> dict[Scale, Figure]:
    """Alpha on a scale and on those that know less: an interval scale's labels are in order, too.

    Items with fewer than two labels take no part.

    Source: Krippendorff, 2011, "Computing Krippendorff's Alpha-Reliability", Annenberg School, section E.

    Raises:
        InvalidInput: an interval scale of classes that are no numbers.
    """
    rows, often = alike(made.counts())
    asked = SCALES[: SCALES.index(scale) + 1]
    return {name: _alpha(rows, often, name, _values(made, name), resampling) for name in asked}


def alpha_by_class(made: Annotations, resampling: Resampling) -> dict[str, Figure]:
    """Nominal alpha of each class against all others together."""
    rows, often, items = _pairable(*alike(made.counts()))
    if not items:
        return dict.fromkeys(made.classes, Figure(value=None, note=NO_PAIR))
    statistic = functools.partial(_by_class, kinds=len(made.classes))
    point, drawn = bootstrap(_coincidences(rows), often, statistic, resampling)
    note = "no label of this class, or no other one"
    return {
        name: figure(point[place], drawn[:, place], items=items, note=note) for place, name in enumerate(made.classes)
    }


def alpha_without(made: Annotations, scale: Scale, resampling: Resampling) -> dict[str, Figure]:
    """Alpha of the others, for each annotator: where it grows, this one is unlike them."""
    rows, which, often = np.unique(made.counts(), axis=0, return_inverse=True, return_counts=True)
    which, kinds = which.reshape(-1), len(made.classes)
    values = _values(made, scale)
    found = {}
    for number, name in enumerate(made.annotators):
        item, label = made.of(number)
        # Only the rows of their items change: each becomes one with one label less.
        change, times = np.unique(which[item] * kinds + label, return_counts=True)
        row, lost = change // kinds, change % kinds
        left = often - np.bincount(row, weights=times, minlength=len(rows)).astype(np.int64)
        fewer = rows[row].copy()
        fewer[np.arange(len(row)), lost] -= 1
        both = np.concatenate([rows[left > 0], fewer])
        found[name] = _alpha(both, np.concatenate([left[left > 0], times]), scale, values, resampling)
    return found


def _alpha(
    rows: NDArray[np.int64],
    often: NDArray[np.int64],
    scale: Scale,
    values: NDArray[np.float64],
    resampling: Resampling,
) -> Figure:
    rows, often, items = _pairable(rows, often)
    if not items:
        return Figure(value=None, note=NO_PAIR)
    statistic = functools.partial(_on_scale, scale=scale, values=values)
    point, drawn = bootstrap(_coincidences(rows), often, statistic, resampling)
    return figure(point[0], drawn[:, 0], items=items, note=ONE_CLASS)


def _pairable(rows: NDArray[np.int64], often: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    enough = rows.sum(axis=1) >= 2
    return rows[enough], often[enough], int(often[enough].sum())


def _values(made: Annotations, scale: Scale) -> NDArray[np.float64]:
    """Where the classes lie on an interval scale, from 0 to 1: alpha asks for no unit."""
    if scale != "interval":
        return np.zeros(len(made.classes))
    values = made.values()
    span = values.max() - values.min()
    return np.asarray((values - values.min()) / (span if span > 0 else 1.0), dtype=np.float64)


def _coincidences(rows: NDArray[np.int64]) -> scipy.sparse.csr_array:
    """What each item adds to the matrix of coincidences. Shapes: [U,K] → sparse [U,K*K]."""
    kinds = rows.shape[1]
    row, column = np.nonzero(rows)
    count = rows[row, column].astype(np.float64)
    weight = 1.0 / (rows.sum(axis=1) - 1)[row]
    where = [row]
    which = [column * kinds + column]
    what = [count * (count - 1) * weight]
    most = int(np.bincount(row).max())
    for lag in range(1, most):  # classes of an item stand together
        here = np.flatnonzero(row[lag:] == row[:-lag])
        one, two = column[here], column[here + lag]
        value = count[here] * count[here + lag] * weight[here]
        where += [row[here], row[here]]
        which += [one * kinds + two, two * kinds + one]
        what += [value, value]
    places = (np.concatenate(where), np.concatenate(which))
    return scipy.sparse.csr_array((np.concatenate(what), places), shape=(len(rows), kinds * kinds))


def _on_scale(sums: NDArray[np.float64], scale: Scale, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - observed / expected disagreement. Shapes: sums [B,K*K], values [K] → [B,1]."""
    kinds = len(values)
    table = sums.reshape(-1, kinds, kinds)
    share = table.sum(axis=2)
    total = share.sum(axis=1)
    if scale == "nominal":
        observed = total - np.trace(table, axis1=1, axis2=2)
        expected = (total**2 - (share**2).sum(axis=1)) / (total - 1)
        return (1 - ratio(observed, expected))[:, None]
    # The ordinal distance is that of mean ranks, so both scales are distances squared of points on a line.
    points = np.cumsum(share, axis=1) - share / 2 if scale == "ordinal" else np.tile(values, (len(table), 1))
    points = points - ((share * points).sum(axis=1) / total)[:, None]
    spread = (share * points**2).sum(axis=1)
    together = np.einsum("bk,bkl,bl->b", points, table, points, optimize=True)
    return (1 - ratio(spread - together, spread * total / (total - 1)))[:, None]


def _by_class(sums: NDArray[np.float64], kinds: int) -> NDArray[np.float64]:
    """Shapes: [B,K*K] → [B,K]."""
    table = sums.reshape(-1, kinds, kinds)
    share = table.sum(axis=2)
    total = share.sum(axis=1, keepdims=True)
    alone = share - np.diagonal(table, axis1=1, axis2=2)
    return 1 - ratio(alone, share * (total - share) / (total - 1))
