"""The plateau: lower learning rates for when the validation error has stopped falling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.optimisation import PLATEAU_EPOCHS

if TYPE_CHECKING:
    from staytrue.optimisation import OptimisationSection

LEAST_IMPROVEMENT = 1e-4
"""Share of the smallest error so far by which another must lie below it."""


class Plateau:
    """The factor on the learning rate that follows from the errors so far."""

    def __init__(self, settings: OptimisationSection) -> None:
        self._patience = settings.plateau_epochs or PLATEAU_EPOCHS
        self._fall, self._least = settings.factor or 0.1, settings.end or 0.0
        self.factor = 1.0
        self._best: float | None = None
        self._waited = 0

    def ended(self, error: float) -> None:
        """An epoch's error; less is better, and what is no number is no improvement."""
        if self._best is None or error < self._best - LEAST_IMPROVEMENT * abs(self._best):
            self._best, self._waited = error, 0
            return
        self._waited += 1
        if self._waited > self._patience:
            self.factor, self._waited = max(self.factor * self._fall, self._least), 0

    def state(self) -> dict[str, float | None]:
        """All that was remembered, as JSON holds it."""
        return {"factor": self.factor, "best": self._best, "waited": self._waited}

    def restore(self, state: dict[str, float | None]) -> None:
        """Go on from there."""
        self.factor, self._best, self._waited = float(state["factor"] or 0.0), state["best"], int(state["waited"] or 0)
