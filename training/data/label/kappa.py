"""Kappa: agreement beyond chance, Fleiss' of many annotators and Cohen's of each pair, with bootstrap intervals."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import scipy.sparse

from training.data.label.figures import Figure, alike, bootstrap, figure, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data.label.annotations import Annotations
    from training.data.label.figures import Resampling

MOST_PAIRS = 1000
"""Pairs of annotators that are looked at, those with most items in common: a crowd of 1,500 has a million."""
NO_PAIR = "no item has labels of two annotators"
ONE_CLASS = "all labels are of one class: chance alone would agree as much"


class Fleiss(msgspec.Struct, frozen=True, kw_only=True):
    """Agreement of all annotators as if they were interchangeable."""

    observed: Figure
    """Share of pairs of labels of one item that are the same, mean over items."""
    kappa: Figure
    by_class: dict[str, Figure]
    """Kappa of each class against all others together."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two annotators on the items that both labelled."""

    first: str
    second: str
    items: int
    observed: float
    kappa: Figure


class Cohen(msgspec.Struct, frozen=True, kw_only=True):
    """Cohen's kappa of each pair, their mean (Light's kappa), and the mean over the pairs of each annotator."""

    mean: Figure
    by_annotator: dict[str, Figure]
    pairs: list[Pair]
    left_out: int = 0
    """Pairs beyond :data:`MOST_PAIRS`, those with the fewest items in common."""


def fleiss(counts: NDArray[np.int64], classes: tuple[str, ...], resampling: Resampling) -> Fleiss:
    """Fleiss' kappa, overall and by class; items with fewer than two labels take no part.

    Where items have unequal numbers of labels each item counts alike, whatever its number; with equal numbers this is
    the published formula.

    Shapes: counts [N,K].
    Source: Fleiss, 1971, "Measuring nominal scale agreement among many raters", Psychological Bulletin 76; Gwet, 2014,
    "Handbook of Inter-Rater Reliability", for missing labels.
    """
    rows, often = alike(counts[counts.sum(axis=1) >= 2])
    items, kinds = int(often.sum()), len(classes)
    if not items:
        nothing = Figure(value=None, note=NO_PAIR)
        return Fleiss(observed=nothing, kappa=nothing, by_class=dict.fromkeys(classes, nothing))
    total = rows.sum(axis=1, keepdims=True).astype(np.float64)
    pairs = total * (total - 1)
    same = (rows * (rows - 1)).sum(axis=1, keepdims=True) / pairs
    features = np.concatenate([np.ones_like(total), same, rows / total, 2 * rows * (total - rows) / pairs], axis=1)
    point, drawn = bootstrap(features, often, functools.partial(_fleiss, kinds=kinds), resampling)
    unused = "no label of this class, or no other one"
    return Fleiss(
        observed=figure(point[0], drawn[:, 0], items=items, note=NO_PAIR),
        kappa=figure(point[1], drawn[:, 1], items=items, note=ONE_CLASS),
        by_class={
            name: figure(point[2 + place], drawn[:, 2 + place], items=items, note=unused)
            for place, name in enumerate(classes)
        },
    )


def _fleiss(sums: NDArray[np.float64], kinds: int) -> NDArray[np.float64]:
    """Observed agreement, kappa, kappa by class. Shapes: [B,2+2K] → [B,2+K]."""
    means = sums[:, 1:] / sums[:, :1]
    observed, shares, split = means[:, :1], means[:, 1 : 1 + kinds], means[:, 1 + kinds :]
    chance = (shares**2).sum(axis=1, keepdims=True)
    kappa = ratio(observed - chance, 1 - chance)
    by_class = 1 - ratio(split, 2 * shares * (1 - shares))
    return np.concatenate([observed, kappa, by_class], axis=1)


