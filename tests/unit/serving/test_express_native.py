"""What is compiled to receive and to answer takes and gives bytes as they are, and looks at what it is given."""

from __future__ import annotations

import contextlib
import random
import select
import socket
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staytrue.compiled import native
from tests.needs import needs_express

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n"
KIND = object()
LINES = (b"HTTP/1.1 200 OK\r\nContent-Length: ", b"\r\nX-Event-Id: ", b"\r\n\r\n")


@pytest.fixture(autouse=True, scope="module")
def built() -> None:
    """Without it there is nothing to be tested."""
    needs_express()


class Wires:
    """Connections whose other ends are a test's."""

    def __init__(self, count: int) -> None:
        self.poll = native.Express()
        self.poll.know(HEAD, 4, KIND)
        pairs = [socket.socketpair() for _ in range(count)]
        self.mine, self.others = [one for one, _ in pairs], [other for _, other in pairs]
        for one in self.mine:
            self.poll.add(one.fileno())

    def close(self) -> None:
        """Let go."""
        for one in (*self.mine, *self.others):
            one.close()


@pytest.fixture
def wires() -> Iterator[Wires]:
    """Three."""
    made = Wires(3)
    yield made
    made.close()


def test_requests_are_told_by_kind_and_all_else_as_it_came(wires: Wires) -> None:
    other = object()
    wires.poll.know(HEAD.replace(b"POST", b"PUT"), 4, other)
    wires.others[0].send(HEAD + b"abcd")
    wires.others[1].send(HEAD.replace(b"POST", b"PUT") + b"efgh")
    wires.others[2].send(HEAD + b"ab")
    batches, odd = wires.poll.receive()
    a, b, c = (one.fileno() for one in wires.mine)
    assert sorted(batches, key=lambda one: one[1]) == [
        (KIND, [a], [HEAD], [b"abcd"]),
        (other, [b], [HEAD.replace(b"POST", b"PUT")], [b"efgh"]),
    ]
    assert odd == [(c, HEAD + b"ab")]
    assert wires.poll.receive() == ([], [])


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\r\n\r\n",
        HEAD,
        HEAD[:-1],
        HEAD + b"abc",
        HEAD + b"abcde",
        HEAD.lower() + b"abcd",
        b" " + HEAD + b"abcd",
        HEAD.replace(b"4", b"5") + b"abcde",
        b"\0" * 10,
        b"x" * 8191,
        HEAD + b"x" * 8000,
    ],
    ids=lambda sent: repr(sent[:40]),
)
def test_what_is_no_whole_request_behind_a_known_head_is_given_back(wires: Wires, sent: bytes) -> None:
    if sent:
        wires.others[1].send(sent)
    else:
        wires.others[1].close()
    assert wires.poll.receive() == ([], [(wires.mine[1].fileno(), sent)])


def test_it_is_readable_once_something_has_come_and_no_more_once_it_was_taken(wires: Wires) -> None:
    def readable() -> bool:
        return bool(select.select([wires.poll.fileno()], [], [], 0)[0])

    assert not readable()
    wires.others[0].send(HEAD + b"abcd")
    assert readable()
    wires.poll.receive()
    assert not readable()
    wires.poll.remove(wires.mine[0].fileno())
    wires.poll.remove(wires.mine[0].fileno())
    wires.others[0].send(HEAD + b"abcd")
    assert not readable()


def test_of_many_all_are_told_in_the_end_each_once() -> None:
    wires, count = Wires(200), 200
    try:
        for other in wires.others:
            other.send(HEAD + b"abcd")
        found: list[int] = []
        while len(found) < count:
            batches, odd = wires.poll.receive()
            assert odd == []
            [(kind, descriptors, heads, bodies)] = batches
            assert kind is KIND
            assert len(descriptors) == len(heads) == len(bodies)
            found += descriptors
        assert sorted(found) == sorted(one.fileno() for one in wires.mine)
    finally:
        wires.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=60) | st.just(HEAD + b"abcd")), max_size=12))
def test_no_byte_is_lost_nor_told_twice(sent: list[tuple[int, bytes]]) -> None:
    wires = Wires(3)
    try:
        whole = {one.fileno(): b"" for one in wires.mine}
        told = dict(whole)
        for at, data in sent:
            wires.others[at].send(data)
            whole[wires.mine[at].fileno()] += data
        while wires.poll and select.select([wires.poll.fileno()], [], [], 0)[0]:
            batches, odd = wires.poll.receive()
            for _, *columns in batches:
                for fd, head, body in zip(*columns, strict=True):
                    assert (head, len(body)) == (HEAD, 4)
                    told[fd] += head + body
            for fd, data in odd:
                told[fd] += data
        assert told == whole
    finally:
        wires.close()


