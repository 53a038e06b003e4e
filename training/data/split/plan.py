"""Split: which rows train, validate and test, by one of six methods; the test part sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from staytrue.errors import InvalidInput
from staytrue.records import DAY_SECONDS, utc
from training.data.rows import TrainingRows
from training.data.split.dealing import NAMES, deal, shares_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from staytrue.splitting import SplitSection
    from training.data.rows import Rows

Part = Literal["train", "validation", "test"]
MISSED = 0.05
"""Share of all rows by which a part may miss what was asked for without a word."""


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows are which, by index; the seal is the digest of what the test rows hold."""

    block_days: int
    """Of the method blocks; 0 of others."""
    parts: dict[Part, list[int]]
    first_times: dict[Part, list[str]]
    """Start of each block, or of each part, for people."""
    seal: str
    method: str = "blocks"
    seed: int = 0
    """Of what was drawn."""
    let_through: list[str] = []
    """What the parts share although they should not, each in a sentence; a setting allowed it."""
    lineage: str = ""
    """Which rows are sealed, whatever a model takes of them; empty in runs from before it was written down."""

    def index(self, part: Part) -> NDArray[np.int64]:
        """Places of a part's rows among all. Shapes: [rows of the part]."""
        return np.array(self.parts[part], dtype=np.int64)

    def training(self, rows: Rows, some: NDArray[np.int64] | None = None) -> TrainingRows:
        """Of the rows that were split, those that train, or some of them by their places in the part."""
        index = self.index("train")
        return TrainingRows.of(rows.take(index if some is None else index[some]))

    def validation(self, rows: Rows) -> Rows:
        """Of the rows that were split, those that stop a training and judge it."""
        return rows.take(self.index("validation"))


def split(rows: Rows, settings: SplitSection) -> Split:
    """Deal the rows to the parts by the method that the settings name.

    Raises:
        InvalidInput: too few blocks, groups or rows for each part to get one.
    """
    by_blocks = settings.method == "blocks"
    if by_blocks and len(rows) < len(NAMES):
        raise InvalidInput("split", expected=f"at least {len(NAMES)} rows", got=str(len(rows)))
    blocks = blocks_of(rows.time, settings.block_days)
    assigned = _dealt_blocks(blocks, settings) if by_blocks else deal(rows, settings)
    names: tuple[Part, ...] = ("train", "validation", "test")
    parts = {name: np.flatnonzero(assigned == index) for index, name in enumerate(names)}
    empty = [name for name, indices in parts.items() if not len(indices)]
    if empty:
        count, days = int(blocks[-1]) + 1, settings.block_days
        blocked = f"{count} blocks" if count > 1 else "1 block"
        got = f"{blocked} of {days} day{'s' if days > 1 else ''} leave{'s' if count == 1 else ''} none for "
        got += ", ".join(empty)
        hint = "lower split.block_days, or take another split.method"
        raise InvalidInput("split", expected="a block for each part", got=got, hint=hint)
    begun = blocks if by_blocks else np.zeros_like(blocks)
    starts = {name: _starts(rows.time[parts[name]], begun[parts[name]]) for name in names}
    return Split(
        block_days=settings.block_days if by_blocks else 0,
        parts={name: indices.tolist() for name, indices in parts.items()},
        first_times=starts,
        seal=rows.take(parts["test"]).digest(),
        method=settings.method,
        seed=settings.seed,
    )


def _dealt_blocks(blocks: NDArray[np.int64], settings: SplitSection) -> NDArray[np.int64]:
    """Whole blocks, dealt from the newest backwards; a closing block shorter than half joined the one before.

    The newest block trains, since what it shows is what comes next; the parts take turns from there, so each covers
    the whole span (:func:`spread`). All blocks count alike, unless they are so unequal that a part would miss its share
    by more than :data:`MISSED`: then each counts by its rows. Rows of one time are in one block, so a repeated row
    cannot stand in two parts.
    """
    sizes, shares = np.bincount(blocks)[::-1], shares_of(settings)
    dealt = spread(shares, np.ones_like(sizes))
    held = np.bincount(dealt, weights=sizes, minlength=len(shares)) / len(blocks)
    by_rows = spread(shares, sizes)
    if np.abs(held - shares).max() > MISSED and len(np.unique(by_rows)) == len(shares):
        dealt = by_rows
    return dealt[::-1][blocks]


def _starts(times: NDArray[np.float64], blocks: NDArray[np.int64]) -> list[str]:
    """First time of each block of a part; rows stand in the order of time."""
    return [utc(times[place]) for place in np.unique(blocks, return_index=True)[1]]


def blocks_of(times: NDArray[np.float64], days: int) -> NDArray[np.int64]:
    """Number of each row's block, counted from the first row's day (UTC), without gaps.

    Shapes: times [N] ascending → [N].
    """
    start = np.floor(times[0] / DAY_SECONDS) * DAY_SECONDS
    raw = np.floor((times - start) / (days * DAY_SECONDS)).astype(np.int64)
    last = raw[-1]
    if last > 0 and times[-1] - (start + last * days * DAY_SECONDS) < days * DAY_SECONDS / 2:
        raw = np.minimum(raw, last - 1)
    numbered: NDArray[np.int64] = np.unique(raw, return_inverse=True)[1].astype(np.int64)
    return numbered


def day_of(times: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number of the UTC day of each time. Shapes: [N] → [N]."""
    return np.floor(times / DAY_SECONDS).astype(np.int64)


def spread(shares: Sequence[float], sizes: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Deal blocks of so many rows to parts in proportion to their shares, as evenly over time as whole blocks allow.

    Each part earns its share of every block's rows; the part with the most credit takes the block and pays its rows.

    >>> spread((0.7, 0.2, 0.1), [1] * 10).tolist()
    [0, 0, 1, 0, 0, 2, 0, 0, 1, 0]
    >>> spread((0.7, 0.2, 0.1), [7, 2, 1]).tolist()
    [0, 1, 2]
    """
    credit = np.zeros(len(shares))
    dealt = np.zeros(len(sizes), dtype=np.int64)
    for index, size in enumerate(sizes):
        credit += np.asarray(shares) * size
        taker = int(np.argmax(np.round(credit, 9)))  # rounded: equal credits must tie on every machine
        credit[taker] -= size
        dealt[index] = taker
    return dealt
