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

from staytrue.errors import TooLarge
from staytrue.weaving import weave

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from staytrue.weaving import Woven

_ALONE, _WOVEN = b"\xf1STY", b"\xf1STW"
_MAGIC = _ALONE[:3]
_START = struct.Struct("<4sII")
_CHECK = struct.Struct("<I")
_HEADER_BYTES = _START.size + _CHECK.size
_Kept = tuple[int, list[bytes], list[bytes | list[bytes]]]
_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(_Kept).decode
LOCK = "lock"
READERS = "readers"

MAX_RECORD_BYTES = 256 * 1024 * 1024
"""Nothing longer is written."""


class Found(NamedTuple):
    """What a scan found: records, damaged frames passed over, and how many bytes both of them took.

    Bytes behind ``end`` are no whole frame: still being written, or the torn tail of a writer that was killed.
    """

    payloads: list[bytes]
    damaged: int
    end: int


def seed_of(writer: str) -> int:
    """What a writer's headers are checked against."""
    return zlib.crc32(writer.encode())


def frames(payloads: Sequence[bytes], seed: int) -> bytes:
    """Records, each with its header.

    Raises:
        TooLarge: one is longer than any record may be.
    """
    return _framed(_ALONE, payloads, seed)


def woven_frames(woven: Sequence[bytes], seed: int) -> bytes:
    """Groups of records that differ in little, each group, as :func:`kept` gives it, as one frame.

    Raises:
        TooLarge: a group is longer than any record may be.
    """
    return _framed(_WOVEN, woven, seed)


def kept(woven: Woven) -> bytes:
    """Records that differ in little, as they stand in a frame; their columns are no JSON."""
    return _encode(woven)


def _framed(magic: bytes, payloads: Sequence[bytes], seed: int) -> bytes:
    parts: list[bytes] = []
    for payload in payloads:
        parts += (_header_of(magic, payload, seed), payload)
    return b"".join(parts)


def _header_of(magic: bytes, payload: bytes, seed: int) -> bytes:
    length = len(payload)
    if length > MAX_RECORD_BYTES:
        raise TooLarge("event log", expected=f"records up to {MAX_RECORD_BYTES} bytes", got=f"{length} bytes")
    start = _START.pack(magic, length, zlib.crc32(payload))
    return start + _CHECK.pack(zlib.crc32(start, seed))


def scan(data: bytes, seed: int, most_bytes: float = math.inf) -> Found:
    """Read whole frames from the beginning of ``data``; what is damaged is passed over and counted.

    Records of one frame may be many times as long together as it is, so that they have a bound of their own: no further
    frame is read once there are ``most_bytes`` of them.
    """
    payloads: list[bytes] = []
    at = damaged = held = 0
    while len(data) - at >= _HEADER_BYTES and held < most_bytes:
        header = _header(data, at, seed)
        if header is None:
            at_next = _next_header(data, at + 1, seed)
            if at_next < 0:
                break
            damaged, at = damaged + 1, at_next
            continue
        magic, length, checksum = header
        begin, end = at + _HEADER_BYTES, at + _HEADER_BYTES + length
        if end > len(data):
            break
        payload = data[begin:end]
        found = _records(magic, payload) if zlib.crc32(payload) == checksum else []
        payloads += found
        held += sum(map(len, found))
        damaged += not found
        at = end
    return Found(payloads, damaged, at)


def _records(magic: bytes, payload: bytes) -> list[bytes]:
    """What a frame holds; nothing where that cannot be read."""
    if magic == _ALONE:
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
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(limit_bytes)
            found = scan(data, seed, limit_bytes)
            if not found.end and len(data) == limit_bytes:
                found = scan(data + file.read(), seed, limit_bytes)
            return found
    except FileNotFoundError:
        return Found([], 0, 0)


def _header(data: bytes, at: int, seed: int) -> tuple[bytes, int, int] | None:
    start = data[at : at + _START.size]
    magic, length, checksum = _START.unpack(start)
    if magic not in (_ALONE, _WOVEN) or _CHECK.unpack_from(data, at + _START.size)[0] != zlib.crc32(start, seed):
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
    """Bytes of a segment; 0 where it is gone."""
    try:
        return segment(folder, number).stat().st_size
    except FileNotFoundError:
        return 0


def total_bytes(log: Path) -> int:
    """Bytes of all segments of all writers."""
    return sum(size(folder, number) for folder in writers(log) for number in numbers(folder))


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
