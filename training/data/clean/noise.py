"""Noise: the training rows of a series are filtered in time order and never across a gap; sequences in the graph."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from staytrue.errors import InvalidInput
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT
from training.data import mapped
from training.data.clean.cleaning import is_missing
from training.data.clean.filters import Filter, filtered
from training.data.clean.report import Touch, touch
from training.data.encode.smoothing import smoothed
from training.data.rows import learnable
from training.progress import unwatched

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.repairs import NoiseSection
    from training.data.rows import Rows, TrainingRows
    from training.progress import Watch

    Numbers = NDArray[np.float64]

STEP = "noise"


class NoiseState(Filter, frozen=True, kw_only=True):
    """How the columns are filtered, and where a series ends."""

    columns: list[str]
    gap_seconds: float
    """A longer pause between two rows begins a new series: rows of other parts lay there, or nothing was measured."""
    by: str | None = None
    """The column that names whose series a row is."""
    gaps: dict[str, float] = msgspec.field(default_factory=dict)
    """Of each series that it names, instead of ``gap_seconds``."""
    sequences: list[str] = msgspec.field(default_factory=list)
    """Columns whose rows are series by themselves: the exported graph filters them, for these rows as for callers'."""


class _Series(NamedTuple):
    """Rows series by series, each in the order of time; rows of no series are left out."""

    names: list[str]
    order: NDArray[np.int64]
    """Places among the rows. Shapes: [M]."""
    whose: NDArray[np.int64]
    """Place among the names. Shapes: [M]."""
    steps: NDArray[np.float64]
    """Seconds since the row before; infinite where a series begins. Shapes: [M]."""

    @classmethod
    def of(cls, rows: Rows, by: str | None) -> _Series:
        """All rows as one series, or those of each name as one."""
        if by is None:
            names, whose, order = [""], np.zeros(len(rows), dtype=np.int64), np.arange(len(rows))
        else:
            told = _names(rows, by)
            values, codes = np.unique(told, return_inverse=True)
            names = [str(value) for value in values]
            order = np.argsort(codes, kind="stable")
            order = order[~is_missing(told)[order]]
            whose = codes[order]
        steps = np.diff(rows.time[order], prepend=0.0)
        steps[np.diff(whose, prepend=-1) != 0] = np.inf
        return cls(names, order, whose, steps)


def _names(rows: Rows, by: str) -> NDArray[Any]:
    """Whose series each row is; served rows may not know."""
    nobody = np.full(len(rows), MISSING_TEXT, dtype=object)
    return rows.columns[by] if by in rows.columns else rows.marks.get(by, nobody)


def fit(rows: TrainingRows, settings: NoiseSection) -> NoiseState | None:
    """Learn the usual step between rows; a pause of more than a window of them is a gap. None without a filter.

    Raises:
        InvalidInput: most rows share their time with the one before, so they are no series.
    """
    if settings.method == "none":
        return None
    columns = learnable(rows).columns
    sequences = [name for name in settings.columns if columns[name].ndim == 3]
    tables = [name for name in settings.columns if name not in sequences]
    usual = _usual(_Series.of(rows, settings.by), settings) if tables else {}
    return NoiseState(
        method=settings.method,
        columns=tables,
        window=settings.window,
        centred=settings.centred,
        order=settings.order,
        threshold=settings.threshold,
        gap_seconds=usual.get("", 1.0) * settings.window,
        by=settings.by,
        gaps={name: step * settings.window for name, step in usual.items()} if settings.by else {},
        sequences=sequences,
    )


def _usual(series: _Series, settings: NoiseSection) -> dict[str, float]:
    """Median step of each series that has more than one row. Units: seconds."""
    inner = np.isfinite(series.steps)
    whose, steps = series.whose[inner], series.steps[inner]
    steps = steps[np.lexsort((steps, whose))]
    counts = np.bincount(whose, minlength=len(series.names))
    several = np.flatnonzero(counts)
    firsts, sizes = (np.cumsum(counts) - counts)[several], counts[several]
    medians = (steps[firsts + (sizes - 1) // 2] + steps[firsts + sizes // 2]) / 2
    for place in np.flatnonzero(medians <= 0):
        known = series.steps[series.whose == several[place]]
        who = f' of {settings.by} "{series.names[several[place]]}"' if settings.by else ""
        got = f"{int((known <= 0).sum())} of {len(known)}{who} at the time of the row before"
        hint = "name the column that tells series apart as cleaning.noise.by, or set cleaning.noise.method: none"
        raise InvalidInput("cleaning.noise", expected="a series: one row at a time", got=got, hint=hint)
    return {series.names[whose]: float(median) for whose, median in zip(several, medians, strict=True)}


def apply(rows: TrainingRows, state: NoiseState, watch: Watch = unwatched) -> tuple[TrainingRows, list[Touch]]:
    """Rows with the columns filtered, and what was touched. Missing values stay missing, and are not looked at.

    Sequences stay as they are: the encoder filters them.
    """
    columns, touches = dict(learnable(rows).columns), list[Touch]()
    series = _Series.of(rows, state.by) if state.columns else None
    if series is not None:
        gaps = np.array([state.gaps.get(name, state.gap_seconds) for name in series.names])
        begins = series.steps > gaps[series.whose]
        nobody = np.ones(len(rows), dtype=np.bool_)
        nobody[series.order] = False
        if nobody.any():
            touches.append(touch(STEP, state.by or "", "row of no series, not filtered", "report", nobody, rows.time))
        for name in state.columns:
            with watch(f"{state.method} of {name}"):
                raw, gone = rows.columns[name], is_missing(rows.columns[name])
                numbers = np.where(gone, np.nan, raw.astype(np.float64))
                numbers[series.order] = filtered(numbers[series.order], begins, state)
            columns[name] = written(numbers, raw)
            changed = ~gone & ~nobody & (columns[name] != raw)
            if changed.any():
                touches.append(touch(STEP, name, state.method, "training rows", changed, rows.time, raw, columns[name]))
    for name in state.sequences:
        raw = rows.columns[name]
        with watch(f"{state.method} of {name}"):
            after = mapped.changed(lambda some: smoothed(some, state), raw, rows.share)
        parts = [((raw[p] != after[p]) & ~np.isnan(raw[p])).any(axis=(1, 2)) for p in mapped.parts(raw)]
        changed = np.concatenate(parts)
        scope = "training rows and the exported graph"
        if changed.any():
            touches.append(touch(STEP, name, state.method, scope, changed, rows.time, raw, after))  # type: ignore[arg-type]
    return dataclasses.replace(rows, columns=columns), touches


def written(numbers: Numbers, like: NDArray[Any]) -> NDArray[Any]:
    """Numbers in the datatype of a column: whole ones are rounded, NaN is missing."""
    if like.dtype != np.int64:
        return numbers.astype(like.dtype)
    gone = np.isnan(numbers)
    return np.where(gone, MISSING_INTEGER, np.rint(np.where(gone, 0.0, numbers)).astype(np.int64))
