"""The append-only log between processes: written before the answer, read by place, never losing what was acknowledged.

On disk ``LOG/WRITER/NUMBER.seg``, one folder a writing process, held under a lock for as long as it lives. A segment is
a run of frames (:mod:`staytrue.segments`), and zeros behind them while it is written (:mod:`staytrue.growing`). Other
bytes at its end that are no whole frame are a torn tail: what a killed writer was writing, never acknowledged to
anybody. A segment that has a successor is never written again.

Readers (:mod:`staytrue.readers`) keep their place in ``LOG/readers/NAME.json``. A segment is deleted once every reader
has acknowledged it.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
import uuid
import weakref
from typing import TYPE_CHECKING, Literal

from staytrue.bound import Bound
from staytrue.errors import TooLarge, Unavailable
from staytrue.filling import whole
from staytrue.growing import Growing
from staytrue.quick import Quick
from staytrue.records import fsync_folder
from staytrue.segments import ALONE, LOCK, WOVEN, frames, seed_of, segment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from staytrue.filling import Piece

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
        self._bound, self._quick = Bound(log, max_bytes), Quick(self._seed)
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
        self._append(ALONE, payloads)

    def append_woven(self, pieces: Sequence[Piece]) -> None:
        """As :meth:`append`, groups of records that differ in little, as :func:`staytrue.segments.kept` has them."""
        self._append(WOVEN, pieces)

    def _append(self, magic: bytes, pieces: Sequence[Piece]) -> None:
        with self._turn:
            try:
                done = self._quick.append(magic, pieces)
            except OSError as error:  # after a part was written
                if (file := self._settle()) is not None:
                    file.spoil()
                raise self._unavailable(error) from error
        if not done:
            self._write(frames(whole(pieces), self._seed, magic))

    def _write(self, block: bytes) -> None:
        """The usual way, which sees to all that the quick one leaves to it; that goes on from here."""
        with self._turn:
            try:
                self._settle()
                file = self._with_room(len(block))
                file.write(block)
            except OSError as error:
                raise self._unavailable(error) from error
            self._bound.wrote(len(block))
            self._quick.open(file, self._bound)

    def _settle(self) -> Growing | None:
        """Take over what was written by the quick way, and end it; the file."""
        file = self._file
        if file is not None:
            # In this order, and by place: what a signal's handler raises may come between any two steps, and what was
            # acknowledged would be written over, or cut off, were it forgotten.
            written = max(0, self._quick.at - file.size)
            file.size += written
            self._bound.wrote(written)
        self._quick.close()
        return file

    def room(self) -> int:
        """Bytes that may be written as of now; ``OSError`` where the disk does not tell."""
        disk = os.statvfs(self._log)
        with self._turn:
            file = self._settle()
            left = self._bound.look(0 if file is None else file.ahead)
        return min(left, disk.f_bavail * disk.f_frsize)

    def close(self) -> None:
        """Let go of the log; readers then know that nothing more comes from this writer."""
        with self._turn:
            if (file := self._settle()) is not None:
                file.close()
                self._file = None
            self._release()

    def _release(self) -> None:
        """As :meth:`close`, but the file stays as it is."""
        self._quick.close()
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
            if file.lost:
                problem = "was deleted or moved while it is written, so that nobody would read it"
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
