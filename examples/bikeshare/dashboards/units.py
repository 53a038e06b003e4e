"""Grafana's units, as its panels write them."""

from __future__ import annotations

import datetime

_RATES = {"reqps": " req/s", "cps": " c/s", "rowsps": " rows/s"}
_TIMES = ((86400.0, "days"), (3600.0, "hours"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_SIZES = ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))


def text(value: float, unit: str, decimals: int | None = None) -> str:
    """A value with its unit.

    >>> [text(*each) for each in ((0.0042, "s"), (4096, "bytes"), (0.25, "percentunit"), (2.5, "suffix: x"))]
    ['4.2 ms', '4 KiB', '25%', '2.5 x']
    """
    if unit == "dateTimeAsIso":
        return datetime.datetime.fromtimestamp(value / 1000, tz=datetime.UTC).strftime("%Y-%m-%d %H:%M")
    if unit == "s":
        return _scaled(value, _TIMES)
    if unit == "bytes":
        return _scaled(value, _SIZES)
    if unit == "percentunit":
        return f"{_short(100 * value, decimals)}%"
    if unit.startswith("suffix:"):
        return f"{_short(value, decimals)} {unit.removeprefix('suffix:').strip()}"
    return _short(value, decimals) + _RATES.get(unit, "")


def _short(value: float, decimals: int | None = None) -> str:
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g} M"
    if decimals is not None:
        return f"{value:.{decimals}f}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def scale(top: float, unit: str) -> float:
    """What one of the unit's name counts at such a height: 60 where minutes are written."""
    scales = {"s": _TIMES, "bytes": _SIZES}.get(unit, ((1.0, ""),))
    return next((size for size, _ in scales if top >= size), scales[-1][0])


def _scaled(value: float, scales: tuple[tuple[float, str], ...]) -> str:
    if not value:
        return "0"
    size, name = next((each for each in scales if abs(value) >= each[0]), scales[-1])
    shown = _short(value / size)
    return f"{shown} {name.removesuffix('s') if shown == '1' and len(name) > 3 else name}"
