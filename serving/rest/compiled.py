"""What is compiled to read JSON (native/): small bodies of models that it knows, long lists of numbers; or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

try:
    from staytrue.native import Reader as Reader  # noqa: PLC0414 - named, as tests make one
except ImportError:  # nobody compiled it: serving.rest.fast reads the same
    Reader = None  # type: ignore[assignment, misc]

try:
    from staytrue.native import floats as floats  # noqa: PLC0414
except ImportError:  # spans has a parser for them

    def floats(_body: bytes, _start: int, _end: int, _count: int, _width: int, /) -> bytes | None:
        """Nothing, in its place."""
        return None


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serving.rest.forms import Side

    Read = tuple[int, list[bytes | list[str]]]
    """Rows, and the inputs in the signature's order."""


def reader_of(inputs: Sequence[Side], most: int) -> Callable[[bytes], Read | None]:
    """What reads requests of a model; it gives None for all that :mod:`serving.rest.fast` has to read.

    Args:
        inputs: of the model, each of rows of a fixed size.
        most: rows of a request.
    """
    if Reader is None:
        return _nothing
    told = tuple([(side.name.encode(), side.datatype.encode(), tuple(side.rest)) for side in inputs])
    try:
        return Reader(told, most).read
    except ValueError:  # other types, more values, a name that JSON does not write as it is
        return _nothing


def _nothing(_: bytes) -> None:
    """In the place of a reader."""