def cohen(made: Annotations, resampling: Resampling) -> Cohen:
    """Cohen's kappa of each pair of annotators with items in common.

    Source: Cohen, 1960, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20;
    Light, 1971, "Measures of response agreement for qualitative data", Psychological Bulletin 76 (the mean).
    """
    item, one, two, said_one, said_two = pairs_of(made)
    who, kinds = len(made.annotators), len(made.classes)
    keys, pair, shared = np.unique(one * who + two, return_inverse=True, return_counts=True)
    if not len(keys):
        note = "only one annotator" if who < 2 else NO_PAIR
        nothing = Figure(value=None, note=note)
        return Cohen(mean=nothing, by_annotator=dict.fromkeys(made.annotators, nothing), pairs=[])
    kept = np.sort(np.argsort(-shared, kind="stable")[:MOST_PAIRS])
    place = np.full(len(keys), -1)
    place[kept] = np.arange(len(kept))
    features = _tables(item, place[pair], said_one, said_two, len(kept), kinds)
    members = np.zeros((len(kept), who))
    members[np.arange(len(kept)), keys[kept] // who] = members[np.arange(len(kept)), keys[kept] % who] = 1
    statistic = functools.partial(_cohen, kinds=kinds, members=members)
    point, drawn = bootstrap(features, np.ones(features.shape[0], dtype=np.int64), statistic, resampling)
    agreed = np.bincount(pair, weights=said_one == said_two, minlength=len(keys)) / shared
    figures = [figure(value, drawn[:, at], items=0, note=ONE_CLASS) for at, value in enumerate(point)]
    compared = _compared(np.stack([item, one, two])[:, place[pair] >= 0], who)
    pairs = [
        Pair(
            first=made.annotators[keys[at] // who],
            second=made.annotators[keys[at] % who],
            items=int(shared[at]),
            observed=float(agreed[at]),
            kappa=msgspec.structs.replace(figures[number], items=int(shared[at])),
        )
        for number, at in enumerate(kept)
    ]
    return Cohen(
        mean=msgspec.structs.replace(figures[len(kept)], items=features.shape[0]),
        by_annotator={
            name: msgspec.structs.replace(mean, items=count)
            for name, mean, count in zip(made.annotators, figures[len(kept) + 1 :], compared, strict=True)
        },
        pairs=pairs,
        left_out=len(keys) - len(kept),
    )


def _compared(pairs: NDArray[np.int64], annotators: int) -> list[int]:
    """Items of each annotator that another one labelled too. Shapes: item and both annotators of each pair [3,P]."""
    item, one, two = pairs
    both = np.unique(np.concatenate([item * annotators + one, item * annotators + two]))
    return [int(count) for count in np.bincount(both % annotators, minlength=annotators)]


def _tables(
    item: NDArray[np.int64],
    pair: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    pairs: int,
    kinds: int,
) -> scipy.sparse.csr_array:
    """What each item adds to both margins of each pair's table of labels, and to its diagonal's sum.

    Shapes: item, pair (-1 where it is left out), both labels [P] → sparse [items,pairs*(2K+1)].
    """
    inside = pair >= 0
    rows, row = np.unique(item[inside], return_inverse=True)
    column, one, two = pair[inside] * (2 * kinds + 1), first[inside], second[inside]
    same = one == two
    columns = np.concatenate([column + one, column + kinds + two, column[same] + 2 * kinds])
    entries = (np.ones(len(columns)), (np.concatenate([row, row, row[same]]), columns))
    return scipy.sparse.csr_array(entries, shape=(len(rows), pairs * (2 * kinds + 1)))


def pairs_of(made: Annotations) -> tuple[NDArray[np.int64], ...]:
    """Each two labels of one item by different annotators: item, the two annotators, their labels. Shapes: five [P]."""
    most = int(np.bincount(made.item).max()) if len(made) else 0
    first = [np.zeros(0, dtype=np.int64)]
    second = [np.zeros(0, dtype=np.int64)]
    for lag in range(1, most):  # labels of an item stand together
        here = np.flatnonzero(made.item[lag:] == made.item[:-lag])
        first.append(here)
        second.append(here + lag)
    one, two = np.concatenate(first), np.concatenate(second)
    apart = made.annotator[one] != made.annotator[two]
    one, two = one[apart], two[apart]
    return made.item[one], made.annotator[one], made.annotator[two], made.label[one], made.label[two]


def _cohen(sums: NDArray[np.float64], kinds: int, members: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kappa of each pair, their mean, and the mean of each annotator's pairs. Shapes: [B,P*(2K+1)] → [B,P+1+R]."""
    tables = sums.reshape(len(sums), len(members), 2 * kinds + 1)
    one, two, same = tables[..., :kinds], tables[..., kinds : 2 * kinds], tables[..., -1]
    total = one.sum(axis=-1)
    chance = ratio((one * two).sum(axis=-1), total**2)
    kappa = ratio(ratio(same, total) - chance, np.nan_to_num(1 - chance))
    there = np.isfinite(kappa)
    filled = np.where(there, kappa, 0.0)
    means = ratio(filled @ members, there @ members)
    mean = ratio(filled.sum(axis=1), there.sum(axis=1).astype(np.float64))
    return np.concatenate([kappa, mean[:, None], means], axis=1)
