"""A segment is ahead of its records, with zeros: nobody takes these for records, nor what is being written for torn."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from staytrue import segments
from staytrue.eventlog import Writer
from staytrue.growing import AHEAD_BYTES
from staytrue.readers import Reader
from staytrue.segments import frames, scan, seed_of, segment, size, writers
from tests.unit.staytrue.test_eventlog import drain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SEED = 7


def length(log: Path, writer: Writer, number: int = 0) -> int:
    """Of a segment's file."""
    return segment(log / writer.name, number).stat().st_size


@pytest.mark.parametrize("durability", ["durable", "sync"])
def test_a_file_grows_seldom_and_ends_with_its_records(tmp_path: Path, durability: Any) -> None:
    writer, reader = Writer(tmp_path, durability=durability), Reader(tmp_path, "r")
    lengths = set()
    records = [b"%d" % number * 300 for number in range(200)]
    for record in records:
        writer.append([record])
        lengths.add(length(tmp_path, writer))
    written = len(frames(records, SEED))
    assert lengths == set(range(AHEAD_BYTES, written + AHEAD_BYTES, AHEAD_BYTES))
    assert reader.backlog_bytes() == written
    assert drain(reader) == records
    assert reader.backlog_bytes() == 0
    writer.close()
    assert length(tmp_path, writer) == written


