"""Aligned: rows of words one below the other, as a terminal shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """A line a row, each column as wide as its widest word.

    >>> aligned([["run", "error"], ["b", "1.5"]], indent="- ")
    ['- run  error', '- b    1.5']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        f"{indent}{'  '.join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()}"
        for row in rows
    ]
