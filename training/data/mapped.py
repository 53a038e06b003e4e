"""Mapped: arrays too large for memory, each in a file that the system reads and writes as it is used.

A file has no name from its beginning on, so that it is gone with its array, also where the process is killed. It lies
in the folder for temporary files, which ``TMPDIR`` sets. What passes over a whole column goes by :func:`parts`.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import DTypeLike, NDArray

    Make = Callable[[NDArray[Any]], NDArray[Any]]

PART_BYTES = 8 << 20
"""Of a column that are in memory at once; a smaller one is passed over as a whole."""
SHARE = 4
"""That part of ``data.memory`` the columns of rows may take together: there are the rows that train beside all."""
_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}


def most_bytes(memory: str) -> int:
    """What columns may take in memory together, of what a project's data may.

    >>> most_bytes("1GiB"), most_bytes("0.5 MB")
    (268435456, 125000)
    """
    number, power, binary = re.findall(r"([\d.]+) ?([KMGT])(i?)", memory)[0]
    return int(float(number) * (1024 if binary else 1000) ** _POWERS[power]) // SHARE


def empty(shape: Sequence[int], dtype: DTypeLike, most: int) -> NDArray[Any]:
    """An array to be filled, in memory or, if it is of more bytes than ``most``, mapped.

    Raises:
        Unavailable: the disk has no room for it.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= most:
        return np.empty(shape, dtype=dtype)
    with tempfile.TemporaryFile(prefix="staytrue-") as file:
        try:
            if sys.platform == "linux":
                os.posix_fallocate(file.fileno(), 0, size)  # a disk that is full later would kill the process
            else:
                file.truncate(size)
        except OSError as error:
            got, hint = f"{error.strerror} for {size:,} bytes", "set TMPDIR to a larger disk, or raise data.memory"
            raise Unavailable(tempfile.gettempdir(), expected="room for an array", got=got, hint=hint) from error
        return np.frombuffer(mmap.mmap(file.fileno(), size), dtype=dtype).reshape(shape)


def give_back() -> None:
    """Give memory that was freed to the system: glibc keeps it where something small was allocated behind it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def is_mapped(array: NDArray[Any]) -> bool:
    """Whether an array, or what it is a view of, lies in a file."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return isinstance(owner.obj if isinstance(owner, memoryview) else owner, mmap.mmap)


def parts(column: NDArray[Any], rows: int | None = None, most: int = sys.maxsize) -> Iterator[slice]:
    """Of a column, or of so many rows like its own, slices of at most :data:`PART_BYTES` and ``most`` rows."""
    each = column.itemsize * int(np.prod(column.shape[1:], dtype=np.int64))
    step = max(1, min(most, PART_BYTES // max(1, each)))
    total = len(column) if rows is None else rows
    for begin in range(0, total, step):
        yield slice(begin, min(begin + step, total))


def by_parts(make: Make, column: NDArray[Any]) -> NDArray[Any]:
    """What is made of each row by itself, [N,…] → [N,…], without anything in between that is as large as the column."""
    made = [make(column[some]) for some in parts(column)]
    return made[0] if len(made) == 1 else np.concatenate(made or [make(column)])


def changed(make: Make, column: NDArray[Any], most: int) -> NDArray[Any]:
    """A column of the same size, each row made of one. Shapes: [N,…] → [N,…]."""
    made = empty(column.shape, column.dtype, most)
    for some in parts(column):
        made[some] = make(column[some])
    return made


def kept(column: NDArray[Any], most: int) -> NDArray[Any]:
    """The column itself, or if it is of more bytes than ``most`` a mapped copy; objects stay in memory."""
    return column if column.dtype == object or column.nbytes <= most else changed(lambda rows: rows, column, most)


def taken(column: NDArray[Any], which: NDArray[Any], most: int) -> NDArray[Any]:
    """The rows of an index or a mask; of a large column a view where they stand one behind the other."""
    if column.dtype == object or column.nbytes <= most:
        return np.asarray(column[which])
    places = np.flatnonzero(which) if which.dtype == np.bool_ else which
    count = len(places)
    if count and 0 <= places[0] == places[-1] - count + 1 and (np.diff(places) == 1).all():
        return column[places[0] : places[-1] + 1]
    made = empty((count, *column.shape[1:]), column.dtype, most)
    for some in parts(column, count):
        made[some] = column[places[some]]
    return made


def joined(columns: Sequence[NDArray[Any]], places: NDArray[np.int64], most: int) -> NDArray[Any]:
    """Rows of several columns, by their places in all of them one after the other. Shapes: [N,…] each, [M] → [M,…]."""
    first = columns[0]
    row = int(np.prod(first.shape[1:], dtype=np.int64)) * first.itemsize
    if first.dtype == object or max(len(places), sum(map(len, columns))) * row <= most:
        return np.asarray(np.concatenate(columns)[places])
    made = empty((len(places), *first.shape[1:]), np.result_type(*columns), most)
    ends = np.cumsum([len(column) for column in columns])
    for some in parts(made):
        asked, target = places[some], made[some]
        whose = np.searchsorted(ends, asked, side="right")
        for place, column in enumerate(columns):
            mine = whose == place
            target[mine] = column[asked[mine] - (ends[place] - len(column))]
    return made
