"""The quick way into a segment writes what the usual one would, or nothing, and ends where that one has more to do."""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import struct
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from staytrue.bound import Bound
from staytrue.compiled import native
from staytrue.errors import Unavailable
from staytrue.eventlog import Writer
from staytrue.filling import Filling, Piece, Template, When, whole
from staytrue.growing import AHEAD_BYTES
from staytrue.quick import Quick
from staytrue.readers import Reader
from staytrue.segments import ALONE, WOVEN, frames, numbers, segment, size
from tests.needs import needs_compiled
from tests.unit.staytrue.test_eventlog import drain

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

SEED, NEVER = 7, float("inf")


@pytest.fixture(autouse=True)
def _there() -> None:
    needs_compiled()
    if sys.platform != "linux" or not hasattr(native, "checksum"):
        pytest.skip("there is no quick way here")


@st.composite
def fillings(draw: st.DrawFn) -> Filling:
    """Parts, times and columns that belong to each other."""
    columns = draw(st.lists(st.binary(max_size=300), max_size=3))
    parts = draw(st.lists(st.binary(max_size=40), min_size=4 + len(columns), max_size=4 + len(columns)))
    return Template(parts, [*map(len, columns)]), When(*draw(st.tuples(*[st.floats()] * 4))), columns


def appender(file: Path, at: int = 0, end: int = AHEAD_BYTES, until: float = NEVER) -> tuple[Any, int]:
    """One that may write to a file, and the file's handle."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    made = native.Appender(SEED)
    made.aim(handle, at, end, until)
    return made, handle


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.binary(max_size=300) | fillings(), min_size=1, max_size=4), max_size=4))
def test_it_writes_the_frames_of_the_usual_way(tmp_path: Path, turns: list[list[Piece]]) -> None:
    file = tmp_path / "it"
    file.unlink(missing_ok=True)
    quick, handle = appender(file, at=3)
    assert all(quick.append(WOVEN, pieces) for pieces in turns)
    wanted = b"".join(frames(whole(pieces), SEED, WOVEN) for pieces in turns)
    assert quick.at == 3 + len(wanted)
    os.close(handle)
    assert file.read_bytes() == (bytes(3) + wanted if wanted else b"")


def test_it_leaves_to_the_usual_way_what_lies_beyond_it(tmp_path: Path) -> None:
    quick, handle = appender(tmp_path / "it", end=100)
    cases: list[tuple[list[bytes], bool]] = [
        ([], False),
        ([b"x" * 85], False),
        ([b"x" * 40, b"x" * 29], False),
        ([b"x" * 40, b"x" * 28], True),
        ([b""], False),
    ]
    for pieces, done in cases:
        assert quick.append(ALONE, pieces) is done
    quick.aim(handle, 0, 10 * AHEAD_BYTES, NEVER)
    assert quick.append(ALONE, [b"x" * (AHEAD_BYTES - 16)])
    assert not quick.append(ALONE, [b"x" * (AHEAD_BYTES - 15)])
    assert not quick.append(ALONE, [b"x" * AHEAD_BYTES, b"x"])
    for until, done in ((time.monotonic() - 0.001, False), (time.monotonic() + 60, True)):
        quick.aim(handle, 0, 100, until)
        assert quick.append(ALONE, [b"x"]) is done
    os.close(handle)


def test_what_the_system_refuses_as_a_whole_is_left_to_the_usual_way(tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(b"")
    handle = os.open(tmp_path / "it", os.O_RDONLY)
    quick = native.Appender(SEED)
    assert not quick.append(ALONE, [b"x"])  # it was never told where
    quick.aim(handle, 5, 100, NEVER)
    assert not quick.append(ALONE, [b"x"])
    assert quick.at == 5
    os.close(handle)


def test_what_the_system_refuses_in_part_is_told(tmp_path: Path) -> None:
    """Written again it might be refused as a whole, and what is there would stay."""
    quick, handle = appender(tmp_path / "it")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            quick.append(ALONE, [b"x" * 100])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (quick.at, os.fstat(handle).st_size) == (0, 40)
    os.close(handle)


TEMPLATE = Template([b""] * 5, [1])
CHANGED: list[Piece] = []


class Changing:
    """A number that, when it is asked, changes what it was given with."""

    def __float__(self) -> float:  # pragma: no cover - it is not to be asked
        CHANGED.clear()
        return 1.0


CHANGED += [(TEMPLATE, When(Changing(), 2, 3, 4), [b"x"]), b"behind"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        (b"bad", [b"x"]),
        ("text", [b"x"]),
        (ALONE,),
        (ALONE, 5),
        (ALONE, ["text"]),
        (ALONE, [(TEMPLATE, When(1, 2, 3, 4), [b"too long"])]),
        (ALONE, [b"x", (TEMPLATE, When(1, 2, 3, 4), [])]),
        (ALONE, [(TEMPLATE, (1, 2, 3, "4"), [b"x"])]),
        (ALONE, CHANGED),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(given: tuple[Any, ...], tmp_path: Path) -> None:
    quick, handle = appender(tmp_path / "it")
    with pytest.raises((TypeError, ValueError)):
        quick.append(*given)
    assert quick.at == os.fstat(handle).st_size == 0
    os.close(handle)


def test_it_keeps_nothing_that_it_is_given(tmp_path: Path) -> None:
    quick, handle = appender(tmp_path / "it", end=400)
    filling = (TEMPLATE, When(1, 2, 3, 4), [b"x"])
    some: list[Piece] = [filling, b"behind"]
    unfit: list[Any] = [5, filling]
    told = [some, unfit, filling, *filling, *TEMPLATE, some[1], native.Appender]
    before = [*map(sys.getrefcount, told)]
    for _ in range(10):
        quick.append(WOVEN, some)
        with pytest.raises(ValueError, match="expected parts"):
            quick.append(WOVEN, unfit)
        native.Appender(1)
    assert 0 < quick.at <= 400  # so that some were written, others left
    assert [*map(sys.getrefcount, told)] == before
    os.close(handle)


def test_numbers_of_the_wrong_type_are_refused() -> None:
    for wrong in ((), ("x",), (1, 2)):
        with pytest.raises(TypeError):
            native.Appender(*wrong)
    with pytest.raises(TypeError):
        native.Appender(1, seed=2)
    with pytest.raises(TypeError):
        native.Appender(1).aim("x", 0, 0, 0.0)
    for place, end in ((-1, 0), (2, 1), (-1, 2**63 - 1)):
        with pytest.raises(ValueError, match="expected a place"):
            native.Appender(1).aim(0, place, end, 0.0)


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
    """A limit of this process's files stands for a disk that fills up."""
    writer, reader = Writer(tmp_path), Reader(tmp_path, "r")
    for number in range(3):
        writer.append([b"%050d" % number])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * 66 + 40, hard))
    try:
        with pytest.raises(Unavailable, match="cannot be written: File too large"):
            writer.append([b"refused" * 5, b"refused too"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
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


def test_numbers_are_written_as_messagepack_has_them(tmp_path: Path) -> None:
    quick, handle = appender(tmp_path / "it")
    parts = [b"a", b"b", b"c", b"d"]
    assert quick.append(WOVEN, [(Template(parts, []), When(1.5, -0.0, 1e300, 5e-324), [])])
    told = (b"a", 1.5, b"b", -0.0, b"c", 1e300, b"d", 5e-324)
    assert os.pread(handle, 100, 16) == struct.pack(">cdcdcdcd", *told)
    os.close(handle)
