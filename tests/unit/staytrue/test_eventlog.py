"""The event log: what was appended is read once, by every reader, after any kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from staytrue.errors import TooLarge, Unavailable
from staytrue.eventlog import Writer
from staytrue.readers import Reader
from staytrue.segments import segment, writers

if TYPE_CHECKING:
    from pathlib import Path


def drain(reader: Reader) -> list[bytes]:
    """Read and acknowledge all there is."""
    found: list[bytes] = []
    while batches := list(reader.batches()):
        for batch in batches:
            found += batch.payloads
            reader.acknowledge(batch)
    return found


def test_records_come_back_in_order_once(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    writer.append([b"one", b"two"])
    writer.append([b""])
    assert drain(reader) == [b"one", b"two", b""]
    assert drain(reader) == []
    writer.append([b"three"])
    assert drain(reader) == [b"three"]
    assert reader.places.entries == 4
    writer.close()


def test_a_batch_comes_again_from_the_same_place_until_it_is_acknowledged(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    writer.append([b"one"])
    (first,) = reader.batches()
    writer.append([b"two"])
    (again,) = Reader(tmp_path, "r").batches()
    assert (again.segment, again.start) == (first.segment, first.start)
    assert again.payloads == [b"one", b"two"]
    writer.close()


def test_a_reader_that_starts_anew_goes_on_where_it_acknowledged(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.append([b"one"])
    drain(Reader(tmp_path, "r"))
    writer.append([b"two"])
    assert drain(Reader(tmp_path, "r")) == [b"two"]
    writer.close()


def test_several_writers_and_readers_do_not_disturb_each_other(tmp_path: Path) -> None:
    a, b = Writer(tmp_path), Writer(tmp_path)
    first, second = Reader(tmp_path, "first"), Reader(tmp_path, "second")
    a.append([b"a1"])
    b.append([b"b1"])
    assert sorted(drain(first)) == [b"a1", b"b1"]
    a.append([b"a2"])
    assert sorted(drain(second)) == [b"a1", b"a2", b"b1"]
    assert drain(first) == [b"a2"]
    a.close()
    b.close()


def test_segments_go_when_all_readers_have_left_them(tmp_path: Path) -> None:
    writer = Writer(tmp_path, segment_bytes=64)
    fast, slow = Reader(tmp_path, "fast"), Reader(tmp_path, "slow")
    for number in range(10):
        writer.append([b"x" * 40 + bytes([number])])
    folder = tmp_path / writer.name
    assert len(list(folder.glob("*.seg"))) == 10
    assert len(drain(fast)) == 10
    assert len(list(folder.glob("*.seg"))) == 10
    assert len(drain(slow)) == 10
    assert len(list(folder.glob("*.seg"))) == 1
    writer.close()


def test_the_folder_of_a_closed_writer_goes_when_all_have_read_it(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    writer.append([b"one"])
    writer.close()
    assert drain(reader) == [b"one"]
    assert writers(tmp_path) == []


def test_a_torn_tail_is_counted_and_costs_nothing_before_it(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    writer.append([b"whole", b"torn away"])
    path = segment(tmp_path / writer.name, 0)
    writer.close()
    os.truncate(path, path.stat().st_size - 3)
    assert drain(reader) == [b"whole"]
    assert reader.places.torn_tails == 1


def test_an_unfinished_record_of_a_living_writer_is_waited_for(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    writer.append([b"whole", b"slowly"])
    path = segment(tmp_path / writer.name, 0)
    data = path.read_bytes().rstrip(b"\0")
    os.truncate(path, len(data) - 3)
    assert drain(reader) == [b"whole"]
    with path.open("ab") as file:
        file.write(data[-3:])
    assert drain(reader) == [b"slowly"]
    assert reader.places.torn_tails == 0
    writer.close()


def test_a_damaged_record_costs_itself_alone(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    writer.append([b"one", b"damaged", b"three"])
    path = segment(tmp_path / writer.name, 0)
    path.write_bytes(path.read_bytes().replace(b"damaged", b"damagEd"))
    assert drain(reader) == [b"one", b"three"]
    assert reader.places.damaged_records == 1
    writer.close()


def test_a_full_log_refuses_and_takes_again_once_it_was_read(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path, segment_bytes=200, max_bytes=1000), Reader(tmp_path, "r")
    written = 0

    def fill() -> None:
        nonlocal written
        for _ in range(1000):
            writer.append([b"x" * 50])
            written += 1

    with pytest.raises(Unavailable, match="is full at 1000 bytes; is the sidecar collecting"):
        fill()
    assert len(drain(reader)) == written > 5
    writer.append([b"again"])
    assert drain(reader) == [b"again"]
    writer.close()


def test_records_beyond_the_bound_are_too_large_ever_to_be_taken(tmp_path: Path) -> None:
    writer = Writer(tmp_path, max_bytes=100)
    with pytest.raises(TooLarge):
        writer.append([b"x" * 200])
    writer.append([b"x"])
    writer.close()
    with pytest.raises(Unavailable, match="is closed"):
        writer.append([b"y"])


def test_backlog_is_what_was_written_and_not_acknowledged(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    assert reader.backlog_bytes() == 0
    writer.append([b"x" * 1000])
    assert reader.backlog_bytes() > 1000
    drain(reader)
    assert reader.backlog_bytes() == 0
    writer.close()


def test_a_log_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="cannot be written"):
        Writer(tmp_path / "file" / "log")


KILLED = """
import os, sys
from pathlib import Path
from staytrue.eventlog import Writer
writer = Writer(Path(sys.argv[1]), durability=sys.argv[2])
number = 0
while True:
    writer.append([b"%d" % number])
    os.write(1, b"%d\\n" % number)  # acknowledged to the outside only now
    number += 1
"""


@pytest.mark.parametrize("durability", ["durable", "sync"])
def test_whatever_was_acknowledged_before_kill_9_is_read_once(tmp_path: Path, durability: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), durability], stdout=subprocess.PIPE)
    assert child.stdout
    acknowledged = [child.stdout.readline().strip() for _ in range(50)]
    child.send_signal(signal.SIGKILL)
    acknowledged += [line.strip() for line in child.stdout.read().splitlines()]
    child.wait()
    child.stdout.close()
    found = drain(Reader(tmp_path, "r"))
    assert found[: len(acknowledged)] == acknowledged
    assert len(found) - len(acknowledged) <= 1  # written, and killed before it could say so
