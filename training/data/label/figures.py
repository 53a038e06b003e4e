"""Figures of agreement: a value with its percentile bootstrap interval over items, or why it has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

CONFIDENCE = 0.95
_CELLS = 20_000_000
"""Numbers held at once while items are drawn: 160 MB."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A value and its interval. ``items`` is how many items it stands on; ``note`` says why there is no value."""

    value: float | None
    low: float | None = None
    high: float | None = None
    items: int = 0
    note: str = ""


class Resampling(msgspec.Struct, frozen=True, kw_only=True):
    """How often items are drawn anew with replacement, and the seed of it; 0 times leaves out the intervals."""

    times: int = 1000
    seed: int = 0


def bootstrap(
    features: Any,
    often: NDArray[np.int64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    resampling: Resampling,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Statistics that depend on sums over items alone: of the items as they are, and of items drawn anew.

    Items alike are one row with its frequency, and the draw is multinomial: the same law as to draw each item.

    Shapes: features [U,F] (an array or a SciPy matrix), often [U]; statistic maps [B,F] to [B,S]; gives [S] and
    [times,S].
    Source: Efron and Tibshirani, 1993, "An Introduction to the Bootstrap", chapter 13 (percentile intervals).
    """
    point = statistic(np.asarray(often[None, :].astype(np.float64) @ features))[0]
    if not resampling.times:
        return point, np.zeros((0, len(point)))
    batch = max(1, min(resampling.times, _CELLS // max(1, sum(features.shape))))
    drawn = [statistic(np.asarray(draws @ features)) for draws in _draws(often, resampling, batch)]
    return point, np.concatenate(drawn)


def figure(value: float, drawn: NDArray[np.float64], *, items: int, note: str) -> Figure:
    """A figure of a statistic and its draws; without a value it says ``note``. Shapes: drawn [times]."""
    if not np.isfinite(value):
        return Figure(value=None, items=items, note=note)
    defined = drawn[np.isfinite(drawn)]
    if not len(defined):
        return Figure(value=float(value), items=items)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    lost = len(drawn) - len(defined)
    said = f"{lost} of {len(drawn)} draws had no value" if lost else ""
    return Figure(value=float(value), low=float(low), high=float(high), items=items, note=said)


def ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quotients, NaN where nothing stands below (up to what sums of floats leave over)."""
    there = below > 1e-12
    return np.where(there, above / np.where(there, below, 1.0), np.nan)


def alike(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct rows and how often each is there. Shapes: [N,P] → [U,P], [U]."""
    return np.unique(rows, axis=0, return_counts=True)


def _draws(often: NDArray[np.int64], resampling: Resampling, batch: int) -> Iterator[NDArray[np.float64]]:
    """How often each row is drawn. Shapes: [<=batch,U] each, ``times`` rows in all."""
    random = np.random.default_rng(resampling.seed)
    total = int(often.sum())
    for begin in range(0, resampling.times, batch):
        size = min(batch, resampling.times - begin)
        if len(often) == total:  # no two alike: counting single draws is quicker
            counts = [np.bincount(random.integers(0, total, total), minlength=total) for _ in range(size)]
            yield np.stack(counts).astype(np.float64)
        else:
            yield random.multinomial(total, often / total, size=size).astype(np.float64)
