"""Drawing: the learning curve while a training goes on, for those that take long."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from training.curve import draw
from training.watch.pace import Pace
from training.watch.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from training.watch.facts import Facts

EVERY_SECONDS, SHARE = 60.0, 0.01
"""Between two pictures; drawing may take this share of the time at most."""


@dataclasses.dataclass
class Lines:
    """The course so far."""

    measure: str
    epochs: list[Mapping[str, float]]
    best_epoch: int


class Drawing(Watcher):
    """Replaces the picture in one step, so that who looks at it sees a whole one."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic, every: float = EVERY_SECONDS) -> None:
        self._path, self._clock, self._every = path, clock, every

    def began(self, facts: Facts) -> None:
        """Go on where the training does."""
        self._pace, self._lines = Pace(facts, self._clock), Lines(facts.measure, [*facts.before], facts.best_epoch)
        self._next = self._pace.now + self._every

    def epoch_ended(self, line: Mapping[str, float]) -> None:
        """Draw, if it is time."""
        self._pace.epoch_ended(line)
        self._lines.epochs.append(line)
        self._lines.best_epoch = self._pace.best_epoch
        if self._pace.now >= self._next:
            draw(self._lines, self._pace.facts.target, self._path)
            now = self._clock()
            self._next = now + max(self._every, (now - self._pace.now) / SHARE)
