"""A loop over made-up figures, for those who watch a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.trainings import FACTS, LINES, Clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.watch.watcher import Watcher


@pytest.fixture
def clock() -> Clock:
    """At zero."""
    return Clock()


@pytest.fixture
def go(clock: Clock) -> Callable[..., None]:
    """The loop: each step takes a second; from the epoch after ``done`` to the one called ``last``."""

    def loop(watcher: Watcher, done: int = 0, last: int = 4) -> None:
        for line in LINES[done:last]:
            for step in range(1, FACTS.steps + 1):
                clock.now += 1
                watcher.stepped(int(line["epoch"] - 1) * FACTS.steps + step, line["loss"] + 1, 0.25)
            watcher.epoch_ended(line)

    return loop
