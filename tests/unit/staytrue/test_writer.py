"""A writer whose disk fails, whose process forks, whose threads meet: what it acknowledged is read, nothing else is."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from staytrue import eventlog, segments
from staytrue.errors import TooLarge, Unavailable
from staytrue.eventlog import Writer
from staytrue.readers import Reader
from staytrue.segments import alive, numbers, segment, writers
from staytrue.weaving import Woven
from tests.unit.staytrue.test_eventlog import drain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def failing(monkeypatch: pytest.MonkeyPatch, call: str, *, after: int = 0, error: BaseException | None = None) -> None:
    """Let ``os.CALL`` fail from a number of calls on, until the monkeypatch is undone."""
    real: Callable[..., Any] = getattr(os, call)
    calls = 0

    def refuse(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise error or OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(os, call, refuse)


@pytest.fixture
def usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers without the quick way, whose system calls and clock are not Python's."""
    monkeypatch.setattr("staytrue.quick.native", None)


def short_writes(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Let ``os.pwrite`` take a few bytes at a time, as it may near a full disk."""
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda handle, data, at: real(handle, data[:limit], at))


def test_writes_cut_short_by_the_system_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path)
    with monkeypatch.context() as patch:
        short_writes(patch, 7)
        writer.append([b"a longer record", b"another"])
    assert drain(Reader(tmp_path, "r")) == [b"a longer record", b"another"]
    writer.close()


@pytest.mark.usefixtures("usual")
def test_a_write_that_fails_halfway_leaves_nothing_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    writer.append([b"before"])
    with monkeypatch.context() as patch:
        short_writes(patch, 20)
        failing(patch, "pwrite", after=2)
        with pytest.raises(Unavailable, match="cannot be written: No space left on device"):
            writer.append([b"refused", b"refused too"])
    writer.append([b"after"])
    assert drain(reader) == [b"before", b"after"]
    assert reader.places.torn_tails == reader.places.damaged_records == 0
    writer.close()


@pytest.mark.usefixtures("usual")
def test_writes_that_are_refused_for_long_leave_no_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    writer.append([b"before"])
    with monkeypatch.context() as patch:
        failing(patch, "pwrite")
        for _ in range(100):
            with pytest.raises(Unavailable):
                writer.append([b"refused"])
    writer.append([b"after"])
    assert numbers(tmp_path / writer.name) == [0]
    assert drain(reader) == [b"before", b"after"]
    writer.close()


@pytest.mark.usefixtures("usual")
def test_what_a_failed_write_leaves_is_a_torn_tail_where_it_cannot_be_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    writer.append([b"before"])
    with monkeypatch.context() as patch:
        short_writes(patch, 20)
        failing(patch, "pwrite", after=1)
        failing(patch, "ftruncate")
        with pytest.raises(Unavailable):
            writer.append([b"refused"])
    with monkeypatch.context() as patch:
        failing(patch, "ftruncate")
        writer.append([b"after"])
    assert drain(reader) == [b"before", b"after"]
    assert reader.places.torn_tails == 1
    writer.close()


def test_a_reader_that_saw_a_record_before_its_sync_failed_still_reads_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = Writer(tmp_path, durability="sync"), Reader(tmp_path, "r")
    seen: list[bytes] = []

    def sync(handle: int) -> None:
        del handle
        seen.extend(drain(reader))
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", sync)
        with pytest.raises(Unavailable, match="Input/output error"):
            writer.append([b"a record that did not reach the disk"])
    assert seen == [b"a record that did not reach the disk"]
    for number in range(5):
        writer.append([b"%d" % number])
    assert drain(reader) == [b"0", b"1", b"2", b"3", b"4"]
    assert reader.places.damaged_records == 0
    writer.close()


def test_an_interrupted_write_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path)
    with monkeypatch.context() as patch:
        short_writes(patch, 3)
        failing(patch, "pwrite", after=1, error=KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            writer.append([b"interrupted"])
    writer.append([b"after"])
    assert drain(Reader(tmp_path, "r")) == [b"after"]
    writer.close()


def test_a_segment_that_cannot_be_opened_refuses_until_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path, segment_bytes=64)
    writer.append([b"x" * 60])
    with monkeypatch.context() as patch:
        failing(patch, "open")
        for _ in range(2):
            with pytest.raises(Unavailable):
                writer.append([b"y" * 60])
    with monkeypatch.context() as patch:
        failing(patch, "fsync")
        with pytest.raises(Unavailable):
            writer.append([b"y" * 60])
    writer.append([b"z" * 60])
    assert drain(Reader(tmp_path, "r")) == [b"x" * 60, b"z" * 60]  # over the gap in the numbers
    writer.close()


def test_a_log_that_is_full_of_dead_writers_is_full(tmp_path: Path) -> None:
    for _ in range(3):
        dead = Writer(tmp_path, max_bytes=4000)
        dead.append([b"x" * 1000])
        dead.close()
    writer = Writer(tmp_path, max_bytes=4000)
    with pytest.raises(Unavailable, match="is full"):
        writer.append([b"x" * 1000])
    assert len(drain(Reader(tmp_path, "r"))) == 3
    writer.append([b"x" * 1000])
    writer.close()


def test_a_log_smaller_than_a_segment_does_not_stay_full(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path, max_bytes=1000), Reader(tmp_path, "r")
    for _ in range(100):
        writer.append([b"x" * 100])
        drain(reader)
    writer.close()


@pytest.mark.parametrize("count", [1, 2, 8])
def test_several_writers_have_one_bound(tmp_path: Path, count: int) -> None:
    bound, full = 4 * 2**20, 0
    some = [Writer(tmp_path, max_bytes=bound) for _ in range(count)]
    while full < count:
        full = 0
        for writer in some:
            try:
                writer.append([b"x" * 5000])
            except Unavailable:
                full += 1
    written = sum(segments.size(folder, number) for folder in writers(tmp_path) for number in numbers(folder))
    assert bound - 5016 - count * 2**16 < written <= bound + count * 2**16
    for writer in some:
        writer.close()


@pytest.mark.usefixtures("usual")
def test_a_writer_learns_what_others_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("staytrue.bound.time.monotonic", lambda: now)
    some = [Writer(tmp_path, max_bytes=2**20) for _ in range(2)]
    for writer in some:
        writer.append([b"x"])
    for _ in range(20):
        some[0].append([b"x" * 50_000])
    some[1].append([b"x" * 50_000])  # it has not looked again
    now = 1.0
    with pytest.raises(Unavailable, match="is full"):
        some[1].append([b"x" * 10])
    drain(Reader(tmp_path, "r"))
    some[1].append([b"x" * 10])
    for writer in some:
        writer.close()


@pytest.mark.usefixtures("usual")
@pytest.mark.parametrize("how", ["deleted", "moved", "moved above", "another in its place", "no folder any more"])
def test_a_log_that_is_no_more_where_it_was_takes_no_more(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "above" / "log"
    writer = Writer(log)
    writer.append([b"x"])
    if how == "deleted":
        shutil.rmtree(log)
    else:
        (log.parent if how == "moved above" else log).rename(tmp_path / "elsewhere")
    if how == "another in its place":
        shutil.copytree(tmp_path / "elsewhere", log)
    elif how == "no folder any more":
        log.write_bytes(b"")
    later = time.monotonic() + 1.0
    monkeypatch.setattr("staytrue.bound.time.monotonic", lambda: later)
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"was deleted or moved while it is written, .*start the server anew"):
            writer.append([b"y"])
    writer.close()


def test_a_record_longer_than_any_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("staytrue.segments.MAX_RECORD_BYTES", 10)
    writer = Writer(tmp_path)
    with pytest.raises(TooLarge, match="expected records up to 10 bytes, got 11 bytes"):
        writer.append([b"x" * 11])
    writer.close()


def test_nothing_to_append_writes_nothing(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.append([])
    assert segment(tmp_path / writer.name, 0).stat().st_size == 0
    writer.close()
    writer.close()  # twice is once


def test_threads_take_turns(tmp_path: Path) -> None:
    writer = Writer(tmp_path, segment_bytes=2000)

    def write(name: int) -> None:
        for number in range(50):
            writer.append([b"%d %d" % (name, number)])

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = drain(Reader(tmp_path, "r"))
    for name in range(4):
        mine = [record for record in found if record.startswith(b"%d " % name)]
        assert mine == [b"%d %d" % (name, number) for number in range(50)]
    writer.close()


def test_a_starting_writer_is_never_taken_for_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, seen = Reader(tmp_path, "r"), []
    real = os.open

    def look_first(path: Any, *arguments: Any) -> int:
        seen.append([alive(folder) for folder in writers(tmp_path)])
        assert list(reader.batches()) == []
        return real(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", look_first)
        writer = Writer(tmp_path)
    assert [True] in seen
    assert [False] not in seen
    writer.append([b"one"])
    assert drain(reader) == [b"one"]
    writer.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_neither_writes_nor_keeps_the_log_alive(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.append([b"one"])
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover - in another process
        try:
            writer.append([b"from the child"])
        except Unavailable:
            os.write(ready[1], b"refused")
        os.read(go[0], 1)
        os._exit(0)
    assert os.read(ready[0], 7) == b"refused"
    assert alive(tmp_path / writer.name)
    writer.append([b"two"])
    writer.close()
    assert not alive(tmp_path / writer.name)  # though the child lives on
    os.write(go[1], b"x")
    os.waitpid(child, 0)
    for handle in (*ready, *go):
        os.close(handle)
    assert drain(Reader(tmp_path, "r")) == [b"one", b"two"]


def test_a_fork_in_the_middle_of_a_write_does_not_hang_the_child(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    with writer._turn:  # as a thread of the parent may hold it
        eventlog._release_in_child()
        with pytest.raises(Unavailable, match="is closed"):
            writer.append([b"from the child"])


def test_a_program_that_is_run_inherits_no_handle(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    assert not os.get_inheritable(writer._lock)
    assert writer._file is not None
    assert not os.get_inheritable(writer._file.handle)
    assert numbers(tmp_path / writer.name) == [0]
    writer.close()


WOVEN = [
    Woven(2, [b"a", b"", b"z" * 40], [b"12", [b"", b"x" * 300]]),
    Woven(1, [b"", b"b"], [b"9"]),
    Woven(3, [b"<", b">"], [b"123"]),
]
TEXTS = [b"a1" + b"z" * 40, b"a2" + b"x" * 300 + b"z" * 40, b"9b", b"<1>", b"<2>", b"<3>"]


def test_records_that_differ_in_little_are_written_once_for_all_and_read_as_any_others(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.append_woven([*map(segments.kept, WOVEN)])
    assert segments.size(tmp_path / writer.name, 0) < len(segments.frames(TEXTS, 7)) + 10
    writer.append([b"alone"])
    writer.close()
    [batch] = Reader(tmp_path, "test").batches()
    assert (batch.payloads, batch.damaged) == ([*TEXTS, b"alone"], 0)


def test_frames_of_several_stand_as_they_always_stood() -> None:
    frame = segments.frames([segments.kept(Woven(2, [b"<", b"=", b">"], [b"ab", [b"1", b"23"]]))], 7, segments.WOVEN)
    assert frame.hex() == (
        "f1535457190000006c3936ff6ffe550a930293c4013cc4013dc4013e92c402616292c40131c4023233"  # a log is read by others
    )


def test_what_all_have_in_common_is_written_once() -> None:
    many = Woven(100, [b"x" * 1000, b""], [bytes(range(100))])
    assert len(segments.frames([segments.kept(many)], 7, segments.WOVEN)) < 1200


@pytest.mark.parametrize(
    "payload",
    [b"", b"no list", *[msgspec.msgpack.encode([rows, [b"", b""], [b"abc"]]) for rows in (0, 2, 2**62, 2**63)]],
    ids=repr,
)
def test_a_frame_of_several_that_cannot_be_read_counts_as_damaged(payload: bytes) -> None:
    frame = segments.frames([payload], 7, segments.WOVEN)
    assert segments.scan(frame + segments.frames([b"next"], 7), 7) == ([b"next"], 1, len(frame) + 20)


def test_a_damaged_frame_of_several_costs_those_alone() -> None:
    before, frame, behind = (segments.frames([segments.kept(one)], 7, segments.WOVEN) for one in WOVEN)
    spoilt = segments.frames([segments.kept(WOVEN[2])], 7, segments.WOVEN)
    for at in range(len(spoilt)):
        changed = bytearray(spoilt)
        changed[at] ^= 0xFF
        found = segments.scan(bytes(before + changed + frame + behind), 7)
        assert (found.payloads, found.damaged) == (TEXTS, 1)


def test_a_record_beyond_any_bound_is_refused_however_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MAX_RECORD_BYTES", 60)
    for magic in (segments.ALONE, segments.WOVEN):
        with pytest.raises(TooLarge, match="records up to 60 bytes"):
            segments.frames([b"a", b"a" * 61], 1, magic)
        assert len(segments.frames([b"a" * 60], 1, magic)) == 76
