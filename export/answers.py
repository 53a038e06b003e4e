"""Answers: what the module itself gives; once for all artefacts that are compared with it on the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from export.pool import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]

MOST_BYTES = 64 * 1024**2
"""Of answers that are kept."""


class Answers:
    """The module's outputs by the rows that it was given, as callers send them."""

    def __init__(self, answer: Callable[[Arrays], Arrays]) -> None:
        self._answer, self._left = answer, MOST_BYTES
        self._kept: dict[str, Arrays] = {}

    def __call__(self, rows: Arrays) -> Arrays:
        """Run the module, or remember."""
        key = sha256_of([rows])
        if key in self._kept:
            return self._kept[key]
        made = self._answer(rows)
        size = sum(array.nbytes for array in made.values())
        if size <= self._left:
            self._kept[key], self._left = made, self._left - size
        return made
