"""A training of made-up figures, for those who watch one."""

from __future__ import annotations

import dataclasses

from training.watch.facts import Facts

FACTS = Facts(
    model="toy",
    run="r1",
    target="y",
    measure="validation_mae",
    epochs=4,
    steps=5,
    rows=1000,
    settings={"training": {"epochs": 4, "learning_rate": 0.25}},
)
LINES: list[dict[str, float]] = [
    {"epoch": epoch, "loss": 8.0 / epoch, "validation_mae": mae, "learning_rate": 0.25, "seconds": 0.5}
    for epoch, mae in enumerate([4.0, 2.0, 1.0, 3.0], 1)
]


@dataclasses.dataclass
class Told:
    """A history of the lines."""

    measure: str = "validation_mae"
    epochs: list[dict[str, float]] = dataclasses.field(default_factory=lambda: list(LINES))
    best_epoch: int = 3


class Clock:
    """Goes on when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now
