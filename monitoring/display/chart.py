"""Charts of the page as numbers for its SVG: where lines, bars, ticks and marks go. No text of callers passes here."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from staytrue.aliases import PROMOTE, ROLL_BACK
from staytrue.records import moment, utc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staytrue.alerts import Alert
    from staytrue.store import Change
    from staytrue.windows import Window

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 190, 40, 10, 16, 24
FEATURES = 6
"""Features drawn in colours; the others are drawn in grey, as there are no more colours that eyes tell apart."""
HIGHEST = 4.0
"""Evidence beyond four times the threshold is drawn there: the rest of the chart must stay readable."""


@dataclass(frozen=True)
class Line:
    """A curve: ``points`` are those of an SVG polyline, a new list after each gap."""

    name: str
    colour: int
    """Place of its colour, from 1; 0 is grey."""
    points: list[str]
    last: float | None = None


@dataclass(frozen=True)
class Mark:
    """Something that happened: a promotion, an alert that fired."""

    x: float
    kind: str
    text: str


@dataclass(frozen=True)
class Chart:
    """All that the template needs. Units: pixels of the drawing's own grid."""

    lines: list[Line]
    top: float
    """The value at the upper edge."""
    threshold: float
    ticks: list[tuple[float, str]]
    levels: list[tuple[float, str]]
    marks: list[Mark] = field(default_factory=list)
    bars: list[tuple[float, float, float, float]] = field(default_factory=list)
    """x, y, width and height of each."""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


@dataclass(frozen=True)
class Scale:
    """From event time and value to the drawing's grid."""

    start: float
    end: float
    top: float

    def x(self, time: float) -> float:
        """Pixels from the left."""
        share = (time - self.start) / (self.end - self.start) if self.end > self.start else 0.5
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        """Pixels from above."""
        share = min(max(value / self.top, 0.0), 1.0)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Up to six days along the bottom."""
        count = 5 if self.end > self.start else 0
        times = [self.start + step / max(count, 1) * (self.end - self.start) for step in range(count + 1)]
        return [(self.x(time), utc(time)[:10]) for time in times]

    def levels(self, suffix: str = "") -> list[tuple[float, str]]:
        """Values along the left: nothing, half and all of the height."""
        return [(self.y(value), f"{value:.3g}{suffix}") for value in (0.0, self.top / 2, self.top)]


def evidence(windows: Sequence[Window], changes: Sequence[Change], alerts: Sequence[Alert]) -> Chart:
    """Evidence of drift by feature over event time; those that came nearest to an alarm in colours."""
    curves: dict[str, list[tuple[float, float | None]]] = {}
    for window in windows:
        for item in window.drift:
            value = item.evidence if item.sufficiency == "sufficient" else None
            curves.setdefault(item.feature, []).append((window.end, value))
    peaks = {name: max((v for _, v in curve if v is not None), default=0.0) for name, curve in curves.items()}
    ordered = sorted(curves, key=lambda name: (-peaks[name], name))
    highest = max(peaks.values(), default=0.0)
    scale = _scale(windows, min(HIGHEST, max(1.25, 1.1 * highest)))
    lines = [
        Line(name, place if place <= FEATURES else 0, _polylines(curves[name], scale), curves[name][-1][1])
        for place, name in enumerate(ordered, 1)
    ]
    marks = _marks(windows, scale, changes, [a for a in alerts if a.labels.get("alertname") == "StaytrueDrift"])
    return Chart(lines, scale.top, scale.y(1.0), scale.ticks(), scale.levels(), marks)


def quality(windows: Sequence[Window], changes: Sequence[Change], alerts: Sequence[Alert]) -> Chart | None:
    """Error over event time, beside what is usual, with the share of labelled rows as bars; None before any label."""
    there = [(window.end, window.quality) for window in windows if window.quality is not None]
    if not there:
        return None
    values = [number for _, found in there for number in (found.value, found.baseline) if math.isfinite(number)]
    scale = _scale(windows, 1.15 * max(values, default=0.0) or 1.0)
    by_end = dict(there)
    error = [(w.end, by_end[w.end].value if w.end in by_end else None) for w in windows]
    usual = [(w.end, by_end[w.end].baseline if w.end in by_end else None) for w in windows]
    lines = [
        Line("error", 1, _polylines(error, scale), there[-1][1].value),
        Line("usual", 2, _polylines(usual, scale), there[-1][1].baseline),
    ]
    width = max(1.0, (WIDTH - LEFT - RIGHT) / max(len(windows), 1) - 1)
    bars = [_bar(scale.x(end), found.coverage, width) for end, found in there]
    marks = _marks(windows, scale, changes, [a for a in alerts if a.labels.get("alertname") == "StaytrueQuality"])
    return Chart(lines, scale.top, -1.0, scale.ticks(), scale.levels(), marks, bars)


def _scale(windows: Sequence[Window], top: float) -> Scale:
    ends = [window.end for window in windows]
    return Scale(min(ends, default=0.0), max(ends, default=0.0), top)


def _bar(x: float, share: float, width: float) -> tuple[float, float, float, float]:
    """Coverage as a bar of at most a fifth of the height, on the bottom."""
    tall = round(min(max(share, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM) / 5, 1)
    return (round(x - width / 2, 1), HEIGHT - BOTTOM - tall, round(width, 1), tall)


def _polylines(curve: Sequence[tuple[float, float | None]], scale: Scale) -> list[str]:
    """Points of each stretch without a gap; a point alone is drawn as a short dash."""
    stretches: list[list[str]] = [[]]
    for time, value in curve:
        if value is None or not math.isfinite(value):
            stretches.append([])
        else:
            stretches[-1].append(f"{scale.x(time)},{scale.y(value)}")
    return [" ".join(part if len(part) > 1 else [part[0], _beside(part[0])]) for part in stretches if part]


def _beside(point: str) -> str:
    x, y = point.split(",")
    return f"{float(x) + 2},{y}"


def _marks(windows: Sequence[Window], scale: Scale, changes: Sequence[Change], alerts: Sequence[Alert]) -> list[Mark]:
    """Where another version began to answer, and where alerts began; of what the chart spans."""
    marks = [
        Mark(scale.x(after.end), "version", f"version {after.version} answers: {_reason(changes, after.version)}")
        for before, after in itertools.pairwise(windows)
        if before.version != after.version
    ]
    for alert in alerts:
        time = moment(alert.starts_at, "startsAt")
        if scale.start <= time <= scale.end:
            marks.append(Mark(scale.x(time), "alert", f"alert since {alert.starts_at[:16]}"))
    return marks


def _reason(changes: Sequence[Change], version: str) -> str:
    told = [
        change.reason[:200]
        for change in changes
        if change.champion == version and change.action in (PROMOTE, ROLL_BACK)
    ]
    return told[-1] if told else "not in the journal"
