"""Calibration: whether what is said to be 70% probable happens 7 times in 10."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from staytrue.evaluation import CalibrationBin
from training.evaluate.bootstrap import ratio

if TYPE_CHECKING:
    from training.evaluate.bootstrap import Draws, Numbers

BINS = 10
"""Of equal width from 0 to 1; what lies on an edge is in the upper one, and 1 in the last."""


def binned(said: Numbers, happened: Numbers, draws: Draws) -> Numbers:
    """What the curve and its error need of a block: of each bin rows, those that happened, and what was said of them.

    Shapes: [N] or [N,L] twice → [D,3*BINS].
    """
    said, happened = said.reshape(len(draws.blocks), -1), happened.reshape(len(draws.blocks), -1)
    sums = np.zeros((draws.count, 3 * BINS))
    for some, holds in zip(said.T, happened.T, strict=True):
        places = np.clip((some * BINS).astype(np.int64), 0, BINS - 1)
        weights = (None, holds.astype(np.float64), some)
        sums += np.concatenate([draws.counts(places, BINS, weight) for weight in weights], axis=1)
    return sums


def error(sums: Numbers) -> Numbers:
    """Expected calibration error: over the bins the mean difference, weighted by their rows.

    Shapes: [...,3*BINS] → [...]. Source: Guo et al., 2017, "On calibration of modern neural networks".
    """
    rows, happened, said = np.split(sums, 3, axis=-1)
    found: Numbers = np.abs(happened - said).sum(axis=-1) / rows.sum(axis=-1)
    return found


def error_with_draws(sums: Numbers, draws: Draws) -> tuple[float, Numbers]:
    """The error and its resamples, moved by what they exceed it on average.

    Drawing anew adds noise to each bin, which only ever raises a mean of absolute differences: of a model without any
    error all resamples would lie above the value. Shapes: [D,3*BINS] → [R].
    """
    value, drawn = float(error(sums.sum(axis=0))), error(draws.often @ sums)
    return value, np.clip(drawn - max(float(drawn.mean()) - value, 0.0), 0.0, 1.0)


def curve(sums: Numbers, draws: Draws) -> list[CalibrationBin]:
    """The bins that hold rows. Shapes: [D,3*BINS]."""
    rows, happened, said = np.split(sums.sum(axis=0), 3)
    drawn_rows, drawn, _ = np.split(draws.often @ sums, 3, axis=1)
    made = []
    for place in np.flatnonzero(rows):
        share = float(happened[place] / rows[place]), ratio(drawn[:, place], drawn_rows[:, place])
        among = {"right": int((sums[:, place] > 0).sum())}
        right = draws.figures({"right": share}, among).metrics["right"]
        low, high, mean = place / BINS, (place + 1) / BINS, float(said[place] / rows[place])
        made.append(CalibrationBin(low=float(low), high=float(high), rows=int(rows[place]), said=mean, right=right))
    return made
