"""What is compiled to read JSON (native/): small bodies of models that it knows, long lists of numbers; or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving.calls import Joined
from staytrue.compiled import native

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serving.rest.forms import Side


def _no_floats(_body: bytes, _start: int, _end: int, _count: int, _width: int, /) -> None:
    """In the place of what reads a list of numbers: :mod:`serving.rest.spans` has a parser for them."""


Reader: Callable[..., Any] | None = None if native is None else native.Reader
floats: Callable[[bytes, int, int, int, int], bytes | None] = _no_floats if native is None else native.floats


def reader_of(inputs: Sequence[Side], most: int) -> Callable[[list[bytes], int], list[Joined]]:
    """What reads requests of a model, as :meth:`serving.calls.Form.read` says; it leaves out all that it does not know.

    Args:
        inputs: of the model, each of rows of a fixed size.
        most: rows of a request.
    """
    if Reader is None:
        return _nothing
    told = tuple([(side.name.encode(), side.datatype.encode(), tuple(side.rest)) for side in inputs])
    try:
        read = Reader(told, most).read
    except (ValueError, OverflowError):  # other types, more values, a name that JSON does not write as it is
        return _nothing

    def joined(bodies: list[bytes], together: int) -> list[Joined]:
        found, at = [], 0
        while at < len(bodies):
            at, *some = read(bodies, at, together)
            if some[0]:
                found.append(Joined(*some))
        return found

    return joined


def _nothing(_bodies: list[bytes], _together: int) -> list[Joined]:
    """In the place of a reader."""
    return []
