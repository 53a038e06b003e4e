"""Where the readers of the event log are, ``LOG/readers/NAME.json``, and what may go because all passed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from staytrue.records import Record, read
from staytrue.segments import READERS, numbers, segment, size

if TYPE_CHECKING:
    from pathlib import Path


class Position(Record, frozen=True, kw_only=True):
    """A place in one writer's records: everything before it has been acknowledged."""

    segment: int = 0
    offset: int = 0


class Places(Record, frozen=True, kw_only=True):
    """What a reader has acknowledged, by writer, and what it found damaged on the way."""

    schema: int = 1
    positions: dict[str, Position] = msgspec.field(default_factory=dict)
    torn_tails: int = 0
    damaged_records: int = 0
    entries: int = 0
    """Records acknowledged since the reader began."""


def all_places(log: Path) -> list[Places]:
    """Places of all readers of a log."""
    return [read(Places, path) for path in sorted((log / READERS).glob("*.json"))]


def at_end(places: Places, folder: Path) -> bool:
    """Whether a reader has acknowledged all that a writer has written."""
    last = max(numbers(folder), default=0)
    place = places.positions.get(folder.name, Position())
    return place.segment > last or (place.segment == last and place.offset >= size(folder, last))


def delete_passed(log: Path, folder: Path) -> None:
    """Delete the segments of a writer that all readers have left."""
    places = [reader.positions.get(folder.name, Position()) for reader in all_places(log)]
    passed = min((place.segment for place in places), default=0)
    for number in numbers(folder):
        if number < passed:
            segment(folder, number).unlink(missing_ok=True)
