"""A segment of the event log that is being written.

It is kept a little ahead of its records, with zeros: letting a file grow, by its length and its blocks, costs more than
all else of a small write, and more still where each is synced. Zeros are no frame (:mod:`staytrue.segments`), so that
readers find the end; what was ahead is cut off when the segment is left.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

AHEAD_BYTES = 64 * 1024
"""At most. Longer ones, which the kernel keeps in one piece of memory, make each write into them dearer."""
_ZEROS = memoryview(bytes(AHEAD_BYTES))
_SMALL = AHEAD_BYTES // 8
"""Of longer writes the growing is a small part."""
_MANY = 16
"""A segment that would hold fewer such pieces is one of a small log, which has no room for them."""


class Growing:
    """The file; made, and empty.

    Args:
        path: there must be nothing yet.
        sync: whether each write is to be on the disk when it returns.
        bound: bytes that it is meant to have at most.

    Raises:
        OSError: it cannot be made; and from :meth:`write`.
    """

    def __init__(self, path: Path, *, sync: bool, bound: int) -> None:
        # Not O_APPEND: Linux then writes behind the zeros, whatever place it is told (pwrite(2), BUGS).
        self._path = path
        self.handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self.size = 0
        """Bytes written."""
        self.spoilt = False
        """Whether nothing may be written any more."""
        self.synced, self._bound = sync, bound if bound >= _MANY * AHEAD_BYTES else 0
        self._length = 0
        """Of the file."""

    @property
    def ahead(self) -> int:
        """Bytes of the file that hold no record yet."""
        return max(0, self._length - self.size)

    @property
    def lost(self) -> bool:
        """Whether nobody will find it where it was made: it was deleted, or a folder above it moved away."""
        try:
            return not os.path.samestat(os.fstat(self.handle), self._path.stat())
        except (FileNotFoundError, NotADirectoryError):
            return True

    def write(self, block: bytes) -> None:
        """Add bytes: all of them, or none; then it is spoilt, unless the system refused them as a whole."""
        done = 0
        try:
            while done < len(block):
                done += os.pwrite(self.handle, memoryview(block)[done:] if done else block, self.size + done)
            if self.size + done > self._length:
                self._grow(self.size + done, done)
            if self.synced:
                os.fdatasync(self.handle)
            self.size += done
        except BaseException as error:
            if done or not isinstance(error, OSError):  # what was refused as a whole has left nothing
                self.spoil()
            raise

    def spoil(self) -> None:
        """Take back what a failed write left, and never write behind it: a reader may have read it already."""
        self.spoilt = True
        with contextlib.suppress(OSError):
            os.ftruncate(self.handle, self.size)
            self._length = self.size

    def close(self) -> None:
        """Leave it: nothing is ahead any more."""
        if self.ahead:
            with contextlib.suppress(OSError):
                os.ftruncate(self.handle, self.size)
        self.let_go()

    def let_go(self) -> None:
        """Close the file as it is, of which another process may go on writing."""
        os.close(self.handle)

    def _grow(self, end: int, written: int) -> None:
        self._length = end
        ahead = min(end - end % AHEAD_BYTES + AHEAD_BYTES, self._bound) - end
        if written <= _SMALL and ahead > 0:
            with contextlib.suppress(OSError):  # a full disk may still have room for the records themselves
                self._length += os.pwrite(self.handle, _ZEROS[:ahead], end)
