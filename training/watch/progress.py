"""Progress: how far a training has come, a line that moves on a terminal and a line now and then elsewhere."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING

import rich.progress
from rich.console import Console

from training.watch.pace import Pace
from training.watch.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from training.watch.facts import Facts

LIVE_SECONDS, PLAIN_SECONDS = 0.5, 10.0
"""Least time between two lines: drawing one on a terminal takes some milliseconds."""


class Progress(Watcher):
    """Drawn by the loop itself, without a thread that would take time from it.

    A training that ends within ten seconds, away from a terminal, leaves no line.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console or Console(file=sys.stderr)
        self._clock, self._live = clock, self._console.is_terminal
        self._every = LIVE_SECONDS if self._live else PLAIN_SECONDS
        self._bar: rich.progress.Progress | None = None
        self._pace: Pace | None = None
        self._next = math.inf

    def began(self, facts: Facts) -> None:
        """Draw the line."""
        self._pace = Pace(facts, self._clock)
        self._next = self._pace.now + self._every
        if self._live:
            # Lines that others print meanwhile go above this one, unless they go to a file.
            columns = (rich.progress.BarColumn(bar_width=20), rich.progress.TextColumn("{task.description}"))
            self._bar = rich.progress.Progress(
                *columns, console=self._console, auto_refresh=False, redirect_stdout=sys.stdout.isatty()
            )
            self._bar.add_task(said(self._pace), total=facts.epochs * facts.steps, completed=self._pace.step)
            self._bar.start()

    def stepped(self, step: int, loss: float, rate: float) -> None:
        """Draw it again, if it is time."""
        if self._pace is not None and self._pace.stepped(step, loss, rate) >= self._next:
            self._show(self._pace)

    def epoch_ended(self, line: Mapping[str, float]) -> None:
        """Draw it again, if it is time."""
        if self._pace is not None:
            self._pace.epoch_ended(line)
            if self._pace.now >= self._next:
                self._show(self._pace)

    def closed(self, error: BaseException | None) -> None:  # noqa: ARG002 - the terminal is given back in any case
        """Leave the last line as it stands at the end."""
        if self._bar is not None and self._pace is not None:
            self._show(self._pace)
            self._bar.stop()
        self._bar = self._pace = None

    def _show(self, pace: Pace) -> None:
        self._next = pace.now + self._every
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=pace.step, description=said(pace), refresh=True)
        else:
            self._console.print(f"training: {said(pace)}", markup=False, highlight=False, soft_wrap=True)


def said(pace: Pace) -> str:
    """All that the line says; what is not known yet is left out."""
    facts = pace.facts
    epoch = min(pace.epoch + 1, facts.epochs) if pace.step > pace.epoch * facts.steps else pace.epoch
    known = {
        "loss {:.4g}": pace.loss,
        f"{facts.measure.replace('_', ' ')} {{:.4g}}": pace.measure,
        f"best {{:.4g}} (epoch {pace.best_epoch})": pace.best,
        "rate {:.3g}": pace.rate,
        "{:,.0f} rows/s": pace.rows_per_second,
    }
    parts = [form.format(value) for form, value in known.items() if math.isfinite(value)]
    left = [f"at most {_span(pace.left_seconds)} left"] if math.isfinite(pace.left_seconds) else []
    return ", ".join([f"epoch {epoch} of {facts.epochs}", *parts, *left])


def _span(seconds: float) -> str:
    """Hours, minutes, seconds.

    >>> _span(59.6), _span(3725), _span(90000)
    ('0:01:00', '1:02:05', '25:00:00')
    """
    whole = round(max(seconds, 0))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
