"""Frames and events that compiled code makes are those that Python makes, to the last bit."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staytrue.compiled import native
from staytrue.filling import Template, When, filled
from staytrue.segments import framed, frames, scan
from tests.needs import needs_compiled

numbers = st.integers(0, 2**32 - 1)
payloads = st.lists(st.binary(max_size=200), max_size=6)
MAGIC = b"\xf1STY"


def compiled(part: str) -> Any:
    """What was compiled; skips where it was not, or where the processor has no instructions for it."""
    needs_compiled()
    if part in ("checksum", "frames") and not hasattr(native, part):
        pytest.skip("this processor multiplies without carries no faster than zlib's tables")
    return getattr(native, part)


@given(st.binary(max_size=300), numbers)
def test_checksums_are_those_of_zlib(data: bytes, before: int) -> None:
    checksum = compiled("checksum")
    assert checksum(data) == zlib.crc32(data)
    assert checksum(data, before) == zlib.crc32(data, before)


def test_checksums_of_any_length_and_place() -> None:
    checksum = compiled("checksum")
    data = bytes(at * 167 % 251 for at in range(70_000))
    for length in (*range(260), 4095, 49_152, 65_537):
        for at in (0, 1, 7, 16):
            some = memoryview(data)[at : at + length]
            assert checksum(some) == zlib.crc32(some)


@given(payloads, numbers, st.integers(100, 300))
def test_frames_are_those_of_python(some: list[bytes], seed: int, most: int) -> None:
    made = compiled("frames")(MAGIC, some, seed, most)
    assert made == framed(MAGIC, some, seed, most)
    assert (made is None) == any(len(payload) > most for payload in some)
    if made is not None:
        assert scan(made, seed).payloads == some


def test_frames_stand_as_they_always_stood() -> None:
    assert frames([b"one", b""], 7).hex() == (  # a log is read by others
        "f153545903000000f1866c7a3b4a42736f6e65f15354590000000000000000a1e7375f"
    )


@given(st.lists(st.binary(max_size=20), max_size=4), st.data())
def test_events_are_filled_as_by_python(columns: list[bytes], data: st.DataObject) -> None:
    fill = compiled("filled")
    parts = data.draw(st.lists(st.binary(max_size=9), min_size=4 + len(columns), max_size=4 + len(columns)))
    when = When(*data.draw(st.tuples(*[st.floats(allow_nan=False)] * 4)))
    lengths = [*map(len, columns)]
    assert fill((Template(parts, lengths), when, columns)) == filled((Template(parts, lengths), when, columns))
    cases: list[tuple[list[Any], list[int]]] = [
        (columns, [*lengths, 1]),
        ([*columns, b"x"], lengths),
        ([*columns, b"x"], [*lengths, 1]),  # which no part stands before
        ([b"x" + column for column in columns], lengths),
    ]
    for others, told in cases:
        for way in (fill, filled) if columns or len(others) != len(told) else ():
            with pytest.raises(ValueError, match=r"fill: expected|zip"):
                way((Template(parts, told), when, others))


@pytest.mark.parametrize(
    ("part", "given"),
    [
        ("frames", (b"XYZ", [b"a"], 1, 10)),
        ("frames", (MAGIC, [b"a"], 1, 2**40)),
        ("frames", (MAGIC, ["text"], 1, 10)),
        ("frames", (MAGIC, 5, 1, 10)),
        ("filled", (5,)),
        ("filled", ((([b""] * 4, []), (1.0, 2.0, 3.0), []),)),
        ("filled", ((([b""] * 4, []), (1.0, 2.0, 3.0, "4"), []),)),
        ("filled", ((([b""] * 3 + [5], []), (1.0, 2.0, 3.0, 4.0), []),)),
        ("filled", ((([b""] * 5, ["x"]), (1.0, 2.0, 3.0, 4.0), [b""]),)),
        ("filled", ((([b""] * 5, [1]), (1.0, 2.0, 3.0, 4.0), [["text"]]),)),
        ("filled", ((((b"",) * 4, []), (1.0, 2.0, 3.0, 4.0), []),)),
    ],
)
def test_what_does_not_fit_is_refused(part: str, given: tuple[Any, ...]) -> None:
    with pytest.raises((TypeError, ValueError)):
        compiled(part)(*given)
