"""Guard: stops a training whose loss is no number or runs away, and says where it began and what to try."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

from staytrue.errors import InvalidInput
from training.divergence import advise, examine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staytrue.sections import TrainingSection
    from training.divergence import Scene

IN_A_ROW = 20
"""Losses above the limit before a training is stopped: odd batches, and a rate that rises, may leap and come back."""
LEAST_FIRST = 0.1
"""A first loss below it counts as this much: a model that begins well may fall back to knowing nothing and recover,
which costs a scaled target or a class some ones."""

LARGEST = sys.float_info.max


class Guard:
    """Asked before each step is taken, so that what made the loss can still be looked at. A check costs a comparison.

    Of several processes one alone may hold the rows that went wrong: ``shared`` gives each what all have found, in the
    order of the processes, so that all end with what the one knows.

    >>> from staytrue.sections import TrainingSection
    >>> guard = Guard(TrainingSection())
    >>> guard.check(1, 1, 0.5, lambda: None)
    >>> guard.state()
    {'limit': 50.0, 'above': 0}
    """

    def __init__(self, settings: TrainingSection, shared: Callable[[str], Sequence[str]] = lambda told: [told]) -> None:
        self._settings, self._shared = settings, shared
        self._limit, self._above = math.nan, 0

    def check(self, step: int, epoch: int, loss: float, context: Callable[[], Scene | None]) -> None:
        """Let a step pass. The ``context`` is made only where something is wrong.

        Raises:
            InvalidInput: the loss is NaN or infinite, or was far above the first for twenty steps.
        """
        if -LARGEST <= loss <= self._limit:
            self._above = 0
            return
        if math.isfinite(loss):
            if math.isnan(self._limit):
                self._begin(loss)
                return
            self._above += 1
            if self._above < IN_A_ROW:
                return
        raise self._stopped(step, epoch, loss, context())

    def judged(self, step: int, epoch: int, error: float, context: Callable[[], Scene | None]) -> InvalidInput | None:
        """What is wrong with an epoch that ended with this step, by what its weights make of the rows held out.

        That the error is NaN or infinite, as where the last step ran away and no other saw what it left.
        """
        if math.isfinite(error):
            return None
        got = f"{error:g} of the validation rows after step {step}"
        return self._told(epoch, "a finite error", got, context(), exploded=False)

    def state(self) -> dict[str, Any]:
        """What a resumed training must know of the one before; JSON values."""
        known = None if math.isnan(self._limit) else self._limit
        return {"limit": known, "above": self._above}

    def restore(self, values: dict[str, Any]) -> None:
        """Go on where ``state`` was asked."""
        limit = values["limit"]
        self._limit, self._above = math.nan if limit is None else limit, values["above"]

    def _begin(self, first: float) -> None:
        factor = self._settings.explosion
        self._limit = LARGEST if factor is None else min(factor * max(abs(first), LEAST_FIRST), LARGEST)

    def _stopped(self, step: int, epoch: int, loss: float, scene: Scene | None) -> InvalidInput:
        expected, got = "a finite loss", f"{loss:g} at step {step}"
        if math.isfinite(loss):
            expected = f"a loss below {self._limit:.4g}, {self._settings.explosion:g} times the first"
            got = f"{loss:.4g} at step {step}, the {IN_A_ROW}th above it in a row"
        return self._told(epoch, expected, got, scene, exploded=math.isfinite(loss))

    def _told(self, epoch: int, expected: str, got: str, scene: Scene | None, *, exploded: bool) -> InvalidInput:
        found = examine(scene) if scene is not None else None
        mine = {
            "knows": -1 if found is None else found.knows,
            "told": [] if found is None else found.told(),
            "hint": "; or ".join(advise(found, exploded=exploded)),
        }
        best = max(map(json.loads, self._shared(json.dumps(mine))), key=lambda one: int(one["knows"]))  # or the first
        got = ": ".join([got, *best["told"]])
        return InvalidInput(f"training, epoch {epoch}", expected=expected, got=got, hint=best["hint"])
