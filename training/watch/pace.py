"""Pace: how fast a training goes, how far it has come, and how long it may still take."""

from __future__ import annotations

import collections
import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from training.watch.facts import Facts

MARK_SECONDS, MARKS = 1.0, 60
"""Rows a second are those of the last minute."""


class Pace:
    """Follows the steps of one training, counted from 1 over all its epochs, and its epochs' measures."""

    def __init__(self, facts: Facts, clock: Callable[[], float] = time.monotonic) -> None:
        self.facts, self.clock = facts, clock
        self.step = self._first = facts.done * facts.steps
        self.epoch = facts.done
        """The last that ended."""
        self.now = self._began = clock()
        self.loss = self.rate = self.measure = math.nan
        self.best_epoch = facts.best_epoch
        self.best = facts.before[facts.best_epoch - 1][facts.measure] if facts.best_epoch else math.nan
        self._marks = collections.deque([(self._began, self._first)], maxlen=MARKS)

    def stepped(self, step: int, loss: float, rate: float) -> float:
        """Take note of a step; the time now."""
        if step <= self.step:  # resumed in the middle of an epoch that was counted as not begun
            self.step = self._first = step - 1
        self.step, self.rate, self.now = step, rate, self.clock()
        if self.epoch == self.facts.done:  # until an epoch has ended there is no other loss to tell
            self.loss = loss
        if self.now - self._marks[-1][0] >= MARK_SECONDS:
            self._marks.append((self.now, step))
        return self.now

    def epoch_ended(self, line: Mapping[str, float]) -> None:
        """Take note of an epoch."""
        self.now, self.epoch, self.step = self.clock(), int(line["epoch"]), int(line["epoch"]) * self.facts.steps
        self.loss, self.rate, self.measure = line["loss"], line["learning_rate"], line[self.facts.measure]
        if self.facts.better(self.measure, self.best):
            self.best, self.best_epoch = self.measure, self.epoch

    @property
    def rows_per_second(self) -> float:
        """Of the last minute; NaN before there is any time to divide by."""
        since, step = self._marks[0]
        rows = (self.step - step) * self.facts.rows / self.facts.steps
        return rows / (self.now - since) if self.now > since else math.nan

    @property
    def left_seconds(self) -> float:
        """At the mean pace so far, if no epoch is left out; NaN before the first step."""
        steps = self.step - self._first
        left = self.facts.epochs * self.facts.steps - self.step
        return left * (self.now - self._began) / steps if steps else math.nan
