"""Schedules: the learning rate of each step, as a table that is known before the first one."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from staytrue.optimisation import OptimisationSection
    from staytrue.sections import TrainingSection

    Rates = NDArray[np.float64]
    Shape = Callable[[TrainingSection, int, float], Rates]


def table(training: TrainingSection, steps: int) -> Rates:
    """The learning rate of each step; the last entry is that of any step beyond.

    A warm-up takes its steps from the front, and the schedule is that of the steps that remain. It rises in equal parts
    to the schedule's first rate. Shapes: [steps + 1].

    Source: Goyal et al., 2017, section 2.2 (warm-up).
    """
    warm = warmup_steps(training.optimisation, steps)
    rates = SHAPES[training.schedule](training, steps - warm, steps / training.epochs)
    rising = rates[0] * np.arange(1, warm + 1) / (warm + 1)
    return np.concatenate([rising, rates])


def warmup_steps(settings: OptimisationSection, steps: int) -> int:
    """Steps of the warm-up: as many as are set, or a share of all; one at least is left to the schedule."""
    asked = settings.warmup if settings.warmup >= 1 else settings.warmup * steps
    return min(round(asked), steps - 1)


def _fixed(training: TrainingSection, steps: int, epoch: float) -> Rates:
    """One rate throughout. ``plateau`` starts from it as well: what it does then depends on what is measured."""
    del epoch
    return np.full(steps + 1, training.rate)


def _step(training: TrainingSection, steps: int, epoch: float) -> Rates:
    """Falls by a factor each time some epochs have passed."""
    settings = training.optimisation
    every = epoch * (settings.step_epochs or math.ceil(training.epochs / 3))
    falls = (np.arange(steps + 1) / every).astype(np.int64)
    return training.rate * np.float64(settings.factor or 0.1) ** falls


def _linear(training: TrainingSection, steps: int, epoch: float) -> Rates:
    """Falls by equal parts."""
    del epoch
    return _falling(training, 1 - _progress(steps))


def _polynomial(training: TrainingSection, steps: int, epoch: float) -> Rates:
    """Falls as a power of the share of steps that are still to go."""
    del epoch
    return _falling(training, (1 - _progress(steps)) ** (training.optimisation.power or 2.0))


def _exponential(training: TrainingSection, steps: int, epoch: float) -> Rates:
    """Falls by the same factor at every step."""
    del epoch
    return training.rate * (training.optimisation.end or 0.01) ** _progress(steps)


def _cosine(training: TrainingSection, steps: int, epoch: float) -> Rates:
    """Half a wave. Each rate comes from the one before, as PyTorch rounds it: models trained before stay as they were.

    Source: Loshchilov and Hutter, 2017, "SGDR", equation 5, without restarts.
    """
    del epoch
    rate = training.rate
    least = rate * (training.optimisation.end or 0.0)
    waves = [1 + math.cos(math.pi * step / steps) for step in range(steps + 1)]
    rates = [rate]
    for before, wave in itertools.pairwise(waves):
        rates.append(wave / before * (rates[-1] - least) + least)
    return np.array(rates)


def _one_cycle(training: TrainingSection, steps: int, epoch: float) -> Rates:
    """Half a wave up from a low rate, and half a wave down to one far lower. The momentum stays as it is.

    Source: Smith and Topin, 2019, "Super-convergence"; waves instead of lines, as is usual.
    """
    del epoch
    rate, settings = training.rate, training.optimisation
    first, last = rate * (settings.start or 0.04), rate * (4e-6 if settings.end is None else settings.end)
    top = (settings.peak or 0.3) * steps
    places = np.arange(steps + 1)
    up = first + (rate - first) * (1 - np.cos(np.pi * places / top)) / 2
    down = last + (rate - last) * (1 + np.cos(np.pi * (places - top) / (steps - top))) / 2
    rates: Rates = np.where(places < top, up, down)
    return rates


def _progress(steps: int) -> Rates:
    """Share of the steps that are done. Shapes: [steps + 1], 0 to 1."""
    return np.arange(steps + 1) / steps


def _falling(training: TrainingSection, left: Rates) -> Rates:
    """From the learning rate to its share ``end``: as far from it as ``left`` says."""
    end = training.optimisation.end or 0.0
    return training.rate * (end + (1 - end) * left)


SHAPES: dict[str, Shape] = {
    "fixed": _fixed,
    "step": _step,
    "linear": _linear,
    "exponential": _exponential,
    "polynomial": _polynomial,
    "cosine": _cosine,
    "one_cycle": _one_cycle,
    "plateau": _fixed,
}
"""Name → the rates of so many steps, given how many are an epoch."""
