"""The stream of pictures: clean days, altered days, clean days again; each hour a request of what came in it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from examples.gallery.alter import ALTERATIONS, clean
from staytrue.records import DAY_SECONDS, HOUR_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

CLEAN_DAYS, ALTERED_DAYS = 4, 2
SEED = 7


@dataclasses.dataclass(frozen=True)
class Phase:
    """Days of one kind. Units: Unix seconds of event time."""

    kind: str
    start: float
    end: float


@dataclasses.dataclass(frozen=True)
class Hour:
    """What came in one hour. Shapes: pictures [N,C,H,W]; names [N]."""

    time: float
    kind: str
    pictures: NDArray[np.uint8]
    names: NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Later:
    """The pictures that no training saw. Shapes: pictures [N,C,H,W]; names [N]."""

    pictures: NDArray[np.uint8]
    names: NDArray[Any]
    start: float
    an_hour: int
    """Pictures that come in an hour."""


def read(path: Path, target: str, shape: list[int]) -> Later:
    """The file that ``prepare`` wrote beside the one to train on."""
    table = pq.read_table(path)
    time = table.column("time").cast("int64").to_numpy() / 1e6
    flat = np.array(table.column("image").to_pylist(), dtype=np.uint8)
    midnight = float(np.ceil(time[0] / DAY_SECONDS) * DAY_SECONDS)
    names = np.array(table.column(target).to_pylist(), dtype=object)
    return Later(flat.reshape(-1, *shape), names, midnight, max(1, round(HOUR_SECONDS / (time[1] - time[0]))))


def phases(start: float) -> list[Phase]:
    """Clean days first, then two days of each alteration, clean days after each: an alarm ends before the next begins.

    >>> [(phase.kind, phase.start / 86400) for phase in phases(0.0)][:3]
    [('clean', 0.0), ('blurred', 4.0), ('clean', 6.0)]
    """
    found, at = [], start
    for kind, days in [("clean", CLEAN_DAYS), *((k, d) for a in ALTERATIONS for k, d in _with_rest(a))]:
        found.append(Phase(kind, at, at + days * DAY_SECONDS))
        at += days * DAY_SECONDS
    return found


def hours(later: Later, plan: list[Phase]) -> Iterator[Hour]:
    """Requests in the order in which they come; pictures are drawn from the later ones, with replacement."""
    draw = np.random.default_rng(SEED)
    for phase in plan:
        alter = ALTERATIONS.get(phase.kind, clean)
        for time in np.arange(phase.start, phase.end, HOUR_SECONDS):
            which = draw.integers(0, len(later.pictures), later.an_hour)
            yield Hour(float(time) + 1, phase.kind, alter(later.pictures[which], draw), later.names[which])


def _with_rest(kind: str) -> list[tuple[str, int]]:
    return [(kind, ALTERED_DAYS), ("clean", CLEAN_DAYS)]
