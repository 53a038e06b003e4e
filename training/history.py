"""History: what each epoch of a training gave, and the best of them."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from staytrue.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor, nn

LEAST_IMPROVEMENT = 1e-4
"""Share of the best error by which an epoch must beat it to count as better."""


@dataclasses.dataclass
class History:
    """What each epoch gave, and the weights of the best one (counted from 1) by the ``measure``."""

    measure: str
    epochs: list[dict[str, float]] = dataclasses.field(default_factory=list)
    best_epoch: int = 0
    best_error: float = math.inf
    best_weights: dict[str, Tensor] = dataclasses.field(default_factory=dict)

    def add(self, loss: float, error: float, rate: float, seconds: float, module: nn.Module) -> None:
        """Note an epoch: its training loss, measure, learning rate and seconds; keep the weights of the best so far.

        Raises:
            InvalidInput: the loss or the error is NaN or infinite; says at which epoch.
        """
        if not math.isfinite(loss + error):
            where = f"training, epoch {len(self.epochs) + 1}"
            hint = "lower training.learning_rate"
            raise InvalidInput(where, expected="a finite loss and error", got=f"{loss} and {error}", hint=hint)
        number = len(self.epochs) + 1
        line = {"epoch": number, "loss": loss, self.measure: error, "learning_rate": rate}
        self.epochs.append(line | {"seconds": round(seconds, 4)})
        if self._is_better(error):
            self.best_epoch, self.best_error = number, error
            self.best_weights = {name: value.clone() for name, value in module.state_dict().items()}

    def state(self) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
        """What a resumed training needs of it: the epochs as JSON values, and the best weights."""
        return self.epochs, self.best_weights

    def restore(self, epochs: list[dict[str, float]], best_weights: dict[str, Tensor]) -> None:
        """As it was when :meth:`state` gave these."""
        self.best_epoch, self.best_error = 0, math.inf
        for number, line in enumerate(epochs, 1):
            if self._is_better(line[self.measure]):
                self.best_epoch, self.best_error = number, line[self.measure]
        self.epochs, self.best_weights = epochs, best_weights

    def _is_better(self, error: float) -> bool:
        best = self.best_error
        return math.isinf(best) or error < best - LEAST_IMPROVEMENT * abs(best)

    @property
    def waited(self) -> int:
        """Epochs since the best one."""
        return len(self.epochs) - self.best_epoch
