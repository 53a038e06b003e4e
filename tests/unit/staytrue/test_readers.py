"""Readers that come late, lag, meet each other or damage: each reads every record once, and the disk is freed."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from staytrue.errors import CorruptData
from staytrue.eventlog import Writer
from staytrue.places import Places, Position, at_end
from staytrue.readers import Reader
from staytrue.segments import alive, frames, kept, numbers, read_from, scan, seed_of, segment, size, writers
from staytrue.weaving import Woven
from tests.unit.staytrue.test_eventlog import drain

if TYPE_CHECKING:
    from pathlib import Path


def test_a_reader_that_comes_late_begins_with_what_is_left(tmp_path: Path) -> None:
    writer, first = Writer(tmp_path, segment_bytes=64), Reader(tmp_path, "first")
    for number in range(5):
        writer.append([b"%d" % number * 40])
    drain(first)
    late = Reader(tmp_path, "late")
    assert drain(late) == [b"4" * 40]
    assert late.places.torn_tails == 0
    writer.append([b"5" * 40])
    assert drain(late) == drain(first) == [b"5" * 40]
    writer.close()


def test_a_dead_writer_is_kept_until_the_slowest_has_read_it(tmp_path: Path) -> None:
    fast, slow = Reader(tmp_path, "fast"), Reader(tmp_path, "slow")
    writer = Writer(tmp_path, segment_bytes=64)
    for number in range(3):
        writer.append([b"%d" % number * 40])
    writer.close()
    assert len(drain(fast)) == 3
    assert writers(tmp_path)
    assert len(drain(slow)) == 3
    assert writers(tmp_path) == []
    assert slow.places.positions == {}
    assert drain(fast) == []
    assert Reader(tmp_path, "fast").places.positions == {}  # what is gone is forgotten
    assert Reader(tmp_path, "fast").places.entries == 3


def test_a_burial_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    reader = Reader(tmp_path, "r")
    writer = Writer(tmp_path, segment_bytes=64)
    for number in range(3):
        writer.append([b"%d" % number * 40])
    folder = tmp_path / writer.name
    batches = []
    while found := list(reader.batches()):
        batches += found
        reader.acknowledge(found[0])
    writer.close()
    (folder / "lock").unlink()
    for number in numbers(folder):
        segment(folder, number).unlink()
    assert list(reader.batches()) == []
    assert not folder.exists()


def test_somebody_elses_file_in_a_dead_writers_folder_is_left(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    writer.append([b"one"])
    writer.close()
    (tmp_path / writer.name / "notes.txt").write_text("mine")
    assert drain(reader) == [b"one"]
    assert drain(reader) == []
    assert (tmp_path / writer.name / "notes.txt").exists()


def test_the_torn_tail_of_a_dead_writer_is_counted_once(tmp_path: Path) -> None:
    first, second = Reader(tmp_path, "first"), Reader(tmp_path, "second")
    writer = Writer(tmp_path)
    writer.append([b"whole", b"torn"])
    writer.close()
    path = segment(tmp_path / writer.name, 0)
    os.truncate(path, path.stat().st_size - 1)
    for _ in range(3):
        drain(first)
    assert first.places.torn_tails == 1
    drain(second)
    assert second.places.torn_tails == 1
    assert writers(tmp_path) == []


def test_a_run_of_zeros_is_no_record(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    writer.append([b"whole"])
    writer.close()
    with segment(tmp_path / writer.name, 0).open("ab") as file:
        file.write(bytes(400_000))
    assert drain(reader) == [b"whole"]
    assert (reader.places.entries, reader.places.torn_tails) == (1, 0)
    assert writers(tmp_path) == []


@pytest.mark.parametrize("living", [True, False])
def test_a_damaged_header_costs_its_record_and_no_other_writers(tmp_path: Path, living: bool) -> None:
    first, second, reader = Writer(tmp_path), Writer(tmp_path), Reader(tmp_path, "r")
    first.append([b"one", b"two", b"three"])
    second.append([b"other"])
    path = segment(tmp_path / first.name, 0)
    content = bytearray(path.read_bytes())
    content[content.index(b"two") - 9] ^= 0xFF  # in the length
    path.write_bytes(content)
    if not living:
        first.close()
    assert sorted(drain(reader)) == [b"one", b"other", b"three"]
    assert reader.places.damaged_records == 1
    first.close()
    second.close()


def test_a_damaged_end_of_a_living_writer_is_passed_when_more_comes(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    writer.append([b"damaged"])
    path = segment(tmp_path / writer.name, 0)
    path.write_bytes(b"\0" + path.read_bytes()[1:])
    assert drain(reader) == []
    writer.append([b"next"])
    assert drain(reader) == [b"next"]
    assert (reader.places.damaged_records, reader.places.torn_tails) == (1, 0)
    writer.close()


def test_a_payload_that_imitates_a_record_is_not_one() -> None:
    seed = seed_of("the writer")
    forged = frames([b"forged"], seed_of("a guess"))
    damaged = bytearray(frames([forged, b"next"], seed))
    damaged[5] ^= 0xFF
    assert scan(bytes(damaged), seed).payloads == [b"next"]


def test_records_longer_than_the_limit_of_a_batch_come_whole(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    writer.append([b"a" * 10, b"b" * 1000, b"c" * 10])
    sizes = []
    found: list[bytes] = []
    while batches := list(reader.batches(limit_bytes=100)):
        sizes.append(len(batches[0].payloads))
        found += batches[0].payloads
        reader.acknowledge(batches[0])
    assert found == [b"a" * 10, b"b" * 1000, b"c" * 10]
    assert sizes == [1, 1, 1]
    writer.close()


def test_a_batch_is_as_long_as_its_records_are_not_as_their_frames(tmp_path: Path) -> None:
    """Of a frame of several there may come many times its bytes, which a reader has in memory at once."""
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    many = kept(Woven(100, [b"x" * 1000, b""], [bytes(range(100))]))
    for _ in range(20):
        writer.append_woven([many])
    found: list[bytes] = []
    while batches := list(reader.batches(limit_bytes=50_000)):
        assert len(batches[0].payloads) == 100
        found += batches[0].payloads
        reader.acknowledge(batches[0])
    assert found == [b"x" * 1000 + bytes([number]) for number in range(100)] * 20
    writer.close()


def test_what_another_reader_deletes_meanwhile_is_gone_not_a_fault(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert read_from(segment(gone, 0), 0, 100, 1).payloads == []
    assert (size(gone, 0), numbers(gone), alive(gone), writers(gone)) == (0, [], False, [])
    reader = Reader(tmp_path, "r")
    assert at_end(reader.places, gone)


def test_a_reader_beyond_a_tail_that_was_taken_back_has_no_backlog(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    writer.append([b"one", b"taken back"])
    drain(reader)
    os.truncate(segment(tmp_path / writer.name, 0), 20)
    assert reader.backlog_bytes() == 0
    writer.close()
    drain(reader)
    assert writers(tmp_path) == []


def test_the_backlog_counts_what_lies_in_later_segments(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path, segment_bytes=64), Reader(tmp_path, "r")
    for number in range(4):
        writer.append([b"%d" % number * 40])
    total = reader.backlog_bytes()
    (batch,) = reader.batches()
    reader.acknowledge(batch)
    assert reader.backlog_bytes() == total - batch.end
    writer.close()


def refuse(*_: Any) -> None:
    """In the place of what writes to a disk that is full."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_place_that_cannot_be_kept_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What starts anew would not know of it, and give again what was acknowledged since."""
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    writer.append([b"one"])

    with monkeypatch.context() as patch:
        patch.setattr("staytrue.readers.write_atomically", refuse)
        for number in range(2):
            (batch,) = reader.batches()
            with pytest.raises(OSError, match="No space left"):
                reader.acknowledge(batch)
            assert (batch.start, len(batch.payloads)) == (0, 1 + number)
            writer.append([b"more"])
    assert reader.places == Reader(tmp_path, "r").places == Places()
    assert reader.backlog_bytes() > 0
    assert drain(reader) == [b"one", b"more", b"more"]
    writer.append([b"torn"])
    writer.close()
    path = segment(tmp_path / writer.name, 0)
    os.truncate(path, path.stat().st_size - 1)
    with monkeypatch.context() as patch:
        patch.setattr("staytrue.readers.write_atomically", refuse)
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                list(reader.batches())
    assert drain(reader) == []
    assert (reader.places.torn_tails, reader.places.entries) == (1, 3)


