"""The segments of the event log: where they lie, and frames that show where they begin and whether they are whole.

A frame is ``magic (4 bytes) | length (u32) | CRC-32 of the payload (u32) | CRC-32 of these twelve bytes (u32) |
payload``, little-endian. The header's checksum is seeded with the writer's name: a run of zeros left by a power cut is
no frame, and neither is a payload that imitates one.

The magic tells what the payload is: one record, or several that differ in little (:class:`staytrue.weaving.Woven`, a
MessagePack array of its fields), of which a reader makes each by itself. Most of what a small record costs is to be
written, so that what several have in common is written once.
"""

from __future__ import annotations

import fcntl
import math
import os
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from staytrue.compiled import native
from staytrue.errors import TooLarge
from staytrue.weaving import weave

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from io import FileIO
    from pathlib import Path

    from staytrue.weaving import Woven

ALONE, WOVEN = b"\xf1STY", b"\xf1STW"
_MAGIC = ALONE[:3]
_START = struct.Struct("<4sII")
_CHECK = struct.Struct("<I")
_HEADER_BYTES = _START.size + _CHECK.size
_Kept = tuple[int, list[bytes], list[bytes | list[bytes]]]
_checksum: Callable[..., int] = getattr(native, "checksum", zlib.crc32)
_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(_Kept).decode
_TAIL_BYTES = 128 * 1024
"""That are looked at at once: more than zeros that a segment is ahead."""
LOCK = "lock"
READERS = "readers"

MAX_RECORD_BYTES = 256 * 1024 * 1024
"""Nothing longer is written."""


class Found(NamedTuple):
    """What a scan found: records, damaged frames passed over, and how many bytes both of them took.

    Bytes behind ``end`` are no whole frame: zeros, still being written, or the torn tail of a writer that was killed.
    """

    payloads: list[bytes]
    damaged: int
    end: int


def seed_of(writer: str) -> int:
    """What a writer's headers are checked against."""
    return _checksum(writer.encode())


def kept(woven: Woven) -> bytes:
    """Records that differ in little, as they stand in a frame; their columns are no JSON."""
    return _encode(woven)


def framed(magic: bytes, payloads: Sequence[bytes], seed: int, most: int) -> bytes | None:
    """Payloads with their headers; None where one is longer than ``most`` bytes."""
    parts: list[bytes] = []
    for payload in payloads:
        if len(payload) > most:
            return None
        start = _START.pack(magic, len(payload), _checksum(payload))
        parts += (start, _CHECK.pack(_checksum(start, seed)), payload)
    return b"".join(parts)


_frames: Callable[[bytes, Sequence[bytes], int, int], bytes | None] = getattr(native, "frames", framed)


def frames(payloads: Sequence[bytes], seed: int, magic: bytes = ALONE) -> bytes:
    """Payloads, each with its header: records, or groups of them as :func:`kept` gives them.

    Raises:
        TooLarge: one is longer than any record may be.
    """
    block = _frames(magic, payloads, seed, MAX_RECORD_BYTES)
    if block is None:
        expected, got = f"records up to {MAX_RECORD_BYTES} bytes", f"{max(map(len, payloads))} bytes"
        raise TooLarge("event log", expected=expected, got=got)
    return block


def scan(data: bytes, seed: int, most_bytes: float = math.inf) -> Found:
    """Read whole frames from the beginning of ``data``; what is damaged is passed over and counted.

    It is passed over only where a frame begins behind it: the last may be one that is still being written.
    Of a file that is written meanwhile :func:`read_from` looks twice.

    Records of one frame may be many times as long together as it is, so that they have a bound of their own: no further
    frame is read once there are ``most_bytes`` of them.
    """
    return _scan(data, seed, most_bytes, None)[0]


def _scan(data: bytes, seed: int, most_bytes: float, only: set[int] | None) -> tuple[Found, set[int]]:
    """What is found, and where what was passed over begins: ``only`` there, if given, it may."""
    payloads: list[bytes] = []
    passed: set[int] = set()
    at = damaged = held = 0
    while len(data) - at >= _HEADER_BYTES and held < most_bytes:
        header = _header(data, at, seed)
        end = at + 1
        if header is not None:
            magic, length, checksum = header
            begin, end = at + _HEADER_BYTES, at + _HEADER_BYTES + length
            if end > len(data):
                break
            payload = data[begin:end]
            if _checksum(payload) == checksum:
                found = _records(magic, payload)
                payloads += found
                held += sum(map(len, found))
                damaged += not found
                at = end
                continue
        at_next = _next_header(data, end, seed) if only is None or at in only else -1
        if at_next < 0:
            break
        passed.add(at)
        damaged, at = damaged + 1, at_next
    return Found(payloads, damaged, at), passed


