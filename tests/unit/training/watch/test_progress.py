"""Progress: what the line says, and how often."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import msgspec
import pytest
from rich.console import Console

from tests.trainings import FACTS, LINES
from training.watch.pace import Pace
from training.watch.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.trainings import Clock


def test_elsewhere_than_on_a_terminal_a_line_comes_every_ten_seconds(clock: Clock, go: Callable[..., None]) -> None:
    """Twenty steps of a second and 200 rows: one after the tenth, one at the end; 2 of 4 epochs left are 10 s."""
    out = io.StringIO()
    progress = Progress(Console(file=out, width=60), clock)
    progress.began(FACTS)
    go(progress)
    progress.closed(None)
    rate = "rate 0.25, 200 rows/s"
    assert out.getvalue().splitlines() == [
        f"training: epoch 2 of 4, loss 8, validation mae 4, best 4 (epoch 1), {rate}, at most 0:00:10 left",
        f"training: epoch 4 of 4, loss 2.667, validation mae 1, best 1 (epoch 3), {rate}, at most 0:00:00 left",
    ]


def test_a_short_training_is_silent_there(clock: Clock, go: Callable[..., None]) -> None:
    out = io.StringIO()
    progress = Progress(Console(file=out), clock)
    progress.began(FACTS)
    go(progress, last=1)
    progress.closed(None)
    assert out.getvalue() == ""


def test_on_a_terminal_one_line_moves_and_stays_at_the_end(clock: Clock, go: Callable[..., None]) -> None:
    """Also where the training broke."""
    out = io.StringIO()
    progress = Progress(Console(file=out, force_terminal=True, width=140), clock)
    progress.began(FACTS)
    go(progress)
    progress.closed(ValueError())
    shown = out.getvalue()
    assert "epoch 1 of 4, loss 9, rate 0.25, 200 rows/s, at most 0:00:19 left" in shown
    assert "epoch 4 of 4, loss 2, validation mae 3, best 1 (epoch 3)" in shown.splitlines()[-2]
    assert shown.endswith("\x1b[?25h"), "the cursor is back"


def test_a_resumed_training_counts_from_where_it_was(clock: Clock) -> None:
    """Its pace is that of the steps it took itself: one in two seconds, of which nine are left."""
    pace = Pace(msgspec.structs.replace(FACTS, before=LINES[:2], best_epoch=2), clock)
    assert (pace.epoch, pace.step, pace.best) == (2, 10, 2.0)
    clock.now = 2.0
    pace.stepped(11, 1.0, 0.1)
    assert (pace.left_seconds, pace.rows_per_second) == (18.0, 100.0)
    pace.epoch_ended(LINES[2])
    assert (pace.best, pace.best_epoch) == (1.0, 3)


def test_rows_a_second_are_those_of_the_last_minute(clock: Clock) -> None:
    """A machine that was busy at first and now is free."""
    pace = Pace(msgspec.structs.replace(FACTS, epochs=100), clock)
    for step, seconds in enumerate([10.0] * 100 + [1.0] * 100, 1):
        clock.now += seconds
        pace.stepped(step, 1.0, 0.1)
    assert pace.rows_per_second == pytest.approx(200.0)


def test_more_may_be_better(clock: Clock) -> None:
    pace = Pace(msgspec.structs.replace(FACTS, larger_is_better=True), clock)
    for line in LINES:
        pace.epoch_ended(line)
    assert (pace.best, pace.best_epoch) == (4.0, 1)
