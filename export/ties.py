"""Ties: decisions so near their boundary that the tolerance lets the numbers beside them fall on either side of it.

A decision is a class's name, a whole number or a flag: none is near another, so an artefact's must be the module's own.
But where the module also gives the numbers that it decides by, and two of them are as near as the tolerance lets them
move, either decision is right. Which output holds those numbers is nowhere written: it is one by which all decisions of
the module itself are made, row by row. An output that is as wide by chance alone is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.tensors import coded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from export.tolerance import Tolerance
    from staytrue.signature import TensorSpec

    Array = NDArray[Any]
    Near = Callable[[Array], NDArray[np.float64]]

DECIDED = 0.5
"""Probability from which on a label is decided for."""
_THRESHOLDS = (DECIDED, 0.0)
"""Of probabilities, and of logits."""
_ROUNDINGS = (np.rint, np.floor, np.trunc, np.ceil)


def excused(spec: TensorSpec, expected: Mapping[str, Array], have: Array, tolerance: Tolerance) -> NDArray[np.bool_]:
    """Where another decision than the module's is as right as its own. Shapes: as the output's.

    Args:
        spec: the output's that holds decisions.
        expected: all that the module gives.
        have: the artefact's decisions, of the same shape and datatype.
    """
    want, found = expected[spec.name], np.zeros(have.shape, dtype=bool)
    for name, array in expected.items():
        if array.dtype.kind != "f":
            continue
        numbers = array.astype(np.float64)
        limit = tolerance.limit(name, numbers)
        if want.dtype.kind == "b":
            found |= _thresholds(want, numbers, limit)
            continue
        found |= _largest(codes(spec, want), codes(spec, have), numbers, limit)
        if want.dtype.kind in "iu":
            found |= _rounded(want, have, numbers, limit)
    return found


def codes(spec: TensorSpec, decisions: Array) -> NDArray[np.int64]:
    """Places of classes: those that names have among the categories, or whole numbers as they are; -1 for none."""
    return coded(spec, decisions) - 1 if decisions.dtype == object else decisions.astype(np.int64)


def by_largest(places: NDArray[np.int64], numbers: NDArray[np.float64]) -> bool:
    """Whether each place is that of the largest number along an axis, wherever all of these are finite."""
    return any(True for _ in _axes(places, numbers))


def by_threshold(flags: NDArray[np.bool_], numbers: NDArray[np.float64], threshold: float = DECIDED) -> bool:
    """Whether each flag says that its number is above a threshold, wherever that is finite; at it either may stand."""
    if flags.shape != numbers.shape:
        return False
    return bool((((numbers > threshold) == flags) | (numbers == threshold) | ~np.isfinite(numbers)).all())


def _axes(places: NDArray[np.int64], numbers: NDArray[np.float64]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Axes along which the places are those of the largest numbers; and the numbers' shape with 1 along it."""
    for axis, size in enumerate(numbers.shape):
        rest = numbers.shape[:axis], numbers.shape[axis + 1 :]
        kept = (*rest[0], 1, *rest[1])
        if places.shape not in (kept, (*rest[0], *rest[1])) or not numbers.size:
            continue
        given, finite = places.reshape(kept), np.isfinite(numbers).all(axis=axis, keepdims=True)
        inside = (given >= 0) & (given < size)
        chosen = np.take_along_axis(numbers, np.clip(given, 0, size - 1), axis)
        if bool(((inside & (chosen == numbers.max(axis=axis, keepdims=True))) | ~finite).all()):
            yield axis, kept


def _largest(
    want: NDArray[np.int64], have: NDArray[np.int64], numbers: NDArray[np.float64], limit: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Where two classes are a tie: their numbers are as near as both may move."""
    found = np.zeros(want.shape, dtype=bool)
    for axis, kept in _axes(want, numbers):
        size = numbers.shape[axis]
        mine, theirs = want.reshape(kept), have.reshape(kept)
        sides = [np.clip(side, 0, size - 1) for side in (mine, theirs)]
        (first, second), (one, other) = (
            [np.take_along_axis(some, side, axis) for side in sides] for some in (numbers, limit)
        )
        inside = (mine >= 0) & (mine < size) & (theirs >= 0) & (theirs < size)
        with np.errstate(invalid="ignore"):  # infinity from infinity
            found |= (inside & (np.abs(first - second) <= one + other)).reshape(want.shape)
    return found


def _thresholds(want: NDArray[np.bool_], numbers: NDArray[np.float64], limit: NDArray[np.float64]) -> NDArray[np.bool_]:
    found = np.zeros(want.shape, dtype=bool)
    for threshold in _THRESHOLDS:
        if by_threshold(want, numbers, threshold):
            found |= np.abs(numbers - threshold) <= limit
    return found


def _rounded(want: Array, have: Array, numbers: NDArray[np.float64], limit: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where a number, moved as far as it may, is rounded to what the artefact gives."""
    found = np.zeros(want.shape, dtype=bool)
    if want.shape != numbers.shape:
        return found
    finite = np.isfinite(numbers)
    for rule in _ROUNDINGS:
        if bool(((rule(numbers) == want) | ~finite).all()):
            found |= finite & (rule(numbers - limit) <= have) & (have <= rule(numbers + limit))
    return found
