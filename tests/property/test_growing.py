"""For any records of a segment that is written while it is read: each is read once, and none is taken for damaged."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from staytrue.segments import frames, read_from

if TYPE_CHECKING:
    from random import Random

SEED, AHEAD = 7, 100
TAILS = st.sampled_from([b"", bytes(3), bytes(60), b"\xf1STY"])
RECORDS = st.builds(lambda text, tail: text + tail, st.binary(max_size=40), TAILS)
BLOCKS = st.lists(st.lists(RECORDS, min_size=1, max_size=3), min_size=1, max_size=8)


def writes_of(blocks: list[list[bytes]]) -> list[tuple[int, bytes]]:
    """Where what is written, one after the other: records, and zeros ahead of them where they make the file longer."""
    writes, size, length = [], 0, 0
    for block in blocks:
        data = frames(block, SEED)
        writes.append((size, data))
        size += len(data)
        if size > length:
            length = size - size % AHEAD + AHEAD
            writes.append((size, bytes(length - size)))
    return writes


class Disk:
    """Stands for the segment's path: somebody writes on while each of its pages is read."""

    def __init__(self, writes: list[tuple[int, bytes]], chance: Random) -> None:
        self.held, self.writes, self.chance = bytearray(), writes, chance

    def open(self, *_: object, **__: object) -> Reading:
        """Let a reader begin."""
        self.go_on(1)
        return Reading(self)

    def go_on(self, count: int) -> None:
        """Write so many bytes more, one behind the other."""
        while count > 0 and self.writes:
            at, data = self.writes.pop(0)
            now, later = data[:count], data[count:]
            self.held[at : at + len(now)] = now
            if later:
                self.writes.insert(0, (at + count, later))
            count -= len(now)


class Reading(io.RawIOBase):
    """The file: what is read is of another time on each page."""

    def __init__(self, disk: Disk) -> None:
        super().__init__()
        self._disk, self._at = disk, 0
        self._page = disk.chance.choice([8, 16, 37, 64])

    def seek(self, offset: int, _: int = 0, /) -> int:
        """Read on from there."""
        self._at = offset
        return offset

    def read(self, size: int = -1, /) -> bytes:
        """One page after the other."""
        end = None if size < 0 else self._at + size
        data = bytearray()
        while end is None or self._at < end:
            self._disk.go_on(self._disk.chance.choice([0, 0, 1, 10, 50, 300]))
            behind = self._at - self._at % self._page + self._page
            page = self._disk.held[self._at : behind if end is None else min(behind, end)]
            if not page:
                break
            self._at += len(page)
            data += page
        return bytes(data)


@given(BLOCKS, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_what_is_read_page_after_page_while_it_is_written_is_read_once(blocks: list[list[bytes]], chance: Any) -> None:
    disk: Any = Disk(writes_of(blocks), chance)
    found: list[bytes] = []
    at, more = 0, True
    while more:
        more = bool(disk.writes)
        read = read_from(disk, at, chance.choice([1, 10, 50, 200, 10_000]), SEED)
        assert read.damaged == 0
        found += read.payloads
        at += read.end
        more |= bool(read.end)
    assert found == [record for block in blocks for record in block]
