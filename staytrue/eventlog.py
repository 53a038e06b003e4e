"""The append-only log between processes: written before the answer, read by place, never losing what was acknowledged.

On disk ``LOG/WRITER/NUMBER.seg``, one folder a writing process, held under a lock for as long as it lives. A segment is
a run of records, each ``length (u32) | CRC-32 of the payload (u32) | payload``, little-endian. A record whose bytes end
early is a torn tail: what a killed writer was writing, never acknowledged to anybody.

Readers keep their place in ``LOG/readers/NAME.json``. A segment is deleted once every reader has acknowledged it.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
import uuid
import zlib
from typing import TYPE_CHECKING, Literal

import msgspec

from staytrue.errors import CorruptData, Unavailable
from staytrue.records import Record, fsync_folder, read, to_json, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_HEADER = struct.Struct("<II")
_SEGMENT = "{:012d}.seg"
MAX_RECORD_BYTES = 256 * 1024 * 1024
"""Nothing longer is written, so a longer length can only be damage."""

Durability = Literal["durable", "sync"]
"""``durable``: in the kernel's hands before the answer, so it outlives kill -9 of any process. ``sync``: on the disk
before the answer, so it outlives a power cut too."""


class Writer:
    """Appends records. One per process; not for several threads at once.

    Raises:
        Unavailable: from :meth:`append`, when the log has reached ``max_bytes`` and its readers do not keep up, or the
            disk refuses. Nothing was written then.
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
        self._log, self._folder = log, log / self.name
        self._sync, self._segment_bytes, self._max_bytes = durability == "sync", segment_bytes, max_bytes
        self._folder.mkdir(parents=True)
        self._lock = (self._folder / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._number, self._size, self._total, self._file = 0, 0, 0, -1
        self._open_segment()
        fsync_folder(log)

    def append(self, payloads: Sequence[bytes]) -> None:
        """Write records as one system call; when it returns they outlive this process."""
        block = b"".join(
            part for payload in payloads for part in (_HEADER.pack(len(payload), zlib.crc32(payload)), payload)
        )
        if self._size and self._size + len(block) > self._segment_bytes:
            self._open_segment()
        if self._total + len(block) > self._max_bytes:
            self._recount()
        if self._total + len(block) > self._max_bytes:
            where = f'event log "{self._log}"'
            raise Unavailable(where, f"is full at {self._max_bytes} bytes", hint="is the sidecar collecting from it?")
        self._write(block)

    def close(self) -> None:
        """Let go of the log; readers then know that nothing more comes from this writer."""
        os.close(self._file)
        self._lock.close()

    def _write(self, block: bytes) -> None:
        done = 0
        try:
            while done < len(block):
                done += os.write(self._file, memoryview(block)[done:])
            if self._sync:
                os.fdatasync(self._file)
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise Unavailable(f'event log "{self._log}"', f"cannot be written: {error.strerror}") from error
        self._size += done
        self._total += done

    def _open_segment(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._number += 1
        path = self._folder / _SEGMENT.format(self._number)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self._size = 0
        fsync_folder(self._folder)

    def _recount(self) -> None:
        self._total = sum(path.stat().st_size for path in _segments(self._folder))


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


class Batch(Record, frozen=True, kw_only=True):
    """Records read in one go from one segment, not yet acknowledged."""

    writer: str
    segment: int
    start: int
    end: int
    payloads: list[bytes]
    damaged: int = 0


class Reader:
    """Reads all writers of a log from where this reader, by name, last acknowledged.

    A batch comes again until it is acknowledged. It always begins where the last acknowledgement ended, so what is
    stored under (writer, segment, start) is stored once, also when a kill falls between storing and acknowledging.
    """

    def __init__(self, log: Path, name: str) -> None:
        self._log, self._path = log, log / "readers" / f"{name}.json"
        self._places = read(Places, self._path) if self._path.exists() else Places()
        if not self._path.exists():
            self._save()

    @property
    def places(self) -> Places:
        """What has been acknowledged so far."""
        return self._places

    def batches(self, limit_bytes: int = 16 * 1024 * 1024) -> Iterator[Batch]:
        """One batch a writer that has something new; acknowledge each before asking for more."""
        for folder in _writers(self._log):
            batch = self._next(folder, limit_bytes)
            if batch:
                yield batch

    def acknowledge(self, batch: Batch) -> None:
        """Remember the place behind a batch, then delete segments that all readers have passed."""
        place = Position(segment=batch.segment, offset=batch.end)
        self._places = msgspec.structs.replace(
            self._places,
            positions={**self._places.positions, batch.writer: place},
            damaged_records=self._places.damaged_records + batch.damaged,
            entries=self._places.entries + len(batch.payloads),
        )
        self._save()

    def backlog_bytes(self) -> int:
        """Bytes written and not yet acknowledged by this reader."""
        total = 0
        for folder in _writers(self._log):
            place = self._places.positions.get(folder.name, Position())
            for path in _segments(folder):
                number = int(path.stem)
                if number >= place.segment:
                    total += path.stat().st_size - (place.offset if number == place.segment else 0)
        return total

    def _next(self, folder: Path, limit_bytes: int) -> Batch | None:
        place = self._places.positions.get(folder.name, Position())
        while True:
            path = folder / _SEGMENT.format(place.segment)
            finished = (folder / _SEGMENT.format(place.segment + 1)).exists()
            alive = _alive(folder)  # asked before reading: what a dead writer wrote is all there
            batch = _read_segment(path, folder.name, place, limit_bytes)
            if batch.payloads or batch.damaged:
                return batch
            if finished:
                self._leave(folder, path, place)
                place = Position(segment=place.segment + 1)
                continue
            if not alive:
                self._bury(folder, path, place)
            return None

    def _leave(self, folder: Path, path: Path, place: Position) -> None:
        """Go on to the next segment of a writer, counting a torn tail."""
        self._count_torn(path, place)
        positions = {**self._places.positions, folder.name: Position(segment=place.segment + 1)}
        self._places = msgspec.structs.replace(self._places, positions=positions)
        self._save()
        _delete_passed(self._log, folder)

    def _bury(self, folder: Path, path: Path, place: Position) -> None:
        """Forget a writer that is dead and read to its end, once all readers are there too."""
        size = path.stat().st_size if path.exists() else 0
        if place.offset < size:
            self._count_torn(path, place)
            positions = {**self._places.positions, folder.name: Position(segment=place.segment, offset=size)}
            self._places = msgspec.structs.replace(self._places, positions=positions)
            self._save()
        if all(_at_end(other, folder) for other in _readers(self._log)):
            for segment in _segments(folder):
                segment.unlink(missing_ok=True)
            (folder / "lock").unlink(missing_ok=True)
            folder.rmdir()

    def _count_torn(self, path: Path, place: Position) -> None:
        if path.exists() and path.stat().st_size > place.offset:
            self._places = msgspec.structs.replace(self._places, torn_tails=self._places.torn_tails + 1)

    def _save(self) -> None:
        write_atomically(self._path, to_json(self._places))


def _read_segment(path: Path, writer: str, place: Position, limit_bytes: int) -> Batch:
    payloads: list[bytes] = []
    offset, damaged = place.offset, 0
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(limit_bytes)
            if len(data) >= _HEADER.size and len(data) < _HEADER.size + (wanted := _HEADER.unpack_from(data)[0]):
                data += file.read(min(wanted, MAX_RECORD_BYTES))  # one record longer than the limit
    except FileNotFoundError:
        data = b""
    at = 0
    while at + _HEADER.size <= len(data):
        length, checksum = _HEADER.unpack_from(data, at)
        begin, end = at + _HEADER.size, at + _HEADER.size + length
        if length > MAX_RECORD_BYTES:
            raise CorruptData(str(path), f"is damaged at byte {offset + at}: a record of {length} bytes")
        if end > len(data):
            break
        payload = data[begin:end]
        if zlib.crc32(payload) == checksum:
            payloads.append(payload)
        else:
            damaged += 1
        at = end
    return Batch(
        writer=writer, segment=place.segment, start=offset, end=offset + at, payloads=payloads, damaged=damaged
    )


def _writers(log: Path) -> list[Path]:
    if not log.exists():
        return []
    return sorted(path for path in log.iterdir() if path.is_dir() and path.name != "readers")


def _readers(log: Path) -> list[Places]:
    return [read(Places, path) for path in sorted((log / "readers").glob("*.json"))]


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.seg"))


def _alive(folder: Path) -> bool:
    """Whether the process that writes here still holds its lock."""
    try:
        with (folder / "lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return time.time() - folder.stat().st_mtime < 10  # a writer that is just starting
    return False


def _at_end(places: Places, folder: Path) -> bool:
    segments = _segments(folder)
    if not segments:
        return True
    place = places.positions.get(folder.name, Position())
    return place.segment >= int(segments[-1].stem) and place.offset >= segments[-1].stat().st_size


def _delete_passed(log: Path, folder: Path) -> None:
    places = [reader.positions.get(folder.name, Position()) for reader in _readers(log)]
    passed = min((place.segment for place in places), default=0)
    for path in _segments(folder):
        if int(path.stem) < passed:
            path.unlink(missing_ok=True)