def test_a_segment_that_is_left_is_as_long_as_its_records(tmp_path: Path) -> None:
    writer = Writer(tmp_path, segment_bytes=2**20)
    records = [b"x" * 3000] * 700
    for record in records:
        writer.append([record])
    assert length(tmp_path, writer, 0) == len(frames(records[:1], SEED)) * (2**20 // 3016)
    assert length(tmp_path, writer, 1) <= 2**20
    assert drain(Reader(tmp_path, "r")) == records
    writer.close()


def test_neither_small_logs_nor_long_records_are_ahead(tmp_path: Path) -> None:
    small, long = Writer(tmp_path, max_bytes=2**20), Writer(tmp_path)
    small.append([b"x"])
    long.append([b"x" * AHEAD_BYTES])
    assert length(tmp_path, small) == 17
    assert length(tmp_path, long) == AHEAD_BYTES + 16
    small.close()
    long.close()


def test_where_the_disk_has_no_room_for_zeros_records_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite

    def refuse(handle: int, data: bytes, at: int) -> int:
        if not any(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data, at)

    writer = Writer(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", refuse)
        for number in range(3):
            writer.append([b"%d" % number])
    assert length(tmp_path, writer) == 3 * 17
    writer.append([b"3"])
    assert drain(Reader(tmp_path, "r")) == [b"0", b"1", b"2", b"3"]
    writer.close()


def test_zeros_ahead_are_room(tmp_path: Path) -> None:
    most = 64 * AHEAD_BYTES
    writer = Writer(tmp_path, max_bytes=most)
    writer.append([b"x" * 84])
    assert length(tmp_path, writer) == AHEAD_BYTES
    assert writer.room() == most - 100
    writer.close()
    assert writer.room() == most - 100


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_cuts_nothing_off_a_file_that_its_parent_writes(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.append([b"one"])
    child = os.fork()
    if not child:  # pragma: no cover - in another process
        writer.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert length(tmp_path, writer) == AHEAD_BYTES
    writer.append([b"two"])
    assert drain(Reader(tmp_path, "r")) == [b"one", b"two"]
    writer.close()


WRITING = """
import sys
from pathlib import Path
from staytrue.eventlog import Writer
writer = Writer(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    writer.append([b"%d " % number * (1 + number * 7919 % 900), b"%d" % number])
print(flush=True)
sys.stdin.read()
"""


def test_a_killed_writer_leaves_zeros_and_no_torn_tail(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITING, str(tmp_path), "2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    [folder] = writers(tmp_path)
    assert segment(folder, 0).stat().st_size == AHEAD_BYTES
    reader = Reader(tmp_path, "r")
    assert drain(reader) == [b"0 ", b"0", b"1 " * 720, b"1"]
    assert (reader.places.torn_tails, reader.places.damaged_records) == (0, 0)
    assert writers(tmp_path) == []


def test_what_is_read_while_it_is_written_is_neither_damaged_nor_lost(tmp_path: Path) -> None:
    reader, count = Reader(tmp_path, "r"), 20_000
    command = [sys.executable, "-c", WRITING, str(tmp_path), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        found: list[bytes] = []
        while len(found) < 2 * count:
            new = drain(reader)
            assert new or process.poll() is None
            found += new
        process.kill()
    assert found[1::2] == [b"%d" % number for number in range(count)]
    assert (reader.places.torn_tails, reader.places.damaged_records) == (0, 0)


class Written(io.BytesIO):
    """A file that is written while it is read: each look at it finds another state, the last one ever after."""

    def __init__(self, *states: bytes) -> None:
        super().__init__(states[0])
        self._later = list(states[1:])

    def seek(self, *where: int) -> int:
        """Begin to look, at the next state from the second time on."""
        place = super().seek(*where)
        if self.looks and self._later:
            super().__init__(self._later.pop(0))
            super().seek(*where)
        self.looks += 1
        return place

    looks = 0


def looked(monkeypatch: pytest.MonkeyPatch, path: Path, states: Sequence[bytes]) -> tuple[list[bytes], int]:
    """What is read of a file in such states."""
    with monkeypatch.context() as patch:
        patch.setattr(type(path), "open", lambda *_, **__: Written(*states))
        found = segments.read_from(path, 0, 10_000, SEED)
    return found.payloads, found.damaged


class Reluctant(io.BytesIO):
    """A file of which the system reads a little at a time, until the disk fails."""

    def read(self, count: int | None = -1, /) -> bytes:
        """As much as it likes."""
        if self.tell() >= 80:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(min(7, count or 0) if count != -1 else -1)


def test_what_is_read_a_little_at_a_time_is_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = frames([b"a" * 50, b"b" * 50], SEED)
    monkeypatch.setattr(type(tmp_path), "open", lambda *_, **__: Reluctant(block))
    assert segments.read_from(tmp_path, 0, 70, SEED).payloads == [b"a" * 50]
    with pytest.raises(OSError, match="Input/output error"):
        segments.read_from(tmp_path, 66, 1000, SEED)


def without(data: bytes, at: int, count: int) -> bytes:
    """As it was before those bytes were written."""
    return data[:at] + bytes(count) + data[at + count :]


def test_a_part_that_was_read_before_it_was_written_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [b"a" * 90, b"b" * 90, b"c" * 90, b"d" * 90]
    whole = frames(records, SEED) + bytes(500)
    for at in range(3 * 106):
        early = without(whole, at, 40)
        found, damaged = looked(monkeypatch, tmp_path / "x", [early, whole])
        assert (found, damaged) == (records[: len(found)], 0)
        if not scan(early, SEED).damaged:  # nothing behind it was there: it is waited for
            continue
        assert found == records
        later = without(whole, 200, 60)  # in the second, and in the first look not yet or no more
        found, damaged = looked(monkeypatch, tmp_path / "x", [without(whole, 20, 40), later])
        assert (found, damaged) == (records[:1], 0)
        assert looked(monkeypatch, tmp_path / "x", [early, early]) == scan(early, SEED)[:2]  # what does not come


def test_the_last_record_is_waited_for_until_another_stands_behind_it(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    seed, path = seed_of(writer.name), segment(tmp_path / writer.name, 0)
    block = frames([b"slowly" * 50], seed)
    writer.append([b"before"])
    end = size(path.parent, 0)
    for part in (10, 16, 100, len(block) - 1):
        with path.open("r+b") as file:
            file.seek(end)
            file.write(block[:part])
        assert drain(reader) == ([b"before"] if part == 10 else [])
    with path.open("r+b") as file:
        file.seek(end)
        file.write(block)
    assert drain(reader) == [b"slowly" * 50]
    assert (reader.places.torn_tails, reader.places.damaged_records) == (0, 0)
    writer.close()
