"""Charts: lines over one axis as places on a page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from training.data.chapters import Chart, Line

WIDTH, HEIGHT = 360.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 12.0, 10.0, 40.0
"""Pixels of a chart, and of its edges around what is drawn."""
MARKED = 40
"""Lines of more points have no marks."""
TICKS = 5
LARGEST = 1e300
"""The difference of larger numbers is none."""
COLOURS = 8


class Tick(NamedTuple):
    """A place on an axis, and the number there."""

    place: float
    label: str


class Mark(NamedTuple):
    """A point, what it is, and how far it may be off."""

    x: float
    y: float
    low: float | None
    high: float | None
    label: str


class Drawn(NamedTuple):
    """One line: its points as SVG has them, and its marks."""

    name: str
    colour: int
    dashed: bool
    points: str
    marks: list[Mark]


class Drawing(NamedTuple):
    """A chart in pixels."""

    across: list[Tick]
    up: list[Tick]
    lines: list[Drawn]


def drawing(chart: Chart) -> Drawing:
    """The chart in pixels, from the upper left corner."""
    points = [_points(line) for line in chart.lines]
    xs = [x for some in points for x, *_ in some]
    ys = [value for some in points for _, *three in some for value in three]
    across, up = ticks(xs), ticks(ys)
    right = _scale(across, LEFT, WIDTH - RIGHT)
    down = _scale(up, HEIGHT - BOTTOM, TOP)
    lines, colour = [], 0
    for line, some in zip(chart.lines, points, strict=True):
        lines.append(_drawn(line, some, colour % COLOURS, right, down))
        colour += not line.dashed
    return Drawing(_told(across, right), _told(up, down), lines)


def ticks(values: Sequence[float]) -> list[float]:
    """Round numbers that reach from below the least to above the most, about :data:`TICKS` of them.

    >>> ticks([0.13, 0.94]), ticks([3, 3]), ticks([])
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [2.0, 3.0, 4.0], [0.0, 1.0])
    """
    if not values:
        return [0.0, 1.0]
    low, high = min(values), max(values)
    rough = (high - low) / TICKS or abs(high) / 3 or 1.0
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * some for some in (1, 2, 2.5, 5, 10) if size * some >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if first == last:
        first, last = first - 1, last + 1
    return [float(f"{place * step:.12g}") for place in range(first, last + 1)]


def _told(axis: Sequence[float], place: Callable[[float], float]) -> list[Tick]:
    return [Tick(round(place(value), 1), f"{value:.4g}") for value in axis]


def _points(line: Line) -> list[tuple[float, float, float, float]]:
    """Those that an axis can hold: across, up, low, high."""
    low, high = line.low or line.up, line.high or line.up
    found = np.array([line.across, line.up, low, high], dtype=np.float64).T.reshape(-1, 4)
    return [(x, y, least, most) for x, y, least, most in found[(np.abs(found) < LARGEST).all(axis=1)].tolist()]


def _scale(axis: Sequence[float], begin: float, end: float) -> Callable[[float], float]:
    low, high = axis[0], axis[-1]
    return lambda value: begin + (end - begin) * (value - low) / (high - low)


def _drawn(
    line: Line,
    points: Sequence[tuple[float, float, float, float]],
    colour: int,
    right: Callable[[float], float],
    down: Callable[[float], float],
) -> Drawn:
    shown = " ".join(f"{right(x):.1f},{down(y):.1f}" for x, y, *_ in points)
    marks = []
    if not line.dashed and len(points) <= MARKED:
        for x, y, low, high in points:
            least, most = (round(down(low), 1), round(down(high), 1)) if line.low else (None, None)
            told = f" [{low:.4g}, {high:.4g}]" if line.low else ""
            label = f"{line.name}: {x:.4g}, {y:.4g}{told}"
            marks.append(Mark(round(right(x), 1), round(down(y), 1), least, most, label))
    return Drawn(line.name, colour, line.dashed, shown, marks)
