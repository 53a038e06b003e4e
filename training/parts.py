"""Parts: the rows that a model learns from and those held out, and what answers for them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from training.data.rows import Rows, TrainingRows
    from training.data.split.copies import Copies
    from training.models.model import Model
    from training.tasks.task import Task


@dataclasses.dataclass(frozen=True)
class Parts:
    """What one training sees, and how much each row counts. Shapes: weights [rows of the part], mean 1 or absent."""

    train: TrainingRows
    held: Rows
    weights: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    classes: tuple[str, ...] = ()
    """All that a classifier may answer."""
    copies: Sequence[Copies] = ()
    """Of a retraining: what served rows shared with others."""


class Answering(Protocol):
    """A model of some parts that can be judged: one that was trained, or several together."""

    @property
    def parts(self) -> Parts:
        """What it learnt from, and what was held out."""

    @property
    def task(self) -> Task:
        """What it is for."""

    @property
    def model(self) -> Model:
        """What answers."""
