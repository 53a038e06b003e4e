"""Coordinates: rows as points, near each other where the rows nearly are."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from training.data import mapped
from training.data.clean.cleaning import is_missing
from training.data.distinct import distinct
from training.data.rows import evenly, learnable
from training.data.split.shingles import clusters, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from staytrue.feature import Feature
    from training.data.rows import Rows, TrainingRows

SIDE = 8
"""Pictures are compared by the means of at most so many patches along each side."""
SEGMENTS = 8
"""And sequences by those of so many parts of their steps."""
APART = 1000.0
"""Distance of one category from another, beyond all that is looked at."""
_SOME = 2000
"""Pictures that tell how much patches differ."""
_NORMAL = 1.4826
"""Deviations of a normal distribution in one median distance from the median."""
_HEAVY = 2.0
"""Times by which the deviation is above the robust one where tails are heavy; of a normal distribution it is 1."""
SEVERAL = 5
"""Words that make a text of a category."""
_BEGINNING = 2000
"""Characters that tell whether there are so many."""
_ONE = np.ones(1)


class Coordinates:
    """Rows as points such that near duplicates are within 1 of each other, by the root of the mean over the numbers.

    The mean, and not the largest: of hundred numbers that are moved a little one is moved much.

    A number counts in ``distance`` deviations of the training rows, a missing one is NaN; a picture by the means of 8
    by 8 patches, in ``distance`` of its range; a sequence by the means of 8 parts of its steps, in ``distance``
    deviations of each; categories must be equal, upper and lower case, spaces and punctuation aside; texts must share
    most of their runs of three words. Deviations are robust ones where tails are heavy: the plain one is then that of a
    few rows, and nearly all others are within it.
    """

    def __init__(self, train: TrainingRows, features: Mapping[str, Feature], distance: float) -> None:
        self.features = features
        self.scales = {
            name: _scale(column, features[name].kind) * distance for name, column in learnable(train).columns.items()
        }
        self.texts = {name for name, column in train.columns.items() if _is_text(column)}

    def of(self, *parts: Rows) -> list[NDArray[np.float64]]:
        """Points of some parts, whose categories are numbered together. Shapes: [N] each → [N,D] each.

        They are mapped, as pictures or sequences are that do not fit into memory: often they are larger than those.
        """
        made: list[list[NDArray[np.float64]]] = [[] for _ in parts]
        for name, scale in self.scales.items():
            columns = [part.columns[name] for part in parts]
            for points, column in zip(made, self._axes(name, columns, scale), strict=True):
                points.append(column)
        return [points[0] if len(points) == 1 else _beside(points) for points in made]

    def _axes(self, name: str, columns: list[NDArray[Any]], scale: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        if self.features[name].kind == "category" or _is_written(columns[0]):
            alike = _texts_alike(columns) if name in self.texts else _words_alike(columns)
            ends = np.cumsum([len(column) for column in columns])[:-1]
            return [part[:, None] for part in np.split(alike * APART, ends)]
        if columns[0].ndim == 4:
            return [_patches(column, scale) for column in columns]
        if columns[0].ndim == 3:
            return [_segments(column, scale) for column in columns]
        return [_number(column, scale)[:, None] for column in columns]


def _scale(column: NDArray[Any], kind: str) -> NDArray[np.float64]:
    """What distances count in: deviations of a number or of a sequence's means, or of all patches of all pictures."""
    one = np.ones(1)
    if kind == "category" or _is_written(column):
        return one
    if column.ndim == 3:
        segments = _segments(column)
        return np.array(
            [_deviation(axis[np.isfinite(axis)]) if np.isfinite(axis).any() else 1.0 for axis in segments.T]
        )
    if column.ndim == 4:
        patches = _patches(mapped.taken(column, evenly(len(column), _SOME), sys.maxsize))
        there = patches[np.isfinite(patches)]
        return one * ((float(there.std()) or 1.0) if len(there) else 1.0)
    present = column[~is_missing(column)].astype(np.float64)
    return one * _deviation(present) if len(present) else one


def _deviation(values: NDArray[np.float64]) -> float:
    """Of some numbers, 1 where they are all alike: by their median distance from the median where tails are heavy.

    Shapes: [N]. Source: Rousseeuw and Croux, Alternatives to the Median Absolute Deviation, 1993.
    """
    plain = float(values.std()) or 1.0
    robust = _NORMAL * float(np.median(np.abs(values - np.median(values))))
    return robust if 0 < _HEAVY * robust < plain else plain


