"""Texts that differ in little, put together many at once: by compiled code where it was built, else here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from staytrue.compiled import native

if TYPE_CHECKING:
    # Woven is decoded, by its types.
    from collections.abc import Callable


class Woven(NamedTuple):
    """Several texts as they are kept: what they have in common once, and the rest by columns."""

    rows: int
    """Texts."""
    around: list[bytes]
    """What is the same in all of them: before the first column, behind it, and so on."""
    columns: list[bytes | list[bytes]]
    """What is each one's own: a list of them, or where all are as long as each other one behind the other."""

    def texts(self) -> list[bytes]:
        """Each of them whole.

        >>> Woven(2, [b"<", b"=", b">"], [b"ab", [b"1", b"234"]]).texts()
        [b'<a=1>', b'<b=234>']

        Raises:
            ValueError: it does not fit together.
        """
        if self.rows < 1 or not self.columns:
            raise ValueError("rows, columns: expected some")
        return weave(self.around, tuple([self._column(column) for column in self.columns]))

    def _column(self, column: bytes | list[bytes]) -> list[bytes]:
        if isinstance(column, bytes):
            width, rest = divmod(len(column), self.rows)
            if rest or not width:  # of nothing for each there might be any number
                raise ValueError(f"column: expected as many bytes for each of {self.rows}; got {len(column)}")
            return [column[at : at + width] for at in range(0, len(column), width)]
        if len(column) != self.rows:
            raise ValueError(f"column: expected {self.rows} texts; got {len(column)}")
        return column


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
