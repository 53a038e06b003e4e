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

    def add(self, line: dict[str, float], module: nn.Module) -> None:
        """Note an epoch; keep the module's weights if it is the best so far.

        Raises:
            InvalidInput: the loss or the error is NaN or infinite; says at which epoch.
        """
        error = line[self.measure]
        if not math.isfinite(line["loss"] + error):
            where = f"training, epoch {len(self.epochs) + 1}"
            hint = "lower training.learning_rate"
            raise InvalidInput(where, expected="a finite loss and error", got=f"{line['loss']} and {error}", hint=hint)
        self.epochs.append(line)
        if error < self.best_error * (1 - LEAST_IMPROVEMENT):
            self.best_epoch, self.best_error = len(self.epochs), error
            self.best_weights = {name: value.clone() for name, value in module.state_dict().items()}

    @property
    def waited(self) -> int:
        """Epochs since the best one."""
        return len(self.epochs) - self.best_epoch
