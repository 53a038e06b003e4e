"""Texts that differ in little, put together many at once: by compiled code where it was built, else here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from staytrue.compiled import native

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Column = bytes | list[bytes] | tuple[bytes]
"""What is each text's own at one place: one behind the other, all as long as each other; a list of them; or, in a
tuple, JSON such as ``[[1,2],[3,4]]``, in which each is a list of plain values and stands without its brackets."""


class Woven(NamedTuple):
    """Several texts as parts: what they have in common once, and the rest by columns."""

    rows: int
    """Texts."""
    around: list[bytes]
    """What is the same in all of them: before the first column, behind it, and so on."""
    columns: list[Column]

    def texts(self) -> list[bytes]:
        """Each of them whole.

        >>> Woven(2, [b"<", b"=", b">"], [b"ab", [b"1", b"234"]]).texts()
        [b'<a=1>', b'<b=234>']

        Raises:
            ValueError: it does not fit together.
        """
        return weave(*self)


def woven(rows: int, around: list[bytes], columns: Sequence[Column]) -> list[bytes]:
    """So many texts; what stands ``around`` the columns is the same in all.

    >>> woven(2, [b"<", b"=", b">"], [b"ab", (b"[[1,2],[3]]",)])
    [b'<a=1,2>', b'<b=3>']

    Raises:
        ValueError: no texts, not one more around than columns, or a column of other than so many.
    """
    if rows < 1 or not columns:
        raise ValueError("rows, around, columns: expected some")
    if len(around) != len(columns) + 1:
        raise ValueError(f"around: expected {len(columns) + 1} texts; got {len(around)}")
    parts = [b""] * (2 * len(columns) + 1)
    parts[::2] = around
    made = []
    for row in zip(*[texts_of(column, rows) for column in columns], strict=True):
        parts[1::2] = row
        made.append(b"".join(parts))
    return made


def texts_of(column: Column, rows: int) -> list[bytes]:
    """Each text's own of so many.

    Raises:
        ValueError: it is not of so many.
    """
    if isinstance(column, bytes):
        width, rest = divmod(len(column), rows)
        if rest or not width:  # of nothing for each there might be any number
            raise ValueError(f"columns: expected as many bytes for each of {rows}; got {len(column)}")
        return [column[at : at + width] for at in range(0, len(column), width)]
    texts = column[0][2:-2].split(b"],[") if isinstance(column, tuple) else column
    if len(texts) != rows:
        raise ValueError(f"columns: expected {rows} texts; got {len(texts)}")
    return texts


weave: Callable[[int, list[bytes], list[Column]], list[bytes]] = woven if native is None else native.weave
