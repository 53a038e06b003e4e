"""Mixing: each row drawn towards another one, and judged by the truth of both.

Source: Zhang, Cisse, Dauphin and Lopez-Paz, 2018, "mixup: beyond empirical risk minimization".
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray
    from torch import Tensor

    from training.augment.draws import Draws


@dataclasses.dataclass(frozen=True)
class Mixing:
    """Who is mixed with whom: any of the ``rows`` that train, in the same batch or not."""

    alpha: float
    rows: int
    draws: Draws

    def __call__(self, places: NDArray[np.int64], epoch: int) -> tuple[Tensor, Tensor]:
        """The partner of each row, and the row's own share, at least a half. Shapes: [N] → [N], [N,1].

        The distribution is symmetric, so that a pair is mixed as likely as by the paper; but each row is seen in every
        epoch, and as what it is in the main.
        """
        from scipy.special import betaincinv  # noqa: PLC0415 - it takes long to import

        numbers = self.draws.rows(places, epoch, 2)
        partner = np.floor(numbers[:, 0] * self.rows).astype(np.int64)
        share = betaincinv(self.alpha, self.alpha, numbers[:, 1:])
        return torch.from_numpy(partner), torch.from_numpy(np.maximum(share, 1 - share).astype(np.float32))


class View(NamedTuple):
    """What a step sees of its rows, and whose truth counts how much of it. Shapes: matrix [N,width].

    ``truths`` pairs places of rows, [N], with shares, [N,1]: a row's own, all of it, where nothing is mixed.
    """

    matrix: Tensor
    truths: list[tuple[Tensor, Tensor | float]]

    @classmethod
    def mixed(cls, matrix: Tensor, places: Tensor, other: Tensor, partner: Tensor, share: Tensor) -> Self:
        """Two encoded rows as one: ``share`` of the first."""
        share = share.to(matrix)
        return cls(torch.lerp(other, matrix, share), [(places, share), (partner, 1 - share)])
