"""The quick way into a segment ends where the usual one has more to do, and what went by it is counted and read."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from staytrue.bound import Bound
from staytrue.errors import Unavailable
from staytrue.eventlog import Writer
from staytrue.growing import AHEAD_BYTES
from staytrue.quick import Quick
from staytrue.readers import Reader
from staytrue.segments import numbers, segment, size
from tests.needs import needs_appender
from tests.unit.staytrue.test_appender import files_up_to
from tests.unit.staytrue.test_eventlog import drain

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType


@pytest.fixture(autouse=True)
def _there() -> None:
    needs_appender()


def quick_of(writer: Writer) -> Any:
    """Its compiled part."""
    return writer._quick._appender


def until_refused(writer: Writer, record: bytes, pause: float = 0.0, most: int = 100_000) -> int:
    """Append it again and again; how often that went well."""
    for count in range(most):
        try:
            writer.append([record])
        except Unavailable:
            return count
        time.sleep(pause)
    return most


def test_a_writer_takes_it_and_counts_what_went_by_it(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path, max_bytes=2**23), Reader(tmp_path, "r")
    room = writer.room()
    for number in range(50):
        writer.append([b"%050d" % number])
        assert quick_of(writer).at == 66 * (number + 1)
    assert writer.room() == room - 50 * 66
    assert quick_of(writer).at == 0  # until the next
    writer.append_woven([b"\x93\x02\x92\xc4\x01<\xc4\x01>\x91\xc4\x02ab"])
    writer.close()
    assert segment(tmp_path / writer.name, 0).stat().st_size == size(tmp_path / writer.name, 0)  # and cut to it
    assert drain(reader) == [*(b"%050d" % number for number in range(50)), b"<a>", b"<b>"]
    with pytest.raises(Unavailable, match="is closed"):
        writer.append([b"x"])


def test_a_full_log_is_full_for_it_too(tmp_path: Path) -> None:
    most = 2**23
    writer = Writer(tmp_path, max_bytes=most)
    count = until_refused(writer, b"x" * 484)
    with pytest.raises(Unavailable, match="is full"):
        writer.append([b"x" * 484])
    assert most - 500 < count * 500 <= most
    assert len(drain(Reader(tmp_path, "r"))) == count
    writer.close()


def test_segments_are_left_and_begun_on_it(tmp_path: Path) -> None:
    writer = Writer(tmp_path, segment_bytes=2**20)
    for number in range(9000):
        writer.append([b"%0240d" % number])
    assert numbers(tmp_path / writer.name) == [0, 1, 2]
    assert [len(batch.payloads) for batch in [*Reader(tmp_path, "r").batches()]] == [2**20 // 256]
    assert drain(Reader(tmp_path, "other")) == [b"%0240d" % number for number in range(9000)]
    writer.close()


def test_synced_records_do_not_go_by_it(tmp_path: Path) -> None:
    writer = Writer(tmp_path, durability="sync")
    for _ in range(3):
        writer.append([b"x"])
        assert quick_of(writer).at == 0
    writer.close()


def test_a_log_that_was_deleted_is_told_within_a_second(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "log")
    writer.append([b"x"])
    shutil.rmtree(tmp_path / "log")
    assert until_refused(writer, b"y", pause=0.05, most=200) < 200
    with pytest.raises(Unavailable, match="was deleted or moved"):
        writer.append([b"y"])
    writer.close()


def test_it_ends_where_the_zeros_end(tmp_path: Path) -> None:
    for beyond in (0, 1):
        writer = Writer(tmp_path / str(beyond))
        for _ in range(15):
            writer.append([b"x" * (2**12 - 16)])
        writer.append([b"x" * (2**12 - 16 + beyond)])
        assert quick_of(writer).at == AHEAD_BYTES + beyond
        assert segment(tmp_path / str(beyond) / writer.name, 0).stat().st_size == AHEAD_BYTES * (1 + beyond)
        writer.close()


def test_it_goes_as_far_as_the_log_is_known_to_have_room(tmp_path: Path) -> None:
    bound = Bound(tmp_path, 2**24)
    assert bound.trusted() == (0, 0.0)
    bound.look(0)
    room, until = bound.trusted()
    assert room == 2**20
    assert 0 < until - time.monotonic() <= 1
    bound.wrote(100)
    assert bound.trusted()[0] == room - 100
    assert [bound.due(room - 100), bound.due(room - 99)] == [False, True]


def test_a_record_longer_than_what_the_log_is_known_to_have_room_for_is_written(tmp_path: Path) -> None:
    writer = Writer(tmp_path, max_bytes=2**23)
    for record in (b"one", b"x" * 2**20, b"three", b"four"):
        writer.append([record])
    assert [len(record) for record in drain(Reader(tmp_path, "r"))] == [3, 2**20, 5, 4]
    writer.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_does_not_write_by_it(tmp_path: Path) -> None:
    """Nor to a file of its own, which may get the number that the segment's handle had."""
    writer, other = Writer(tmp_path / "log"), tmp_path / "other"
    writer.append([b"one"])
    child = os.fork()
    if not child:  # pragma: no cover - in another process
        for _ in range(3):
            os.open(other, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            writer.append([b"child's"])
        except Unavailable:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert other.read_bytes() == b""
    writer.append([b"two"])
    assert drain(Reader(tmp_path / "log", "r")) == [b"one", b"two"]
    writer.close()


def test_a_write_that_is_refused_halfway_leaves_nothing_and_the_next_is_read(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    for number in range(3):
        writer.append([b"%050d" % number])
    with files_up_to(3 * 66 + 40), pytest.raises(Unavailable, match="cannot be written: File too large"):
        writer.append([b"refused" * 5, b"refused too"])
    assert size(tmp_path / writer.name, 0) == 3 * 66
    writer.append([b"after"])
    assert numbers(tmp_path / writer.name) == [0, 1]
    assert drain(reader) == [*(b"%050d" % number for number in range(3)), b"after"]
    assert reader.places.torn_tails == reader.places.damaged_records == 0
    writer.close()


class Interrupted(BaseException):
    """What a signal's handler raises."""


def interrupted(writer: Writer, step: int) -> bool:
    """Have a writer leave the quick way and take it again; whether it came to raise, before such a line of that."""
    codes = {way.__code__ for way in (Writer._settle, Quick.open, Quick.close)}
    lines = itertools.count()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if event == "line" and next(lines) == step:
            raise Interrupted
        return trace if frame.f_code in codes else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        writer.room()
        writer.append([b"maybe"])
    except Interrupted:
        return True
    finally:
        sys.settrace(before)
    return False


def test_what_was_acknowledged_outlives_an_interruption_at_any_step(tmp_path: Path) -> None:
    for step in itertools.count():
        writer = Writer(tmp_path / str(step))
        for record in (b"one", b"two"):
            writer.append([record])
        came = interrupted(writer, step)
        writer.append([b"three"])
        writer.close()
        reader = Reader(tmp_path / str(step), "r")
        assert [record for record in drain(reader) if record != b"maybe"] == [b"one", b"two", b"three"], step
        assert reader.places.torn_tails == reader.places.damaged_records == 0
        if not came:
            break
    assert step > 10  # or nothing was interrupted
