"""Noise: filters over the training rows of a series or a signal, in time order and never across a gap."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from scipy.signal import savgol_coeffs, savgol_filter

from staytrue.errors import InvalidInput
from staytrue.signature import MISSING_INTEGER
from training.data.clean.cleaning import is_missing
from training.data.clean.outliers import MAD_TO_DEVIATION
from training.data.clean.report import Touch, touch
from training.data.rows import learnable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.repairs import NoiseSection
    from training.data.rows import TrainingRows

    Numbers = NDArray[np.float64]

CHUNK = 50_000
"""Windows looked at together: a bound on memory."""
STEP = "noise"


class NoiseState(msgspec.Struct, frozen=True, kw_only=True):
    """How the columns are filtered, and where a series ends."""

    method: Literal["rolling_median", "rolling_mean", "savitzky_golay", "hampel"]
    columns: list[str]
    window: int
    centred: bool
    order: int
    threshold: float
    gap_seconds: float
    """A longer pause between two rows begins a new series: rows of other parts lay there, or nothing was measured."""


def fit(rows: TrainingRows, settings: NoiseSection) -> NoiseState | None:
    """Learn the usual step between rows; a pause of more than a window of them is a gap. None without a filter.

    Raises:
        InvalidInput: most rows share their time with the one before, so they are no series.
    """
    if settings.method == "none":
        return None
    steps = np.diff(learnable(rows).time)
    usual = float(np.median(steps)) if len(steps) else 1.0
    if usual <= 0:
        got = f"{int((steps <= 0).sum())} of {len(rows)} at the time of the row before"
        hint = "several series at once cannot be filtered as one: set cleaning.noise.method: none"
        raise InvalidInput("cleaning.noise", expected="a series: one row at a time", got=got, hint=hint)
    return NoiseState(
        method=settings.method,
        columns=list(settings.columns),
        window=settings.window,
        centred=settings.centred,
        order=settings.order,
        threshold=settings.threshold,
        gap_seconds=usual * settings.window,
    )


def apply(rows: TrainingRows, state: NoiseState) -> tuple[TrainingRows, list[Touch]]:
    """Rows with the columns filtered, and what was touched. Missing values stay missing, and are not looked at."""
    ends = np.flatnonzero(np.diff(learnable(rows).time) > state.gap_seconds) + 1
    columns, touches = dict(rows.columns), []
    for name in state.columns:
        raw, gone = rows.columns[name], is_missing(rows.columns[name])
        numbers = np.where(gone, np.nan, raw.astype(np.float64))
        smooth = np.concatenate([smoothed(part, state) for part in np.split(numbers, ends)])
        columns[name] = written(smooth, raw)
        changed = ~gone & (columns[name] != raw)
        if changed.any():
            touches.append(touch(STEP, name, state.method, "training rows", changed, rows.time, raw, columns[name]))
    return dataclasses.replace(rows, columns=columns), touches


def written(numbers: Numbers, like: NDArray[Any]) -> NDArray[Any]:
    """Numbers in the datatype of a column: whole ones are rounded, NaN is missing."""
    if like.dtype != np.int64:
        return numbers.astype(like.dtype)
    gone = np.isnan(numbers)
    return np.where(gone, MISSING_INTEGER, np.rint(np.where(gone, 0.0, numbers)).astype(np.int64))


def smoothed(series: Numbers, state: NoiseState) -> Numbers:
    """One series, filtered. Shapes: [N] → [N], NaN where it was.

    Medians and means take what a window holds, less at the ends. Savitzky-Golay needs whole windows: causal, the first
    ``window - 1`` values stay as they are; centred, the polynomials of the first and last window reach to the ends.
    Source: Savitzky and Golay, Analytical Chemistry 36 (1964); Hampel, JASA 69 (1974).
    """
    if state.method == "savitzky_golay":
        return _polynomial(series, state)
    out = series.copy()
    present = np.flatnonzero(~np.isnan(series))
    windows = _windows(series, state)
    for begin in range(0, len(present), CHUNK):
        places = present[begin : begin + CHUNK]
        seen = windows[places]
        if state.method == "rolling_mean":
            out[places] = np.nanmean(seen, axis=1)
            continue
        centre = np.nanmedian(seen, axis=1)
        if state.method == "hampel":
            deviation = MAD_TO_DEVIATION * np.nanmedian(np.abs(seen - centre[:, None]), axis=1)
            far = np.abs(series[places] - centre) > state.threshold * deviation
            centre = np.where(far, centre, series[places])
        out[places] = centre
    return out


def _windows(series: Numbers, state: NoiseState) -> Numbers:
    """The window of each value, NaN beyond the ends. Shapes: [N] → [N,window]."""
    after = state.window // 2 if state.centred else 0
    padded = np.pad(series, (state.window - 1 - after, after), constant_values=np.nan)
    view: Numbers = np.lib.stride_tricks.sliding_window_view(padded, state.window)
    return view


def _polynomial(series: Numbers, state: NoiseState) -> Numbers:
    if len(series) < state.window:
        return series
    if state.centred:
        whole = np.isnan(series)
        if whole.any():  # interpolated for the filter's sake alone
            series = _bridged(series)
        smooth: Numbers = savgol_filter(series, state.window, state.order)
        return np.where(whole, np.nan, smooth)
    weights = savgol_coeffs(state.window, state.order, pos=state.window - 1, use="dot")
    out = series.copy()
    whole = _windows(series, state)[state.window - 1 :] @ weights
    out[state.window - 1 :] = np.where(np.isnan(whole), out[state.window - 1 :], whole)
    return out


def _bridged(series: Numbers) -> Numbers:
    places, present = np.arange(len(series)), ~np.isnan(series)
    if not present.any():
        return np.zeros(len(series))
    return np.interp(places, places[present], series[present])
