"""Identity: which row a row is, whatever a model takes of it and however that is encoded."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.addresses import shown
from staytrue.errors import CorruptData
from staytrue.records import write_atomically
from training.data.keys import keys_of, mixed
from training.data.rows import by_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from training.data.rows import Rows

_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclasses.dataclass(frozen=True)
class Keys:
    """Two keys of each row: one of its time, one of its time and truth. Shapes: [N] each, sorted.

    Features are no part of them: another list of features, another kind or datatype, other scales or another query
    make no other rows. Nor does another target, or the same on another scale: the key of the time stays, and so a row
    is known by it. That of time and truth tells which of the rows of one time it was, where the target is the same; a
    truth is the same as a number and as a text that says it. Rows of which either key is alike are counted, since any
    of them stands for any other.
    """

    moments: NDArray[np.uint64]
    whole: NDArray[np.uint64]

    @classmethod
    def of(cls, rows: Rows, targets: Sequence[str], *, pictured: bool = False) -> Keys:
        """Of some rows; ``pictured``: there is no truth, the pictures themselves stand for it."""
        moments = mixed(_numbers(rows.time))
        if pictured:
            return cls(_counted(mixed(moments)), _counted(mixed(moments + keys_of(rows.columns))))
        whole, named = moments, by_name(rows.target, targets)
        for name in sorted(named):
            whole = mixed(whole * _STEP + _said(named[name]))
        return cls(_counted(mixed(moments)), _counted(whole))

    def __len__(self) -> int:
        return len(self.moments)

    @functools.cached_property
    def all(self) -> NDArray[np.uint64]:
        """Both of each. Shapes: [2N], sorted."""
        return np.sort(np.concatenate([self.moments, self.whole]))

    @property
    def lineage(self) -> str:
        """Which rows they are, in a word."""
        return lineage_of(self.all)


def _counted(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Keys such that the second row of a key is another than the first, and so on. Shapes: [N], sorted."""
    total = np.sort(keys)
    new = np.concatenate([[True], total[1:] != total[:-1]]) if len(total) else np.zeros(0, dtype=bool)
    places = np.arange(len(total))
    repeats = places - np.maximum.accumulate(np.where(new, places, 0))
    return np.sort(mixed(total + repeats.astype(np.uint64) * _STEP))


def _numbers(values: NDArray[Any]) -> NDArray[np.uint64]:
    plain = np.where(np.isnan(values), np.nan, values).astype(np.float64) + 0.0  # one NaN, one zero
    return plain.view(np.uint64)


def _said(truth: NDArray[Any]) -> NDArray[np.uint64]:
    """Bits of numbers, and of texts what they say as numbers, or else a digest."""
    if truth.dtype != object:
        return _numbers(truth.astype(np.float64))
    names, places = np.unique(truth.astype(str), return_inverse=True)
    return np.array([_text(str(name)) for name in names], dtype=np.uint64)[places]


def _text(name: str) -> int:
    try:
        return int(_numbers(np.array([float(name or "nan")]))[0])
    except ValueError:
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def lineage_of(keys: NDArray[np.uint64]) -> str:
    """SHA-256 of sorted keys: the name of a set of rows."""
    return hashlib.sha256(keys.astype("<u8").tobytes()).hexdigest()


def keep(keys: NDArray[np.uint64], path: Path) -> None:
    """Write sorted keys."""
    write_atomically(path, keys.astype("<u8").tobytes())


def kept(path: Path, lineage: str) -> NDArray[np.uint64]:
    """Keys that were kept.

    Raises:
        CorruptData: they are gone, or others.
    """
    data = path.read_bytes() if path.is_file() else b""
    keys = np.frombuffer(data[: len(data) // 8 * 8], dtype="<u8").astype(np.uint64)
    if len(data) % 8 or lineage_of(keys) != lineage:
        hint = "bring the file back: which test rows were opened is told by it"
        raise CorruptData(shown(path), expected=f"keys of SHA-256 {lineage[:16]}…", got="others or none", hint=hint)
    return keys