def test_a_reader_that_begins_on_a_full_disk_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads may be who makes room; where it is has to be kept before that is taken from it."""
    writer = Writer(tmp_path)
    writer.append([b"one"])

    with monkeypatch.context() as patch:
        patch.setattr("staytrue.readers.write_atomically", refuse)
        reader = Reader(tmp_path, "r")
        (batch,) = reader.batches()
        with pytest.raises(OSError, match="No space left"):
            reader.acknowledge(batch)
    assert drain(reader) == [b"one"]
    assert Reader(tmp_path, "r").places == reader.places
    writer.close()


def test_a_place_that_cannot_be_read_stops_the_reader_and_names_the_file(tmp_path: Path) -> None:
    Reader(tmp_path, "r")
    (tmp_path / "readers" / "r.json").write_text("{")
    with pytest.raises(CorruptData, match=r"r\.json: is no Places record"):
        Reader(tmp_path, "r")


def test_a_kill_between_leaving_a_segment_and_deleting_it_costs_only_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = Writer(tmp_path, segment_bytes=64), Reader(tmp_path, "r")
    for number in range(3):
        writer.append([b"%d" % number * 40])

    def killed(*_: Any) -> None:
        raise SystemExit

    (batch,) = reader.batches()
    reader.acknowledge(batch)
    with monkeypatch.context() as patch:
        patch.setattr("staytrue.readers.delete_passed", killed)
        with pytest.raises(SystemExit):
            list(reader.batches())
    again = Reader(tmp_path, "r")
    assert again.places.positions[writer.name] == Position(segment=1, offset=0)
    assert drain(again) == [b"1" * 40, b"2" * 40]
    assert numbers(tmp_path / writer.name) == [2]
    writer.close()
