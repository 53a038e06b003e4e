"""Blocks: which rows hang together and are drawn together, wherever it is told how sure a figure is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from training.data.split.plan import day_of
from training.evaluate.bootstrap import RESAMPLES, Draws

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.splitting import SplitSection
    from training.data.rows import Rows

    Places = NDArray[np.int64]

MOST = 500
"""Blocks of rows that do not hang together: of more rows some stand in one by chance, which makes no interval narrower.

It is that of 500 blocks then, by Student's t 0.2% wider than of very many.
"""
DAYS, ROWS, LOTS = "days", "rows", "random lots of rows"


@dataclasses.dataclass(frozen=True)
class Blocks:
    """Some rows' blocks, and what they are. Shapes: numbers [N], any that tell blocks apart."""

    numbers: Places
    what: str
    """In the plural."""

    def take(self, which: NDArray[Any]) -> Blocks:
        """Those of the rows of a mask or an index."""
        return Blocks(self.numbers[which], self.what)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(np.unique(self.numbers))

    @property
    def counted(self) -> Places:
        """The same from 0 without a gap. Shapes: [N]."""
        return np.unique(self.numbers, return_inverse=True)[1].astype(np.int64)

    def draw(self, seed: int, resamples: int = RESAMPLES) -> tuple[Places, Draws]:
        """The rows' places, those of a block beside each other, and the draws of rows in this order. Shapes: [N]."""
        numbers = self.counted
        order = np.argsort(numbers, kind="stable")
        return order, Draws.of_blocks(numbers[order], seed, resamples, self.what)


def blocks_of(rows: Rows, settings: SplitSection, seed: int = 0) -> Blocks:
    """Blocks of the rows of a part, as the split of the data says.

    Groups of ``split.group`` where there is one, unless ``split.allow`` lets them into several parts, which asks about
    known ones at other times; a row without, as served ones are, counts for the day that it is of.
    Else days, since neighbours in time are alike; but where rows were dealt singly, whatever their times, it was said
    that they are not: rows. ``seed`` puts them together by chance, where they are very many.
    """
    days = day_of(rows.time)
    marks = rows.marks.get(settings.group or "")
    if settings.group is not None and marks is not None and "groups" not in settings.allow:
        named, what = marks.astype(str), f"groups of {settings.group}"
        names, groups = np.unique(named, return_inverse=True)
        if len(names) > MOST:  # draws take memory by the block
            what, groups = f"random lots of {what}", _lots(len(names), seed)[groups]
        numbers = np.where(named == "", -1 - (days - days.min(initial=0)), groups.astype(np.int64))
        return Blocks(numbers, what)
    if not independent(settings):
        return Blocks(days, DAYS)
    if len(rows) <= MOST:
        return Blocks(np.arange(len(rows)), ROWS)
    return Blocks(_lots(len(rows), seed), LOTS)


def _lots(count: int, seed: int) -> Places:
    """Which of :data:`MOST` lots each of so many things is in. Shapes: [count]."""
    return np.random.default_rng(seed).permutation(count) % MOST


def independent(settings: SplitSection) -> bool:
    """Whether rows were dealt as if their times meant nothing; those given by somebody else, if their times overlap."""
    return settings.method in {"random", "stratified"} or (settings.method == "given" and "time" in settings.allow)
