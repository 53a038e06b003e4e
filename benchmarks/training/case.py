"""Case: a training whose figure must reach a target within a time."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Reached:
    """What one training reached. Units: seconds on the clock, and of all processor threads together."""

    figure: float
    seconds: float
    processor_seconds: float


@dataclasses.dataclass(frozen=True)
class Case:
    """A training, what is measured of it, the least that it must be, and the most seconds on two quiet cores."""

    what: str
    least: float
    seconds: float | None
    run: Callable[[], Reached]

    def verdict(self, reached: Reached) -> str:
        """Whether the figure is reached, and in time.

        On a machine that is busy with other work the clock says little, so what counts is the shorter of the clock and
        half of the processor time, as two threads would take it.

        >>> case = Case("", 0.9, 60, lambda: Reached(0.92, 100, 110))
        >>> case.verdict(case.run())
        'reached'
        """
        missed = ["figure"] * (reached.figure < self.least)
        if self.seconds is not None:
            missed += ["time"] * (min(reached.seconds, reached.processor_seconds / 2) > self.seconds)
        return f"MISSED: {' and '.join(missed)}" if missed else "reached"