def _number(column: NDArray[Any], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(is_missing(column), np.nan, column.astype(np.float64) / scale)


def _patches(pictures: NDArray[Any], scale: NDArray[np.float64] = _ONE) -> NDArray[np.float64]:
    """Means of patches, in units of a scale. Shapes: [N,C,H,W], [1] → [N,C*min(H,8)*min(W,8)]."""
    rows, columns = (np.linspace(0, n, min(n, SIDE) + 1).astype(np.int64) for n in pictures.shape[2:])
    made = _points(pictures, pictures.shape[1] * (len(rows) - 1) * (len(columns) - 1))
    for some in mapped.parts(pictures, most=1024):
        values = pictures[some].astype(np.float64)
        sums = np.add.reduceat(np.add.reduceat(values, rows[:-1], axis=2), columns[:-1], axis=3)
        made[some] = (sums / (np.diff(rows)[:, None] * np.diff(columns))).reshape(len(values), -1) / scale
    return made


def _points(column: NDArray[Any], axes: int) -> NDArray[np.float64]:
    """Points to be filled, mapped where what they stand for is. Shapes: [N,…] → [N,D]."""
    most = mapped.PART_BYTES if mapped.is_mapped(column) else sys.maxsize
    return mapped.empty((len(column), axes), np.float64, most)


def _beside(points: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Axes of several columns, mapped where any of them are. Shapes: [N,D] each → [N,ΣD]."""
    most = mapped.PART_BYTES if any(map(mapped.is_mapped, points)) else sys.maxsize
    made: NDArray[np.float64] = mapped.empty((len(points[0]), sum(axes.shape[1] for axes in points)), np.float64, most)
    return np.concatenate(points, axis=1, out=made)


def _segments(sequences: NDArray[Any], scale: NDArray[np.float64] = _ONE) -> NDArray[np.float64]:
    """Means of equal parts of each sequence's own steps, and the logarithm of how many these are.

    A step counts by how much of it lies in a part. Gaps are bridged, so that sequences with different ones meet; a
    channel without any value is NaN. Shapes: [N,T,C], [1 or D] → [N,D], D = min(T,8)*C+1.
    """
    parts = min(sequences.shape[1], SEGMENTS)
    made = _points(sequences, parts * sequences.shape[2] + 1)
    for some in mapped.parts(sequences, most=1024):
        values = sequences[some].astype(np.float64)
        there = np.isfinite(values)
        steps = np.where(there.any(axis=2), np.arange(1, values.shape[1] + 1), 0).max(axis=1)
        sums = _shares(_bridged(values, there), steps, parts)
        means = np.where(there.any(axis=1, keepdims=True), sums * parts / np.maximum(steps, 1)[:, None, None], np.nan)
        made[some] = np.column_stack([means.reshape(len(values), -1), np.log(np.maximum(steps, 1))]) / scale
    return made


def _bridged(values: NDArray[np.float64], there: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Gaps between values as a line, others as the nearest value; 0 where a channel has none. Shapes: [N,T,C]."""
    steps, last = np.arange(values.shape[1])[None, :, None], values.shape[1] - 1
    before = np.maximum.accumulate(np.where(there, steps, -1), axis=1)
    after = np.minimum.accumulate(np.where(there, steps, last + 1)[:, ::-1], axis=1)[:, ::-1]
    low, high = np.where(before < 0, after, before), np.where(after > last, before, after)
    filled = np.where(there, values, 0.0)
    ends = [np.take_along_axis(filled, np.clip(places, 0, last), axis=1) for places in (low, high)]
    along = (steps - low) / np.maximum(high - low, 1)
    bridged: NDArray[np.float64] = ends[0] + (ends[1] - ends[0]) * along
    return bridged


def _shares(values: NDArray[np.float64], steps: NDArray[np.int64], parts: int) -> NDArray[np.float64]:
    """Sums over equal parts of the first ``steps``. Shapes: [N,T,C], [N] → [N,parts,C]."""
    whole = np.pad(values.cumsum(axis=1), ((0, 0), (1, 0), (0, 0)))
    places = steps[:, None] * np.arange(parts + 1) / parts
    below = np.minimum(np.floor(places).astype(np.int64), values.shape[1] - 1)
    low, high = (np.take_along_axis(whole, (below + more)[:, :, None], axis=1) for more in (0, 1))
    return np.diff(low + (high - low) * (places - below)[:, :, None], axis=1)


def _is_written(column: NDArray[Any]) -> bool:
    """Whether the values are texts, or the UTF-8 bytes of texts."""
    return column.dtype == object or (column.ndim == 2 and column.dtype == np.uint8)


def _read(column: NDArray[Any]) -> Iterator[str]:
    """The values as texts, bytes as the UTF-8 that they are. Shapes: [N] or [N,L] → [N]."""
    if column.ndim != 2:
        return map(str, column.tolist())
    return (row.tobytes().rstrip(b"\0").decode("utf-8", errors="replace") for row in column)


def _is_text(column: NDArray[Any]) -> bool:
    """Whether the values are of several words, the most of them."""
    return _is_written(column) and words_in(column) >= SEVERAL


def words_in(column: NDArray[Any]) -> float:
    """The median of how many words its texts have, or so many as tell."""
    some = (text[:_BEGINNING] for text in _read(column[:: -(-len(column) // 1000)]))
    return float(np.median([_words(text) for text in some]))


def _words(text: str) -> float:
    """About how many words a text has; two characters are one where no spaces are written."""
    found = words_of(text)
    alone = sum(len(word) == 1 and not word.isascii() for word in found)
    return len(found) - alone / 2


def _texts_alike(columns: list[NDArray[Any]]) -> NDArray[np.int64]:
    """The same number for texts that are nearly the same; bytes are read some at once."""
    if columns[0].ndim == 2:
        return clusters(itertools.chain.from_iterable(map(_read, columns)))
    values, codes = distinct(np.concatenate(columns))
    found: NDArray[np.int64] = clusters(map(str, values.tolist()))[codes]
    return found


def _words_alike(columns: list[NDArray[Any]]) -> NDArray[np.int64]:
    """The same number for categories that are equal but for case, spaces and punctuation."""
    if columns[0].ndim == 2:
        columns = [np.array(list(_read(column)), dtype=object) for column in columns]
    values, codes = distinct(np.concatenate(columns))
    plain = [_plain(str(value)) for value in values.tolist()]
    found: NDArray[np.int64] = np.unique(plain, return_inverse=True)[1][codes].astype(np.int64)
    return found


def _plain(text: str) -> str:
    return " ".join(words_of(text)) or text
