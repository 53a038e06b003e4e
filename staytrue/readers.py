"""Readers of the event log: each gets all that was written, from where it was, and says how far it has come.

A segment is deleted once every reader has acknowledged it (:mod:`staytrue.places`).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from staytrue.places import Places, Position, all_places, at_end, delete_passed
from staytrue.records import Record, read, to_json, write_atomically
from staytrue.segments import LOCK, READERS, alive, numbers, read_from, seed_of, segment, size, writers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Batch(Record, frozen=True, kw_only=True):
    """Records read in one go from one segment, not yet acknowledged."""

    writer: str
    segment: int
    start: int
    end: int
    payloads: list[bytes]
    damaged: int = 0


class Reader:
    """Reads all writers of a log from where this reader, by name, last acknowledged. One process a name.

    A batch comes again until it is acknowledged. It always begins where the last acknowledgement ended, so what is
    stored under (writer, segment, start) is stored once, also when a kill falls between storing and acknowledging.
    """

    def __init__(self, log: Path, name: str) -> None:
        self._log, self._path = log, log / READERS / f"{name}.json"
        self._places = read(Places, self._path) if self._path.exists() else Places()
        there = {folder.name for folder in writers(log)}
        gone = self._places.positions.keys() - there
        if gone or not self._path.exists():
            # On a full disk it is saved with what is acknowledged first: who reads may be who makes room.
            with contextlib.suppress(OSError):
                self._save({name: place for name, place in self._places.positions.items() if name in there})

    @property
    def places(self) -> Places:
        """What has been acknowledged so far."""
        return self._places

    def batches(self, limit_bytes: int = 16 * 1024 * 1024) -> Iterator[Batch]:
        """One batch a writer that has something new; acknowledge each before asking for more."""
        for folder in writers(self._log):
            batch = self._next(folder, limit_bytes)
            if batch:
                yield batch

    def acknowledge(self, batch: Batch) -> None:
        """Remember the place behind a batch; where that fails (``OSError``) the batch comes again, with what is new."""
        self._move(
            batch.writer,
            Position(segment=batch.segment, offset=batch.end),
            damaged_records=self._places.damaged_records + batch.damaged,
            entries=self._places.entries + len(batch.payloads),
        )

    def backlog_bytes(self) -> int:
        """Bytes written and not yet acknowledged by this reader."""
        total = 0
        for folder in writers(self._log):
            place = self._place(folder)
            for number in numbers(folder):
                passed = place.offset if number == place.segment else 0
                total += max(0, size(folder, number) - passed) if number >= place.segment else 0
        return total

    def _next(self, folder: Path, limit_bytes: int) -> Batch | None:
        while True:
            place = self._place(folder)
            # In this order: what a dead writer wrote is all there, and a segment with a successor is complete.
            living = alive(folder)
            later = [number for number in numbers(folder) if number > place.segment]
            found = read_from(segment(folder, place.segment), place.offset, limit_bytes, seed_of(folder.name))
            if found.end:
                end = place.offset + found.end
                return Batch(
                    writer=folder.name,
                    segment=place.segment,
                    start=place.offset,
                    end=end,
                    payloads=found.payloads,
                    damaged=found.damaged,
                )
            if not later:
                if not living:
                    self._bury(folder, place)
                return None
            self._leave(folder, place, Position(segment=later[0]))
            delete_passed(self._log, folder)

    def _bury(self, folder: Path, place: Position) -> None:
        """Forget a writer that is dead and read to its end, once all readers are there too."""
        end = size(folder, place.segment)
        if place.offset < end:
            self._leave(folder, place, Position(segment=place.segment, offset=end))
        if not all(at_end(other, folder) for other in all_places(self._log)):
            return
        for number in numbers(folder):
            segment(folder, number).unlink(missing_ok=True)
        (folder / LOCK).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another reader was quicker, or somebody's own file lies there
            folder.rmdir()
        if not folder.exists():
            self._save({name: kept for name, kept in self._places.positions.items() if name != folder.name})

    def _place(self, folder: Path) -> Position:
        return self._places.positions.get(folder.name, Position())

    def _leave(self, folder: Path, place: Position, following: Position) -> None:
        """Go on behind a segment's end; what lies between is a torn tail."""
        torn = size(folder, place.segment) > place.offset
        self._move(folder.name, following, torn_tails=self._places.torn_tails + torn)

    def _move(self, writer: str, place: Position, **counts: int) -> None:
        self._save({**self._places.positions, writer: place}, **counts)

    def _save(self, positions: dict[str, Position], **counts: int) -> None:
        """Where it cannot be written nothing has changed: what starts anew would not know of it."""
        places = msgspec.structs.replace(self._places, positions=positions, **counts)
        write_atomically(self._path, to_json(places))
        self._places = places
