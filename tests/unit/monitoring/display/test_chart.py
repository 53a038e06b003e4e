"""Charts of the page: where things are drawn, what is a gap, and what stays readable."""

from __future__ import annotations

from typing import Any

import pytest

from monitoring.display import chart
from staytrue import alerts
from staytrue.store import Change
from staytrue.windows import Evidence, Quality, Window

DAY = 86400.0


def window(day: int, version: str = "1", error: float | None = None, **evidence: float | None) -> Window:
    """A look at the end of a day; evidence of None is not enough to say."""
    found = [
        Evidence(
            detector="d",
            feature=name,
            evidence=value or 0.0,
            sufficiency="insufficient" if value is None else "sufficient",
        )
        for name, value in evidence.items()
    ]
    quality: Any = None
    if error is not None:
        quality = Quality(metric="m", value=error, baseline=10.0, evidence=0.5, rows=5, coverage=0.5)
    end = day * DAY
    return Window(model="toy", version=version, start=end - DAY, end=end, rows=24, drift=found, quality=quality)


def points(line: chart.Line) -> list[tuple[float, float]]:
    return [tuple(map(float, point.split(","))) for part in line.points for point in part.split()]  # type: ignore[misc]


def test_evidence_goes_from_edge_to_edge_and_the_threshold_is_at_one() -> None:
    drawn = chart.evidence([window(1, x=0.0), window(2, x=1.0), window(3, x=2.0)], [], [])
    [line] = drawn.lines
    (x0, y0), (_, y1), (x2, y2) = points(line)
    assert (x0, x2) == (drawn.left, drawn.right)
    assert (y0, y1) == (drawn.bottom, drawn.threshold)
    assert y2 == pytest.approx(y1 - (y0 - y1), abs=0.2)
    assert [text for _, text in drawn.ticks][::5] == ["1970-01-02", "1970-01-04"]


def test_what_is_not_enough_to_say_is_a_gap() -> None:
    drawn = chart.evidence([window(1, x=0.1), window(2, x=None), window(3, x=0.2), window(4, x=0.3)], [], [])
    assert [len(part.split()) for part in drawn.lines[0].points] == [2, 2]
    assert drawn.lines[0].last == 0.3


def test_the_nearest_to_an_alarm_have_colours_and_the_rest_is_grey() -> None:
    names: dict[str, Any] = {f"f{number}": number / 10 for number in range(9)}
    drawn = chart.evidence([window(1, **names), window(2, **names)], [], [])
    assert [line.name for line in drawn.lines][:2] == ["f8", "f7"]
    assert [line.colour for line in drawn.lines] == [1, 2, 3, 4, 5, 6, 0, 0, 0]


def test_absurd_evidence_leaves_the_threshold_readable() -> None:
    drawn = chart.evidence([window(1, x=0.5), window(2, x=300.0)], [], [])
    assert drawn.top == chart.HIGHEST
    assert points(drawn.lines[0])[-1][1] == chart.TOP
    assert drawn.bottom - drawn.threshold > 30


def test_promotions_and_alerts_are_marked_where_they_happened() -> None:
    looks = [window(1, x=0.1), window(2, version="2", x=0.1), window(3, version="2", x=0.1)]
    changes = [Change(revision=2, time="t", action="promote", champion="2", before="1", reason="better")]
    fired = alerts.fire({"alertname": "StaytrueDrift", "model": "toy"}, {}, 3 * DAY, "")
    other = alerts.fire({"alertname": "StaytrueQuality", "model": "toy"}, {}, 3 * DAY, "")
    marks = chart.evidence(looks, changes, [fired, other]).marks
    assert [(mark.kind, mark.text) for mark in marks] == [
        ("version", "version 2 answers: better"),
        ("alert", "alert since 1970-01-04T00:00"),
    ]
    assert marks[1].x == chart.WIDTH - chart.RIGHT


def test_quality_is_drawn_once_there_are_labels() -> None:
    assert chart.quality([window(1, x=0.1)], [], []) is None
    drawn = chart.quality([window(1), window(2, error=20.0), window(3, error=10.0)], [], [])
    assert drawn is not None
    assert [(line.name, line.last) for line in drawn.lines] == [("error", 10.0), ("usual", 10.0)]
    assert points(drawn.lines[0])[-1] == points(drawn.lines[1])[-1]
    assert len(drawn.bars) == 2
    assert drawn.bars[0][3] == pytest.approx((chart.HEIGHT - chart.TOP - chart.BOTTOM) / 10)


def test_a_single_look_and_none_at_all_are_no_division_by_zero() -> None:
    assert points(chart.evidence([window(1, x=0.5)], [], []).lines[0])[0][0] > 0
    assert chart.evidence([], [], []).lines == []
    assert chart.quality([window(1, error=0.0)], [], []) is not None
