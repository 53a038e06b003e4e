"""Alikeness: whether validation and test rows are distributed as the training rows are, column by column."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from staytrue.pictures import summarise
from training.data import mapped
from training.data.clean.cleaning import is_missing
from training.data.distinct import distinct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from staytrue.feature import Feature
    from training.data.rows import Rows
    from training.data.split.plan import Split

Test = Literal["Kolmogorov-Smirnov", "chi-square"]
RATE = 0.05
"""False discovery rate: of the columns said to differ, the share that on average do not."""
LEAST_EXPECTED = 5.0
"""Categories that fewer rows are expected of are counted together."""
FEW = 10
"""Numbers of so many different values at most are compared as categories."""
_GLANCE = 1000
"""Rows that show of most columns that they have more."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One column of the training rows against the same of another part."""

    column: str
    part: Literal["validation", "test"]
    test: Test
    statistic: float
    p_value: float
    adjusted: float
    """The p-value after :func:`adjusted` over all columns and both parts."""
    differs: bool


def compare(rows: Rows, plan: Split, features: Mapping[str, Feature]) -> list[Comparison]:
    """Compare each column, the target and each column's gaps. A column with too few rows to tell is left out.

    Numbers go by Kolmogorov-Smirnov, whose law is that of numbers without ties: those of at most :data:`FEW` values, of
    which it tells little, go by chi-square, as categories and gaps do. Pictures go by their brightness, contrast and
    so on.
    Of the test rows nothing but the statistic leaves this function.
    """
    train = plan.training(rows)
    tests: list[Comparison] = []
    parts: tuple[Literal["validation", "test"], ...] = ("validation", "test")
    for part in parts:
        held = rows.take(plan.index(part))
        pairs = zip(_columns(train, features), _columns(held, features), strict=True)
        tests += [test for (name, one), (_, other) in pairs if (test := _compared(name, part, one, other)) is not None]
    ruled = adjusted([test.p_value for test in tests])
    return [
        msgspec.structs.replace(test, adjusted=float(p), differs=bool(p <= RATE))
        for test, p in zip(tests, ruled, strict=True)
    ]


def adjusted(p_values: Sequence[float]) -> NDArray[np.float64]:
    """P-values such that those up to a rate have at most that share of false ones among them.

    Source: Benjamini and Hochberg, Controlling the false discovery rate, 1995.

    >>> adjusted([0.01, 0.04, 0.03, 0.5]).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    order = np.argsort(p_values)[::-1]
    count = len(order)
    steps = np.asarray(p_values, dtype=np.float64)[order] * count / np.arange(count, 0, -1)
    result = np.empty(count)
    result[order] = np.minimum(np.minimum.accumulate(steps), 1.0)
    return result


def chi_square(one: NDArray[Any], other: NDArray[Any]) -> tuple[float, float] | None:
    """Statistic and p-value of the same shares of categories; None where one category is all that is left.

    Categories of which fewer than :data:`LEAST_EXPECTED` rows are expected in either part are counted together, and
    with the rarest other where they still are too few.
    """
    from scipy import stats  # noqa: PLC0415 - it takes seconds to import

    values, codes = distinct(np.concatenate([one, other]))
    ends = np.split(codes, [len(one)])
    table = np.stack([np.bincount(part, minlength=len(values)) for part in ends])
    table = table[:, np.argsort(table.sum(axis=0), kind="stable")]
    share = min(len(one), len(other)) / (len(one) + len(other))
    pooled = np.cumsum(table.sum(axis=0)) * share  # as the rarest are, so far, together
    rare = int((table.sum(axis=0) * share < LEAST_EXPECTED).sum())
    rare = rare + 1 if rare > 0 and pooled[rare - 1] < LEAST_EXPECTED else rare
    table = np.concatenate([table[:, :rare].sum(axis=1, keepdims=True), table[:, rare:]], axis=1) if rare else table
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return None
    result = stats.chi2_contingency(table, correction=False)
    return float(result.statistic), float(result.pvalue)


def _compared(
    name: str, part: Literal["validation", "test"], one: NDArray[Any], other: NDArray[Any]
) -> Comparison | None:
    if one.dtype.kind == "f" and not _few(one, other):
        if min(len(one), len(other)) < 1 or len(one) * len(other) < len(one) + len(other):
            # Nothing, or one row against any, tells nothing.
            return None
        from scipy import stats  # noqa: PLC0415 - as above

        result = stats.ks_2samp(one, other, method="asymp")
        test: Test = "Kolmogorov-Smirnov"
        statistic, p_value = float(result.statistic), float(result.pvalue)
    else:
        found = chi_square(one, other)
        if found is None:
            return None
        test, (statistic, p_value) = "chi-square", found
    return Comparison(
        column=name, part=part, test=test, statistic=statistic, p_value=p_value, adjusted=1.0, differs=False
    )


def _few(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether both together have at most :data:`FEW` values, each of them often enough in either for chi-square."""
    if len(np.unique(one[:_GLANCE])) > FEW:
        return False
    values = len(np.unique(np.concatenate([np.unique(one), np.unique(other)])))
    return 1 < values <= FEW and min(len(one), len(other)) >= LEAST_EXPECTED * values


def _means(column: NDArray[Any]) -> NDArray[np.float64]:
    """Of each row; of a sequence over the numbers that it has, of which there is one. Shapes: [N,…] → [N].

    Without a copy of the column in FP64.
    """
    whole = column.reshape(len(column), math.prod(column.shape[1:]))
    there = np.ones((), dtype=np.bool_) if whole.dtype.kind in "iu" else ~np.isnan(whole)
    sums = np.sum(whole, axis=1, dtype=np.float64, where=there)
    found: NDArray[np.float64] = sums / np.broadcast_to(there, whole.shape).sum(axis=1)
    return found


def _columns(rows: Rows, features: Mapping[str, Feature]) -> Iterator[tuple[str, NDArray[Any]]]:
    """What is compared: numbers as floats without gaps, categories as they are, gaps as booleans."""
    for name, column in rows.columns.items():
        gone = is_missing(column)
        if column.ndim == 4:
            yield from ((f"{name}.{what}", values[np.isfinite(values)]) for what, values in summarise(column).items())
        elif features[name].tokenizer:
            yield name, np.array([len(text) for text in column[~gone]], dtype=np.float64)
            yield f"{name} (missing)", gone
        elif features[name].kind == "category" or column.dtype == object:
            yield name, column
        else:
            yield name, mapped.by_parts(_means, mapped.taken(column, ~gone, rows.share))
            yield f"{name} (missing)", gone
    for place, column in enumerate(np.atleast_2d(rows.target.T)):
        yield "target" if rows.target.ndim == 1 else f"target {place + 1}", column
