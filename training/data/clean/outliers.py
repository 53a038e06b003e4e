"""Outliers: numbers beyond bounds learnt from the training rows, or rows that an isolation forest sets apart."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from staytrue.signature import MISSING_INTEGER
from training.data.clean.cleaning import is_missing
from training.data.clean.report import Touch, touch
from training.data.rows import learnable
from training.progress import unwatched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from staytrue.repairs import OutlierSection
    from training.data.rows import Rows, TrainingRows
    from training.progress import Watch

MAD_TO_DEVIATION = 1.482602218505602
"""One over the upper quartile of a normal distribution: a median absolute deviation times it estimates a deviation."""
MEAN_TO_DEVIATION = math.sqrt(math.pi / 2)
"""The same for a mean absolute deviation."""
_DEFAULT = {"zscore": 3.0, "robust_z": 3.5, "iqr": 1.5}
STEP = "outliers"


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Between which values of a column are none. Units: the column's."""

    name: str
    low: float
    high: float


class OutlierState(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of each column, and what is done with values beyond them."""

    method: Literal["zscore", "robust_z", "iqr", "isolation_forest"]
    action: Literal["drop", "clip", "mark", "missing"]
    bounds: list[Bounds]
    """Of an isolation forest: the span of the rows that it does not flag."""
    score: float | None = None
    """Of an isolation forest: rows that score lower are flagged (scikit-learn's ``score_samples``)."""
    flagged: list[int] = []
    """Of an isolation forest: places of those rows among the training rows that it saw."""

    @property
    def clips(self) -> dict[str, Bounds]:
        """Columns that the exported graph clips too."""
        return {one.name: one for one in self.bounds} if self.action == "clip" else {}


def fit(
    rows: TrainingRows, columns: Sequence[str], settings: OutlierSection, watch: Watch = unwatched
) -> OutlierState | None:
    """Learn the bounds; None where outliers are let be. A column without any value gets none.

    Source: Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993), for robust_z, which takes the mean absolute
    deviation where the median one is 0; Tukey, Exploratory Data Analysis (1977), for iqr; Liu, Ting and Zhou, Isolation
    Forest (2008).
    """
    if settings.method == "none":
        return None
    values = {name: learnable(rows).columns[name] for name in columns}
    present = {name: column[~is_missing(column)] for name, column in values.items()}
    known = [name for name in columns if len(present[name])]
    if settings.method == "isolation_forest":
        with watch("isolation forest"):
            return _isolate(rows, known, settings)
    method, threshold = settings.method, settings.threshold
    bounds = [_rounded(name, values[name], *reach(present[name], method, threshold)) for name in known]
    return OutlierState(method=settings.method, action=settings.action, bounds=bounds)


def reach(column: NDArray[Any], method: str, threshold: float | None) -> tuple[float, float]:
    """Lowest and highest number that is none, before rounding; without a threshold by the usual one."""
    numbers = column.astype(np.float64)
    threshold = threshold or _DEFAULT[method]
    if method == "iqr":
        low, high = np.quantile(numbers, [0.25, 0.75])
        return float(low - threshold * (high - low)), float(high + threshold * (high - low))
    if method == "zscore":
        centre, deviation = float(numbers.mean()), float(numbers.std())
    else:
        centre = float(np.median(numbers))
        distance = np.abs(numbers - centre)
        deviation = MAD_TO_DEVIATION * float(np.median(distance)) or MEAN_TO_DEVIATION * float(distance.mean())
    return centre - threshold * deviation, centre + threshold * deviation


def _rounded(name: str, column: NDArray[Any], low: float, high: float) -> Bounds:
    """As numbers of the column's datatype, outwards: what the rows are clipped to, the graph can hold exactly."""
    if column.dtype == np.int64:
        return Bounds(name=name, low=math.floor(low), high=math.ceil(high))
    least, most = np.float32(low), np.float32(high)
    least = np.nextafter(least, np.float32(-np.inf)) if least > low else least
    most = np.nextafter(most, np.float32(np.inf)) if most < high else most
    return Bounds(name=name, low=float(least), high=float(most))


def _isolate(rows: TrainingRows, columns: Sequence[str], settings: OutlierSection) -> OutlierState:
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - it takes seconds to import, and few ask for it

    flagged, score = np.zeros(len(rows), dtype=np.bool_), 0.0
    if columns:
        table = np.column_stack([_filled(rows.columns[name]) for name in columns])
        share: Any = "auto" if settings.threshold is None else settings.threshold
        forest = IsolationForest(n_estimators=settings.trees, contamination=share, random_state=settings.seed)
        flagged, score = forest.fit_predict(table) < 0, float(forest.offset_)
    bounds = []
    for name in columns:
        column = rows.columns[name]
        inside = column[~flagged & ~is_missing(column)]
        if len(inside):
            bounds.append(Bounds(name=name, low=float(inside.min()), high=float(inside.max())))
    places = np.flatnonzero(flagged).tolist()
    return OutlierState(method="isolation_forest", action=settings.action, bounds=bounds, score=score, flagged=places)


def _filled(column: NDArray[Any]) -> NDArray[np.float64]:
    """The column with the median for what is missing: the forest takes no gaps, and a median isolates nothing."""
    gone = is_missing(column)
    numbers = column.astype(np.float64)
    return np.where(gone, np.median(numbers[~gone]), numbers)


def apply(
    rows: TrainingRows, state: OutlierState
) -> tuple[TrainingRows, NDArray[np.bool_], NDArray[np.bool_], list[Touch]]:
    """Rows after the action, which of those given stay, which are outliers, and what was touched, by column."""
    outside = {one.name: beyond(rows.columns[one.name], one) for one in state.bounds}
    found = np.zeros(len(rows), dtype=np.bool_)
    forest = state.method == "isolation_forest"
    if forest:
        found[state.flagged] = True
    elif outside:
        found = np.logical_or.reduce(list(outside.values()))
    everyone = np.ones(len(rows), dtype=np.bool_)
    if state.action in {"drop", "mark"}:
        touches = [_told(rows, state, name, where) for name, where in outside.items() if where.any() and not forest]
        if forest and found.any():
            touches = [touch(STEP, "", _DONE[state.action], _SCOPE[state.action], found, rows.time)]
        drops = state.action == "drop"
        return (rows.take(~found) if drops else rows), (~found if drops else everyone), found, touches
    columns, touches = dict(rows.columns), []
    for one in state.bounds:
        where = outside[one.name]
        if where.any():
            columns[one.name] = _changed(rows.columns[one.name], one, state.action, where)
            touches.append(_told(rows, state, one.name, where, columns[one.name]))
    return dataclasses.replace(rows, columns=columns), everyone, found, touches


def beyond(column: NDArray[Any], bounds: Bounds) -> NDArray[np.bool_]:
    """Which values lie beyond the bounds; missing ones do not."""
    out: NDArray[np.bool_] = (column < bounds.low) | (column > bounds.high)
    return out & ~is_missing(column)


_DONE = {"drop": "row dropped", "mark": "marked", "clip": "clipped", "missing": "set missing"}
_SCOPE: dict[str, Literal["training rows", "training rows and the exported graph", "report"]] = {
    "drop": "training rows",
    "mark": "report",
    "clip": "training rows and the exported graph",
    "missing": "training rows",
}


def _told(
    rows: Rows, state: OutlierState, name: str, where: NDArray[np.bool_], after: NDArray[Any] | None = None
) -> Touch:
    column = rows.columns[name]
    if state.action == "mark":
        after = column
    return touch(STEP, name, _DONE[state.action], _SCOPE[state.action], where, rows.time, column, after)


def _changed(column: NDArray[Any], bounds: Bounds, action: str, where: NDArray[np.bool_]) -> NDArray[Any]:
    changed = column.copy()
    if action == "missing":
        changed[where] = MISSING_INTEGER if column.dtype == np.int64 else np.nan
    else:
        changed[where] = np.clip(column[where], bounds.low, bounds.high).astype(column.dtype)
    return changed
