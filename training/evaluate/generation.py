"""Evaluation of made pictures: how like they are to real ones, and the bound on the probability of the real ones."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluate.bootstrap import Figures
from training.evaluate.judge import Detail
from training.likeness import LEAST, likeness

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.evaluate.bootstrap import Draws, Numbers


@dataclasses.dataclass(frozen=True)
class PictureJudge:
    """Real pictures beside as many made ones, and the negative evidence lower bound of each real one, if there is one.

    Shapes: real, made [N,D] as an encoder sees them; bound, times [N]. Units: nats.
    """

    real: Numbers
    made: Numbers
    bound: Numbers | None
    times: Numbers
    seed: int

    @property
    def known(self) -> NDArray[np.bool_]:
        """All rows: nothing is to be known of a picture but itself."""
        return np.ones(len(self.times), dtype=np.bool_)

    def take(self, which: NDArray[Any]) -> PictureJudge:
        """The rows of a mask or an index."""
        bound = None if self.bound is None else self.bound[which]
        return PictureJudge(self.real[which], self.made[which], bound, self.times[which], self.seed)

    @property
    def loss(self) -> str:
        """Nothing: no made picture is an answer to a real one."""
        return ""

    def losses(self) -> Numbers:
        """None. Shapes: [N]."""
        return np.full(len(self.times), np.nan)

    def told(self, row: int) -> tuple[str, str]:
        """Nothing."""
        del row
        return "", ""

    def brief(self, draws: Draws) -> Figures:
        """The evidence lower bound by blocks drawn; the two-sample scores have their intervals of rows."""
        bound = Figures() if self.bound is None else draws.means({"elbo": -self.bound})
        scores = likeness(self.real, self.made, seed=self.seed)
        few = {"discrepancy": f"{len(self.real)} pictures, at least {LEAST} can be halved and compared"}
        return bound | Figures(dict(scores), {} if scores else few)

    def whole(self, draws: Draws) -> tuple[Figures, Detail]:
        """The same."""
        return self.brief(draws), Detail()
