"""Whatever bytes come, in whatever pieces: the same requests are read, nothing is raised, nothing stays held."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http_wire import BODY_BYTES, Caller, Handler, post

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = st.sampled_from([b"X-A", b"x-a", b"Accept", b"Traceparent", b"Connection"])
VALUES = st.sampled_from([b"", b"a", b"a, b", b"keep-alive", b"\xe4 \t b"])
BODIES = st.one_of(st.binary(max_size=60), st.binary(min_size=BODY_BYTES - 2, max_size=BODY_BYTES + 2))


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A valid request, of any framing."""
    headers = [b"%b: %b" % header for header in draw(st.lists(st.tuples(NAMES, VALUES), max_size=3))]
    body, kind = draw(BODIES), draw(st.integers(0, 4))
    path = draw(st.sampled_from([b"/", b"/a?b=c", b"/v2/models/m/infer", b"http://h/x"]))
    if kind == 0:
        return b"\r\n".join((b"GET %b HTTP/1.1" % path, b"Host: a", *headers, b"", b""))
    if kind < 4:
        return post(body, *headers, path=path)
    size = draw(st.integers(1, 700))
    extension, trailer = draw(st.sampled_from([b"", b";a=b"])), draw(st.sampled_from([b"", b"X-T: v\r\n"]))
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
    head = (b"POST %b HTTP/1.1" % path, b"Host: a", b"Transfer-Encoding: chunked", *headers, b"", b"")
    return b"\r\n".join(head) + chunks + b"0\r\n" + trailer + b"\r\n"


STREAMS = st.lists(requests(), min_size=1, max_size=5).map(b"".join)


def pieces_of(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


def assert_nothing_stays(caller: Caller) -> None:
    caller.hang_up()
    assert (caller.server.held, caller.server.answering) == (0, 0)
    assert not caller.server._connections


@settings(deadline=None)
@given(STREAMS, st.lists(st.integers(0, 10**6), max_size=20))
def test_however_a_stream_is_cut_the_same_requests_are_read(data: bytes, cuts: list[int]) -> None:
    drop, cut, again = Handler(), Handler(), Handler()
    slow = Caller(drop)
    told = slow.send(*(data[at : at + 1] for at in range(len(data))))
    assert_nothing_stays(slow)
    quick = Caller(cut)
    assert [one.body for one in quick.send(*pieces_of(data, cuts))] == [one.body for one in told]
    assert_nothing_stays(quick)
    assert cut.seen == drop.seen
    assert len(drop.seen) == len(told) > 0
    whole = Caller(again)
    for _ in range(2):  # the second time heads are known
        whole.send(data)
        assert_nothing_stays(whole)
        whole.again()
    assert again.seen == drop.seen * 2


@settings(deadline=None)
@given(STREAMS, st.lists(st.integers(0, 10**6), max_size=20), st.integers(0, 3))
def test_answers_that_come_later_come_in_the_same_order(data: bytes, cuts: list[int], patience: int) -> None:
    at_once, later = Handler(), Handler(at_once=False)
    told = Caller(at_once).send(data)
    caller = Caller(later)
    for number, piece in enumerate(pieces_of(data, cuts)):
        caller.send(piece)
        if later.waiting and number % (patience + 1) == 0:
            later.answer()
    while later.waiting:
        later.answer()
    assert [one.body for one in caller.told()] == [one.body for one in told]
    assert_nothing_stays(caller)


KINDS = st.sampled_from(["drop", "put", "turn", "twice"])
MUTATIONS = st.lists(
    st.tuples(st.integers(0, 10**6), KINDS, st.binary(min_size=1, max_size=3)),
    min_size=1,
    max_size=6,
)


def mutated(data: bytes, how: list[tuple[int, str, bytes]]) -> bytes:
    for place, kind, more in how:
        at = place % (len(data) + 1)
        if kind == "drop":
            data = data[:at] + data[at + len(more) :]
        elif kind == "put":
            data = data[:at] + more + data[at:]
        elif kind == "turn":
            data = data[:at] + more + data[at + len(more) :]
        else:
            data = data[:at] + data[max(0, at - 40) : at] + data[at:]
    return data


@settings(deadline=None, max_examples=300)
@given(STREAMS, MUTATIONS, st.lists(st.integers(0, 10**6), max_size=10), st.booleans())
def test_spoilt_bytes_raise_nothing_and_leave_nothing(
    data: bytes, how: list[tuple[int, str, bytes]], cuts: list[int], at_once: bool
) -> None:
    data = mutated(data, how)
    handler = Handler(at_once=at_once)
    caller = Caller(handler)
    caller.send(*pieces_of(data, cuts))
    while handler.waiting and data[-1:] < b"\x80":
        handler.answer()
    seen = [*handler.seen]  # a body that the end breaks off comes on top, refused
    assert_nothing_stays(caller)
    first = Handler()
    Caller(first).send(*(data[at : at + 1] for at in range(len(data))))
    alike = first.seen[: len(seen)]
    assert [one for one in seen if one[-1] == 200] == [one for one in alike if one[-1] == 200]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=5))
def test_any_bytes_raise_nothing_and_leave_nothing(pieces: list[bytes]) -> None:
    caller = Caller()
    caller.send(*pieces)
    assert_nothing_stays(caller)
