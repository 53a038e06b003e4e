"""Filters: rolling medians and means, Savitzky-Golay and Hampel over series that lie one behind the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from training.data.clean.outliers import MAD_TO_DEVIATION

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

CHUNK = 50_000
"""Windows looked at together: a bound on memory."""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What is done to a series. Units: window in values; threshold in robust deviations."""

    method: Literal["rolling_median", "rolling_mean", "savitzky_golay", "hampel"]
    window: int
    centred: bool
    order: int
    threshold: float


def filtered(numbers: Numbers, begins: NDArray[np.bool_], how: Filter) -> Numbers:
    """Each series by itself. Shapes: [N], [N] true where a series begins → [N], NaN where it was.

    Medians and means take what a window holds, less at the ends. Savitzky-Golay needs whole windows: causal, the first
    ``window - 1`` values stay as they are; centred, the polynomials of the first and last window reach to the ends.
    Source: Savitzky and Golay, Analytical Chemistry 36 (1964); Hampel, JASA 69 (1974).
    """
    if how.method == "savitzky_golay" and how.centred:
        parts = np.split(numbers, np.flatnonzero(begins[1:]) + 1)
        return np.concatenate([_polynomial(part, how) for part in parts])
    # A window of nothing between two series keeps them apart, so that many short ones take no longer than one.
    places = np.arange(len(numbers)) + how.window * np.cumsum(begins)
    apart = np.full(len(numbers) + how.window * (int(begins.sum()) + 1), np.nan)
    apart[places] = numbers
    smooth: Numbers = _by_window(apart, how)[places]
    return smooth


def polynomial_weights(window: int, order: int, place: int) -> Numbers:
    """Of a Savitzky-Golay filter, by which its value at a place of the window is a weighted sum. Shapes: [window]."""
    from scipy.signal import savgol_coeffs  # noqa: PLC0415 - it takes long to import, and few filter so

    weights: Numbers = savgol_coeffs(window, order, pos=place, use="dot")
    return weights


def _by_window(series: Numbers, how: Filter) -> Numbers:
    windows = _windows(series, how)
    out = series.copy()
    present = np.flatnonzero(~np.isnan(series))
    polynomial = how.method == "savitzky_golay"
    weights = polynomial_weights(how.window, how.order, how.window - 1) if polynomial else np.zeros(0)
    for begin in range(0, len(present), CHUNK):
        places = present[begin : begin + CHUNK]
        seen = windows[places]
        if polynomial:
            told = seen @ weights
            out[places] = np.where(np.isnan(told), series[places], told)
            continue
        if how.method == "rolling_mean":
            out[places] = np.nanmean(seen, axis=1)
            continue
        centre = np.nanmedian(seen, axis=1)
        if how.method == "hampel":
            deviation = MAD_TO_DEVIATION * np.nanmedian(np.abs(seen - centre[:, None]), axis=1)
            far = np.abs(series[places] - centre) > how.threshold * deviation
            centre = np.where(far, centre, series[places])
        out[places] = centre
    return out


def _windows(series: Numbers, how: Filter) -> Numbers:
    """The window of each value, NaN beyond the ends. Shapes: [N] → [N,window]."""
    after = how.window // 2 if how.centred else 0
    padded = np.pad(series, (how.window - 1 - after, after), constant_values=np.nan)
    view: Numbers = np.lib.stride_tricks.sliding_window_view(padded, how.window)
    return view


def _polynomial(series: Numbers, how: Filter) -> Numbers:
    """Centred Savitzky-Golay of one series, gaps interpolated for the filter's sake alone."""
    from scipy.signal import savgol_filter  # noqa: PLC0415 - as above

    if len(series) < how.window:
        return series
    gone = np.isnan(series)
    places, present = np.arange(len(series)), ~gone
    bridged = np.interp(places, places[present], series[present]) if present.any() else np.zeros(len(series))
    smooth: Numbers = savgol_filter(bridged, how.window, how.order)
    return np.where(gone, np.nan, smooth)