def test_heads_are_forgotten_once_there_are_many(wires: Wires) -> None:
    for number in range(3000):
        wires.poll.know(b"GET /%d HTTP/1.1\r\n\r\n" % number, 0, KIND)
    wires.others[0].send(HEAD + b"abcd")
    assert wires.poll.receive()[1] == [(wires.mine[0].fileno(), HEAD + b"abcd")]
    wires.others[0].send(b"GET /2999 HTTP/1.1\r\n\r\n")
    assert wires.poll.receive()[0][0][2:] == ([b"GET /2999 HTTP/1.1\r\n\r\n"], [b""])


@pytest.mark.parametrize(
    "told", [(HEAD, 8192 - len(HEAD), KIND), (HEAD, -1, KIND), (HEAD, 2**63 - 1, KIND), (b"x" * 9000, 0, KIND)]
)
def test_what_would_not_come_at_once_is_not_known(wires: Wires, told: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="expected a short"):
        wires.poll.know(*told)


@pytest.mark.parametrize("fd", [-1, 2**40])
def test_descriptors_are_looked_at(wires: Wires, fd: int) -> None:
    for way in (wires.poll.add, wires.poll.remove):
        with pytest.raises((ValueError, OverflowError)):
            way(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        wires.poll.add(1000)
    with pytest.raises(TypeError):
        wires.poll.add("1")


def read(wire: socket.socket) -> bytes:
    """All that came."""
    wire.settimeout(0)
    return wire.recv(2**20)


def test_each_gets_its_own_answer(wires: Wires) -> None:
    fds = [one.fileno() for one in wires.mine]
    bodies = ([b"{", b":", b"}"], [b"aabbcc", (b"[[1,2],[],[3]]",)])
    assert native.answer(fds, *LINES, b"n1n2n3", *bodies) == []
    for other, name, body in zip(wires.others, (b"n1", b"n2", b"n3"), (b"{aa:1,2}", b"{bb:}", b"{cc:3}"), strict=True):
        assert read(other) == b"%b%d%b%b%b%b" % (LINES[0], len(body), LINES[1], name, LINES[2], body)


def test_who_is_gone_is_told_and_the_others_get_theirs(wires: Wires) -> None:
    wires.others[1].close()
    fds = [one.fileno() for one in wires.mine]
    assert native.answer(fds, *LINES, b"n1n2n3", [b"", b""], [[b"a", b"b", b"c"]]) == [(1, None)]
    assert read(wires.others[2]).endswith(b"\r\n\r\nc")


def test_what_does_not_fit_is_given_back(wires: Wires) -> None:
    long = random.Random(1).randbytes(3_000_000)  # noqa: S311
    fds = [one.fileno() for one in wires.mine]
    [(place, rest)] = native.answer(fds, *LINES, b"n1n2n3", [b"", b""], [[b"a", long, b"c"]])
    assert place == 1
    assert rest is not None
    came = read(wires.others[1])
    assert came + rest == LINES[0] + b"3000000" + LINES[1] + b"n2" + LINES[2] + long
    assert read(wires.others[2]).endswith(b"\r\n\r\nc")


def test_an_answer_for_which_there_is_no_memory_is_no_answer(wires: Wires) -> None:
    """Of whom nothing is told would wait for ever."""
    memory = pytest.importorskip("_testcapi")
    fds = [one.fileno() for one in wires.mine]
    failed = 0
    for allocation in range(1, 40):
        memory.set_nomemory(allocation, allocation + 1)
        try:
            left = native.answer(fds, *LINES, b"n1n2n3", [b"", b""], [[b"a", b"b", b"c" * 5000]])
        except MemoryError:
            failed += 1
            left = None
        finally:
            memory.remove_mem_hooks()
        if left is not None:
            assert left == []
            assert read(wires.others[2]).endswith(b"c" * 5000)
        for other in wires.others:
            with contextlib.suppress(BlockingIOError):
                read(other)
    assert 2 < failed < 39


@pytest.mark.parametrize(
    ("names", "around", "columns"),
    [
        (b"n1n2n", [b"", b""], [[b"a", b"b", b"c"]]),
        (b"n1n2n3", [b""], [[b"a", b"b", b"c"]]),
        (b"n1n2n3", [b"", b""], [[b"a", b"b"]]),
        (b"n1n2n3", [b"", b""], [(b"[[1],[2]]",)]),
        (b"n1n2n3", [b"", b""], []),
    ],
)
def test_answers_are_as_many_as_descriptors(wires: Wires, names: bytes, around: Any, columns: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        native.answer([one.fileno() for one in wires.mine], *LINES, names, around, columns)


def test_nobody_is_answered_without_descriptors() -> None:
    with pytest.raises(ValueError, match="expected"):
        native.answer([], *LINES, b"", [b"", b""], [[]])
    with pytest.raises((ValueError, OverflowError)):
        native.answer([-1], *LINES, b"n", [b"", b""], [[b"a"]])
    with pytest.raises(TypeError):
        native.Express(1)
