"""What is compiled of the log's quick way writes what the usual way would, or nothing, and looks at all it is given."""

from __future__ import annotations

import contextlib
import os
import resource
import struct
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from staytrue.compiled import native
from staytrue.filling import Filling, Piece, Template, When, whole
from staytrue.growing import AHEAD_BYTES
from staytrue.segments import ALONE, WOVEN, frames
from tests.needs import needs_appender

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEED, NEVER = 7, float("inf")


@pytest.fixture(autouse=True)
def _there() -> None:
    needs_appender()


@st.composite
def fillings(draw: st.DrawFn) -> Filling:
    """Parts, times and columns that belong to each other."""
    columns = draw(st.lists(st.binary(max_size=300), max_size=3))
    parts = draw(st.lists(st.binary(max_size=40), min_size=4 + len(columns), max_size=4 + len(columns)))
    return Template(parts, [*map(len, columns)]), When(*draw(st.tuples(*[st.floats()] * 4))), columns


@contextlib.contextmanager
def files_up_to(count: int) -> Iterator[None]:
    """A limit of this process's files, in bytes: it stands for a disk that fills up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


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
    with files_up_to(40), pytest.raises(OSError, match="File too large"):
        quick.append(ALONE, [b"x" * 100])
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


def test_numbers_are_written_as_messagepack_has_them(tmp_path: Path) -> None:
    quick, handle = appender(tmp_path / "it")
    parts = [b"a", b"b", b"c", b"d"]
    assert quick.append(WOVEN, [(Template(parts, []), When(1.5, -0.0, 1e300, 5e-324), [])])
    told = (b"a", 1.5, b"b", -0.0, b"c", 1e300, b"d", 5e-324)
    assert os.pread(handle, 100, 16) == struct.pack(">cdcdcdcd", *told)
    os.close(handle)
