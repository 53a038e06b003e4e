"""Sweep: the loss while the learning rate grows from step to step, and the rate that this speaks for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from training.optim import Optimiser
from training.transfer.layers import groups

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from staytrue.sections import TrainingSection

LEVEL = 0.05
"""Share of the steps, the first ones, whose rates are too small to change the loss: its level and its noise."""
SMOOTHED = 0.025
"""Deviation of the smoothing, a share of the steps."""
NOISES = 4.0
"""So many deviations of the noise are no noise."""
MARGIN = 10.0
"""A proposed rate lies this far below where the loss blows up."""


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """What a range test saw. Shapes: ``rates``, ``losses`` and ``smoothed`` alike, one for each step that was taken.

    ``steepest`` is where the smoothed loss falls fastest, ``blow_up`` where it is back above its first level; None
    where it never fell, or never came back.
    """

    optimiser: str
    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    steepest: float | None
    blow_up: float | None

    @property
    def proposed(self) -> float | None:
        """The steepest, unless that is too near to where it blows up; two digits, rounded down."""
        if self.steepest is None:
            return None
        rate = self.steepest if self.blow_up is None else min(self.steepest, self.blow_up / MARGIN)
        unit = 10.0 ** (math.floor(math.log10(rate)) - 1)
        return float(f"{math.floor(rate / unit * (1 + 1e-12)) * unit:.2g}")


def sweep(
    module: nn.Module,
    settings: TrainingSection,
    loss_of: Callable[[int], Tensor],
    *,
    lowest: float,
    highest: float,
    steps: int,
) -> Sweep:
    """Train a module with rates that grow by the same factor at each step, until its loss has blown up.

    ``loss_of`` gives the loss of the module on the batch of a step. The module is of no use afterwards.

    Source: Smith, 2015, "Cyclical learning rates for training neural networks", section 3.3.
    """
    rates = np.geomspace(lowest, highest, steps)
    optimiser = Optimiser(module, settings, steps, groups=groups(module, settings.transfer), rates=rates)
    losses: list[float] = []
    module.train()
    for step in range(steps):
        loss = loss_of(step)
        losses.append(float(loss.detach()))
        if _has_blown_up(losses, steps):
            break
        optimiser.step(loss)
    return judged(rates[: len(losses)], np.array(losses), steps, settings.optimiser)


def judged(rates: NDArray[np.float64], losses: NDArray[np.float64], steps: int, optimiser: str) -> Sweep:
    """What the losses speak for. What blows up is cut off first, or it would be smoothed into the steps before."""
    from scipy.ndimage import gaussian_filter1d  # noqa: PLC0415 - it takes long to import

    level, noise = _level(losses, steps)
    finite = np.where(np.isfinite(losses), losses, np.inf)
    ceiling = level + (level - min(finite.min(), level)) + NOISES * noise
    smoothed = gaussian_filter1d(np.minimum(finite, ceiling), SMOOTHED * steps, mode="nearest")
    least = int(smoothed.argmin())
    fell = least > 0 and smoothed[least] < level - noise
    slopes = np.gradient(smoothed, np.log(rates)) if len(rates) > 1 else np.zeros(1)
    risen = np.flatnonzero(smoothed[least:] > level + noise)
    if not len(risen) and not np.isfinite(losses[-1]):
        risen = np.array([len(losses) - 1 - least])
    return Sweep(
        optimiser=optimiser,
        rates=rates.tolist(),
        losses=losses.tolist(),
        smoothed=smoothed.tolist(),
        steepest=float(rates[slopes[: least + 1].argmin()]) if fell else None,
        blow_up=float(rates[least + risen[0]]) if len(risen) else None,
    )


def _has_blown_up(losses: list[float], steps: int) -> bool:
    """Whether a few steps in a row lie far above all that noise explains, or a loss is no number."""
    recent = losses[-5:]
    if not math.isfinite(losses[-1]):
        return True
    level, noise = _level(np.array(losses[: _first(steps)]), steps)
    lowest = min(*losses, level)
    return len(losses) > _first(steps) and min(recent) > level + 2 * (level - lowest) + 2 * NOISES * noise


def _level(losses: NDArray[np.float64], steps: int) -> tuple[float, float]:
    """Mean and deviation of the first losses."""
    first = losses[: _first(steps)]
    first = first[np.isfinite(first)]
    return (float(first.mean()), float(first.std())) if len(first) else (0.0, 0.0)


def _first(steps: int) -> int:
    return max(5, round(LEVEL * steps))
