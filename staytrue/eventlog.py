"""The append-only log between processes: written before the answer, read by place, never losing what was acknowledged.

On disk ``LOG/WRITER/NUMBER.seg``, one folder a writing process, held under a lock for as long as it lives. A segment is
a run of frames (:mod:`staytrue.segments`), and zeros behind them while it is written (:mod:`staytrue.growing`). Other
bytes at its end that are no whole frame are a torn tail: what a killed writer was writing, never acknowledged to
anybody. A segment that has a successor is never written again.

Readers keep their place in ``LOG/readers/NAME.json``. A segment is deleted once every reader has acknowledged it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
import uuid
import weakref
from typing import TYPE_CHECKING, Literal

import msgspec

from staytrue.bound import Bound
from staytrue.errors import TooLarge, Unavailable
from staytrue.growing import Growing
from staytrue.places import Places, Position, all_places, at_end, delete_passed
from staytrue.records import Record, fsync_folder, read, to_json, write_atomically
from staytrue.segments import (
    LOCK,
    READERS,
    alive,
    frames,
    numbers,
    read_from,
    seed_of,
    segment,
    size,
    woven_frames,
    writers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Durability = Literal["durable", "sync"]
"""``durable``: in the kernel's hands before the answer, so it outlives kill -9 of any process. ``sync``: on the disk
before the answer, so it outlives a power cut too."""


class Writer:
    """Appends records, for all threads of one process. A forked child has no writer: it makes its own.

    ``max_bytes`` bounds the whole log, dead writers' segments included, give or take what others have ahead or
    writes at the same time (:class:`staytrue.bound.Bound`).

    Raises:
        Unavailable: the folder cannot be made; and from :meth:`append`.
    """

    def __init__(
        self,
        log: Path,
        *,
        durability: Durability = "durable",
        segment_bytes: int = 64 * 1024 * 1024,
        max_bytes: int = 4 * 1024 * 1024 * 1024,
    ) -> None:
        self.name = f"{int(time.time() * 1000):013d}-{uuid.uuid4().hex[:8]}"
        self._log, self._folder, self._seed = log, log / self.name, seed_of(self.name)
        # Only segments that were left can be deleted: several must fit below the bound, or a full log stays full.
        self._sync, self._segment_bytes = durability == "sync", max(1, min(segment_bytes, max_bytes // 4))
        self._bound = Bound(log, max_bytes)
        self._number, self._lock = -1, -1
        self._file: Growing | None = None
        self._turn = threading.Lock()
        try:
            # The folder appears with its lock held: a reader must not take a writer that is just starting for dead.
            making = log / f".{self.name}"
            making.mkdir(parents=True)
            self._lock = os.open(making / LOCK, os.O_WRONLY | os.O_CREAT, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            making.rename(self._folder)
            self._open_segment()
            fsync_folder(log)
        except OSError as error:
            self._release()
            raise self._unavailable(error) from error
        _open_writers.add(self)

    def append(self, payloads: Sequence[bytes]) -> None:
        """Write records, all or none; when it returns they outlive this process.

        Raises:
            Unavailable: the log has reached ``max_bytes`` and its readers do not keep up, or the disk refuses, or the
                log was closed. Nothing was written then.
            TooLarge: a record beyond any bound, or the records together beyond ``max_bytes``.
        """
        self._append(frames(payloads, self._seed))

    def append_woven(self, woven: Sequence[bytes]) -> None:
        """As :meth:`append`, groups of records that differ in little, as :func:`staytrue.segments.kept` has them."""
        self._append(woven_frames(woven, self._seed))

    def _append(self, block: bytes) -> None:
        with self._turn:
            try:
                self._with_room(len(block)).write(block)
            except OSError as error:
                raise self._unavailable(error) from error
            self._bound.wrote(len(block))

    def room(self) -> int:
        """Bytes that may be written as of now; ``OSError`` where the disk does not tell."""
        disk = os.statvfs(self._log)
        with self._turn:
            left = self._bound.look(0 if self._file is None else self._file.ahead)
        return min(left, disk.f_bavail * disk.f_frsize)

    def close(self) -> None:
        """Let go of the log; readers then know that nothing more comes from this writer."""
        with self._turn:
            if self._file is not None:
                self._file.close()
                self._file = None
            self._release()

    def _release(self) -> None:
        """As :meth:`close`, but the file stays as it is."""
        file, lock, self._file, self._lock = self._file, self._lock, None, -1
        if file is not None:
            file.let_go()
        if lock >= 0:  # the last
            os.close(lock)

    def _with_room(self, extra: int) -> Growing:
        """The segment that so many bytes are to be written to."""
        file = self._file
        if file is None:
            raise Unavailable(f'event log "{self._log}"', "is closed")
        most = self._bound.most_bytes
        if extra > most:
            raise TooLarge(f'event log "{self._log}"', expected=f"at most {most} bytes", got=f"{extra} bytes")
        if file.spoilt or (file.size and file.size + extra > self._segment_bytes):
            file = self._open_segment()
        if self._bound.due(extra):
            if file.deleted:
                problem = "was deleted while it is written, so that nobody would read it"
                raise Unavailable(f'event log "{self._log}"', problem, hint="start the server anew")
            self._bound.look(file.ahead)
        if not self._bound.has(extra):
            problem = f"is full at {most} bytes"
            raise Unavailable(f'event log "{self._log}"', problem, hint="is the sidecar collecting from it?")
        return file

    def _open_segment(self) -> Growing:
        self._number += 1  # also if it fails: a number is used once
        path, old = segment(self._folder, self._number), self._file
        file = self._file = Growing(path, sync=self._sync, bound=self._segment_bytes)
        file.spoilt = True
        if old is not None:
            old.close()
        fsync_folder(self._folder)
        file.spoilt = False
        return file

    def _unavailable(self, error: OSError) -> Unavailable:
        return Unavailable(f'event log "{self._log}"', f"cannot be written: {error.strerror}")


_open_writers: weakref.WeakSet[Writer] = weakref.WeakSet()


def _release_in_child() -> None:
    """A forked child shares the lock and would keep a killed parent's log alive. (What is exec'd gets no handle.)."""
    for writer in _open_writers:
        writer._turn = threading.Lock()  # noqa: SLF001 - this module's own; a thread that is no more may hold the old
        writer._release()  # noqa: SLF001 - this module's own


os.register_at_fork(after_in_child=_release_in_child)


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
