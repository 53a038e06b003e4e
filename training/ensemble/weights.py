"""Weights: how much each member counts, none below 0 and 1 together, such that a loss on given rows is least."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from training.models.ensemble import mixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from training.objectives import Objective

FOLDS = 5
"""Of blocks, for figures of weights that these blocks did not choose."""
STEPS, ENOUGH = 500, 1e-13
LEAST = 1e-6
"""A smaller weight is 0: it is what the search leaves of one."""


def equal(count: int) -> list[float]:
    """All alike."""
    return [1 / count] * count


def fitted(each: Sequence[Tensor], truth: Tensor, loss: Objective) -> list[float]:
    """The weights of least mean loss, which is convex in them: sequential quadratic programming from equal ones.

    Shapes: [N,M] each, truth [N,…] as the loss takes it. Source: Breiman, 1996, "Stacked regressions" (weights not
    below 0); Kraft, 1988, "A software package for sequential quadratic programming".
    """
    from scipy.optimize import LinearConstraint, minimize  # noqa: PLC0415 - it takes long to import, and few trainings need it

    said = [one.double() for one in each]
    start = np.array(equal(len(said)))

    def measured(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        given = torch.tensor(weights, dtype=torch.float64, requires_grad=True)
        mean = loss(mixed(said, list(given)), truth).mean()
        (slope,) = torch.autograd.grad(mean, given)
        return float(mean.detach()) / unit, slope.numpy() / unit

    unit = 1.0
    unit = measured(start)[0] or 1.0
    found = minimize(
        measured,
        start,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(said),
        constraints=LinearConstraint(np.ones((1, len(said))), 1.0, 1.0),
        options={"maxiter": STEPS, "ftol": ENOUGH},
    )
    weights = found.x if measured(found.x)[0] <= measured(start)[0] else start
    weights = np.where(weights < LEAST, 0.0, weights)
    return [float(weight) for weight in weights / weights.sum()]


def crossfitted(each: Sequence[Tensor], truth: Tensor, loss: Objective, blocks: NDArray[np.int64]) -> Tensor | None:
    """What the members say together by weights that were fitted on other blocks; None where there is but one.

    Blocks that follow each other are of one fold. Shapes: [N,M] each, blocks [N] counted from 0 → [N,M].
    """
    count = int(blocks.max()) + 1
    folds = min(FOLDS, count)
    if folds < 2:
        return None
    fold = torch.from_numpy(blocks * folds // count)
    made = torch.empty_like(each[0])
    for which in range(folds):
        held = fold == which
        weights = fitted([one[~held] for one in each], truth[~held], loss)
        made[held] = mixed([one[held] for one in each], weights)
    return made
