"""Texts that differ in little, put together many at once: by compiled code where it was built, else here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.compiled import native

if TYPE_CHECKING:
    from collections.abc import Callable

Woven = tuple[list[bytes], tuple[list[bytes], ...]]
"""What stands around, and the columns."""


def woven(around: list[bytes], columns: tuple[list[bytes], ...]) -> list[bytes]:
    """A text for each row of the columns, what stands ``around`` them being the same in all.

    >>> woven([b"<", b"=", b">"], ([b"a", b"b"], [b"1", b"2"]))
    [b'<a=1>', b'<b=2>']

    Raises:
        ValueError: not one more text than columns, or columns of different lengths.
    """
    if len(around) != len(columns) + 1:
        raise ValueError(f"around: expected {len(columns) + 1} texts; got {len(around)}")
    parts = [b""] * (2 * len(columns) + 1)
    parts[::2] = around
    made = []
    for row in zip(*columns, strict=True):
        parts[1::2] = row
        made.append(b"".join(parts))
    return made


weave: Callable[[list[bytes], tuple[list[bytes], ...]], list[bytes]] = woven if native is None else native.weave
