"""Divide: which newly labelled rows train, stop and judge a challenger, and how much each row counts."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from staytrue.records import DAY_SECONDS
from training.data.rows import TrainingRows
from training.data.split.plan import day_of, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.sections import RetrainingSection
    from training.data.rows import Rows


@dataclasses.dataclass(frozen=True)
class Division:
    """Newly labelled rows, by whole days: neither champion nor challenger trains on ``gate``."""

    train: TrainingRows
    held: Rows
    gate: Rows


def divide(rows: Rows, trained_until: float, validation: float, settings: RetrainingSection) -> Division:
    """Deal whole days: recent ones that the champion has not seen to all three parts, others to train and held.

    Days of one part are spread between those of the others, so that gate and training speak of the same weeks.
    """
    days = day_of(rows.time)
    newest = int(days[-1]) if len(days) else 0
    fresh = (days > int(trained_until // DAY_SECONDS)) & (days > newest - settings.gate.recent_days)
    part = np.full(len(rows), 2, dtype=np.int64)
    share = settings.gate.holdout_share
    shares = (share, (1 - share) * validation, (1 - share) * (1 - validation))
    part[fresh] = _deal(days[fresh], shares)
    part[~fresh] = 1 + _deal(days[~fresh], (validation, 1 - validation))
    train = TrainingRows.of(rows.take(part == 2))
    return Division(gate=rows.take(part == 0), held=rows.take(part == 1), train=train)


def recency(
    train: NDArray[np.float64], held: NDArray[np.float64], half_life_days: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Weights that halve with each half-life of age, mean 1 over each part; None where all rows count alike."""
    if half_life_days is None:
        return None
    newest = max(train[-1], held[-1])
    plain = [0.5 ** ((newest - times) / (half_life_days * DAY_SECONDS)) for times in (train, held)]
    return plain[0] / plain[0].mean(), plain[1] / plain[1].mean()


def _deal(days: NDArray[np.int64], shares: tuple[float, ...]) -> NDArray[np.int64]:
    """Part of each row, dealt by days from the newest backwards."""
    different, place = np.unique(-days, return_inverse=True)
    dealt: NDArray[np.int64] = spread(shares, np.ones(len(different), dtype=np.int64))[place]
    return dealt