def _records(magic: bytes, payload: bytes) -> list[bytes]:
    """What a frame holds; nothing where that cannot be read."""
    if magic == ALONE:
        return [payload]
    try:
        rows, around, columns = _decode(payload)
        return weave(rows, around, [*columns])
    except (msgspec.MsgspecError, ValueError, OverflowError):
        return []


def read_from(path: Path, offset: int, limit_bytes: int, seed: int) -> Found:
    """Read about ``limit_bytes`` of a segment from an offset, or frames whose records are as long together.

    It is more where that holds not one whole frame.
    """
    try:
        with path.open("rb", buffering=0) as file:
            found, whole = _look(file, offset, limit_bytes, (seed, limit_bytes))
            return found if found.end or whole else _look(file, offset, -1, (seed, limit_bytes))[0]
    except FileNotFoundError:
        return Found([], 0, 0)


def _look(file: FileIO, offset: int, read_bytes: int, how: tuple[int, float]) -> tuple[Found, bool]:
    """What is found in so many bytes, -1 for all, and whether there are no more."""
    data = _read(file, offset, read_bytes)
    found, passed = _scan(data, *how, None)
    if passed:
        # What is read while it is written may lack a part that is older than what stands behind it. It is there by now,
        # or it is damaged; what seems so only now may lack a part in its turn.
        found, _ = _scan(_read(file, offset, read_bytes), *how, passed)
    return found, len(data) != read_bytes


def _read(file: FileIO, offset: int, read_bytes: int) -> bytes:
    """So many bytes, -1 for all; fewer only where the file ends, as a system may give fewer at once than it has."""
    file.seek(offset)
    data = file.read(read_bytes)
    while 0 < len(data) < read_bytes and (more := file.read(read_bytes - len(data))):
        data += more
    return data


def _header(data: bytes, at: int, seed: int) -> tuple[bytes, int, int] | None:
    start = data[at : at + _START.size]
    magic, length, checksum = _START.unpack(start)
    if magic not in (ALONE, WOVEN) or _CHECK.unpack_from(data, at + _START.size)[0] != _checksum(start, seed):
        return None
    return magic, length, checksum


def _next_header(data: bytes, at: int, seed: int) -> int:
    last = len(data) - _HEADER_BYTES + len(_MAGIC)
    at = data.find(_MAGIC, at, last)
    while at >= 0 and _header(data, at, seed) is None:
        at = data.find(_MAGIC, at + 1, last)
    return at


def writers(log: Path) -> list[Path]:
    """Folders of writers, oldest first; one with a leading dot is still being made."""
    names = [name for name in _names(log) if name != READERS and not name.startswith(".")]
    return [log / name for name in names if (log / name).is_dir()]


def numbers(folder: Path) -> list[int]:
    """Numbers of a writer's segments, ascending."""
    return [int(name[:-4]) for name in _names(folder) if name.endswith(".seg") and name[:-4].isdecimal()]


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names alone, and it is asked at every poll
    except FileNotFoundError:
        return []


def size(folder: Path, number: int) -> int:
    """Where a segment ends: behind its last byte that is not zero. 0 where it is gone.

    A frame may end with zeros: a reader that has read it all is there, or a little farther.
    """
    try:
        with segment(folder, number).open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            while end:
                begin = max(0, end - _TAIL_BYTES)
                file.seek(begin)
                rest = file.read(end - begin).rstrip(b"\0")
                if rest:
                    return begin + len(rest)
                end = begin
    except FileNotFoundError:
        pass
    return 0


def total_bytes(log: Path) -> int:
    """Bytes that all segments of all writers take."""
    return sum(_length(segment(folder, number)) for folder in writers(log) for number in numbers(folder))


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def alive(folder: Path) -> bool:
    """Whether the process that writes here still holds its lock."""
    try:
        with (folder / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:  # another reader is burying it
        return False
    return False


def segment(folder: Path, number: int) -> Path:
    """File of a segment."""
    return folder / f"{number:012d}.seg"
