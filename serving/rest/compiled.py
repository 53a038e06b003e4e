"""What is compiled to read JSON (native/): small bodies of models that it knows, long lists of numbers; or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staytrue.compiled import native

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serving.rest.forms import Side

    Read = tuple[int, list[bytes | list[str]]]
    """Rows, and the inputs in the signature's order."""


def _no_floats(_body: bytes, _start: int, _end: int, _count: int, _width: int, /) -> None:
    """In the place of what reads a list of numbers: :mod:`serving.rest.spans` has a parser for them."""


Reader: Callable[..., Any] | None = None if native is None else native.Reader
floats: Callable[[bytes, int, int, int, int], bytes | None] = _no_floats if native is None else native.floats


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
        read: Callable[[bytes], Read | None] = Reader(told, most).read
    except (ValueError, OverflowError):  # other types, more values, a name that JSON does not write as it is
        return _nothing
    return read


def _nothing(_: bytes) -> None:
    """In the place of a reader."""
