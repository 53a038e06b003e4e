"""Texts that differ in little, put together many at once: by compiled code where it was built, else here."""

from __future__ import annotations

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


try:
    from staytrue.native import weave as weave  # noqa: PLC0414 - named so that others may import it from here
except ImportError:  # nobody compiled it
    weave = woven
COMPILED = weave is not woven
"""Whether native/ was compiled when this was installed."""
