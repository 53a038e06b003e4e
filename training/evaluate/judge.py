"""Judge: what is known of a model's answers to some rows, and what it tells of them. A family of metrics a file."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.evaluation import CalibrationBin, ClassEvaluation, Confusion, Residuals
    from training.evaluate.bootstrap import Draws, Figures, Numbers


@dataclasses.dataclass(frozen=True)
class Detail:
    """What is no single number of all rows."""

    by_class: dict[str, ClassEvaluation] = dataclasses.field(default_factory=dict)
    confusion: Confusion | None = None
    calibration: list[CalibrationBin] = dataclasses.field(default_factory=list)
    residuals: dict[str, Residuals] = dataclasses.field(default_factory=dict)


class Judge(Protocol):
    """Answers beside truths, of at least no row."""

    @property
    def times(self) -> Numbers:
        """Of each row, in Unix seconds, ascending. Shapes: [N]."""

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which of the rows have a truth; the others are not judged. Shapes: [N]."""

    def take(self, which: NDArray[Any]) -> Judge:
        """The rows of a mask or an index."""

    @property
    def loss(self) -> str:
        """What a single answer is judged by, in words; nothing where none is."""

    def losses(self) -> Numbers:
        """How bad each answer is; whatever it may be of a row without a truth. Shapes: [N]."""

    def told(self, row: int) -> tuple[str, str]:
        """Truth and answer of one row, for people."""

    def brief(self, draws: Draws) -> Figures:
        """What is told of a slice. All rows have a truth, and there is at least one."""

    def whole(self, draws: Draws) -> tuple[Figures, Detail]:
        """All that is told. All rows have a truth, and there is at least one."""


def said(number: float) -> str:
    """A number of an answer, for people.

    >>> said(1234.5678), said(0.1)
    ('1234.57', '0.1')
    """
    return f"{number:.6g}"


def unfit(answers: Numbers) -> str:
    """Why answers cannot be judged; nothing where they can. Shapes: [N] or [N,K]."""
    odd: NDArray[np.bool_] = np.any(~np.isfinite(answers.reshape(len(answers), -1)), axis=1)
    return f"{int(odd.sum())} of {len(odd)} answers are no finite numbers" if odd.any() else ""
