"""Charts: points lie where their numbers say, and whatever these are a page can be drawn."""

from __future__ import annotations

import math

from training import charts
from training.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Mark, drawing, ticks
from training.data.chapters import Chapter, Chart, Line
from training.report import page, report


def chart(*lines: Line) -> Chart:
    """One of these lines."""
    return Chart(title="t", across="a", up="u", lines=list(lines))


def test_a_point_lies_where_its_numbers_say() -> None:
    """The corners of the axes, and the middle with its interval, on axes from 0 to 1 and from 0 to 10."""
    line = Line(name="n", across=[0, 0.5, 1], up=[0, 5, 10], low=[0, 2.5, 10], high=[0, 10, 10])
    (drawn,) = drawing(chart(line)).lines
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    assert (
        drawn.points
        == f"{LEFT:.1f},{bottom:.1f} {(LEFT + right) / 2:.1f},{(TOP + bottom) / 2:.1f} {right:.1f},{TOP:.1f}"
    )
    height = bottom - TOP
    middle = Mark((LEFT + right) / 2, TOP + height / 2, TOP + 0.75 * height, TOP, "n: 0.5, 5 [2.5, 10]")
    assert drawn.marks[1] == middle


def test_ticks_are_round_and_reach_around_the_values() -> None:
    for values in ([0.13, 0.94], [-3.0, 1e6], [1e-7, 1.3e-7], [5.0], [-2.0, -2.0], [0.0]):
        axis = ticks(values)
        assert axis[0] <= min(values) <= max(values) <= axis[-1]
        assert 2 <= len(axis) <= charts.TICKS + 3


def test_what_is_no_number_is_no_point() -> None:
    (drawn,) = drawing(chart(Line(name="n", across=[0, 1, 2, 3], up=[1, math.nan, math.inf, 1e308]))).lines
    assert len(drawn.marks) == 1
    (nothing,) = drawing(chart(Line(name="n", across=[], up=[]))).lines
    assert (nothing.points, nothing.marks) == ("", [])


def test_names_on_a_chart_are_text() -> None:
    evil = '"><script>alert("x")</script>'
    line = Line(name=evil, across=[0, 1], up=[0, 1], low=[0, 1], high=[0, 1])
    shown = Chart(title=evil, across=evil, up=evil, lines=[line, line], note=evil)
    made = page(report("t", [Chapter(title="c", summary="", charts=[shown])]))
    assert "<script" not in made
    assert made.count("<polyline") == 2
