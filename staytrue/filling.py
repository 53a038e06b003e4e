"""Pieces of the event log that are written without being put together first: what is around times and columns."""

from __future__ import annotations

import struct
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from staytrue.compiled import native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

double = struct.Struct(">d").pack
"""As MessagePack has a number."""


class When(NamedTuple):
    """Times of events that are alike, and of one run."""

    time: float
    """They arrived, Unix seconds."""
    recorded: float
    """They are written, Unix seconds."""
    queue_seconds: float
    run_seconds: float


class Template(NamedTuple):
    """What stands around times, ids and numbers of some events; made once."""

    parts: list[bytes]
    """Before each time, before the ids, and before each tensor."""
    lengths: list[int]
    """Of ids and of each tensor, all of them together."""


Filling = tuple[Template, When, list[bytes]]
"""With the ids of some events, one behind the other, and what each of their tensors holds."""
Piece = bytes | Filling
"""What becomes a frame of the log."""


def filled(filling: Filling) -> bytes:
    """What is written.

    Raises:
        ValueError: a column is not as long as the template says.
    """
    (parts, lengths), when, columns = filling
    if [*map(len, columns)] != lengths:
        raise ValueError("fill: expected columns of bytes, as long as told")
    held = [*map(double, when), *columns]
    return b"".join(chain.from_iterable(zip(parts, held, strict=True)))


fill: Callable[[Filling], bytes] = filled if native is None else native.filled


def whole(pieces: Iterable[Piece]) -> list[bytes]:
    """Each as bytes."""
    return [piece if isinstance(piece, bytes) else fill(piece) for piece in pieces]
