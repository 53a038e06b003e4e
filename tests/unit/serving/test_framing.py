"""What a server takes bytes for does not depend on the heads that it remembers, nor on how they come.

``make fuzz`` looks for more of the kind (tests/fuzz/framing.py).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from serving.http.announced import LEAST_BYTES
from serving.http.connection import Connection
from tests.framing import BODY_BYTES, Act, Quick, Told, Twin, Twins
from tests.needs import needs_express

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = LEAST_BYTES + 5000
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
BESIDE = {
    "a second length": b"Content-Length: 5",
    "a second length, the same": b"Content-Length: %d" % LONG,
    "a second length, spelt otherwise": b"content-length:\t5",
    "a length with a space before its colon": b"Content-Length : 5",
    "a folded length": b"Content-Length:\r\n 5",
    "a length behind a line feed": b"X: y\nContent-Length: 5",
    "a length behind a carriage return": b"X: y\rContent-Length: 5",
    "a length of no name": b"Content_Length: 5",
    "chunks": b"Transfer-Encoding: chunked",
    "chunks in small letters": b"transfer-encoding:chunked",
    "chunks with a space before the colon": b"Transfer-Encoding : chunked",
    "chunks of a kind that is not known": b"Transfer-Encoding: xchunked",
    "chunks in a folded line": b"Transfer-Encoding:\r\n chunked",
    "chunks behind a line feed": b"X: y\nTransfer-Encoding: chunked",
    "chunks of no name": b"Transfer_Encoding: chunked",
    "a folded line": b"X: y\r\n z",
    "a NUL": b"X: \0",
    "a NUL in a name": b"X\0: y",
    "an id twice": b"X-Request-Id: 1\r\nX-Request-Id: 2",
    "an id in another form": b"X-Request-Id:  1",
    "an id of nothing": b"X-Request-Id: ",
    "the end of the connection": b"Connection: close",
    "the end of the connection among others": b"Connection: keep-alive, close",
    "an upgrade": b"Connection: upgrade\r\nUpgrade: h2c",
    "an expectation": b"Expect: 100-continue",
    "an expectation that is not known": b"Expect: other",
    "another host": b"Host: b",
}
LENGTHS = [
    b"+%d",
    b"-%d",
    b"0%d",
    b"\t%d",
    b"%d ",
    b"%d,5",
    b"%d, 5",
    b"%d 5",
    b"0x%d",
    b"%d.0",
    b"%d_0",
    b"%d;",
    b"%d\0",
]
FEW = b"hello"


def asked(framing: bytes, *lines: bytes, body: bytes = b"") -> bytes:
    """With this line for its framing."""
    return b"\r\n".join((b"POST /p HTTP/1.1", b"Host: a", framing, *lines, b"", body))


def length(count: int) -> bytes:
    """The line that tells it, as most tell it."""
    return b"Content-Length: %d" % count


def body(count: int, *, at: int = 1000) -> bytes:
    """A body that holds a request at this place and wherever a slice might begin."""
    return (b"y" * at + HIDDEN * (count // len(HIDDEN)))[:count]


@pytest.fixture(params=["by their connections", "past their connections"])
def twins(request: pytest.FixtureRequest) -> Iterator[Twins]:
    """Both servers; one of them knows the heads of all that is plain here."""
    if request.param == "by their connections":
        yield taught(Twin(remembers=True))
        return
    needs_express()
    with asyncio.Runner() as runner:
        quick = runner.run(made())
        yield taught(quick)
        runner.run(ended(quick))


async def made() -> Quick:
    """One that receives and answers brief requests past their connections."""
    return Quick()


async def ended(quick: Quick) -> None:
    """Its end."""
    quick.close()


def taught(knowing: Twin) -> Twins:
    """Both, once heads are known."""

    def differ(acts: list[Act], got: Told, wanted: Told) -> None:
        brief = [act if isinstance(act, str) else act[:300] for act in acts]
        raise AssertionError(f"{brief}: {got!r:.900} and not {wanted!r:.900}")

    both = Twins(differ, knowing)
    for count in (len(FEW), LONG, LONG):
        for lines in ((), (b"X-Request-Id: 7",), (b"Authorization: Bearer a",), (b"X: y",)):
            data = asked(length(count), *lines, body=body(count))
            both.compare(data, [data], [data], [data], [data])
    assert knowing.recalled
    assert knowing.announced
    return both


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("count", [len(FEW), LONG])
def test_a_line_beside_a_known_head_is_read_as_ever(twins: Twins, name: str, count: int) -> None:
    for lines in ([BESIDE[name]], [b"X-Request-Id: 7", BESIDE[name]], [BESIDE[name], b"Authorization: Bearer a"]):
        data = asked(length(count), *lines, body=body(count))
        before = asked(BESIDE[name], length(count), *lines[1:], body=body(count))
        plain = asked(length(count), body=body(count))
        for each in (data, before):
            both = each + plain
            twins.compare(each, [each], [each[:700], each[700:]])
            twins.compare(both, [each, plain], [both], [both[: len(both) - 2000], both[len(both) - 2000 :]])


@pytest.mark.parametrize("form", LENGTHS)
@pytest.mark.parametrize("count", [len(FEW), LONG, BODY_BYTES, BODY_BYTES + 1])
def test_a_length_in_another_form_is_read_as_ever(twins: Twins, form: bytes, count: int) -> None:
    data = asked(b"Content-Length: " + form % count, body=body(count)) + HIDDEN
    twins.compare(data, [data], [data[: -len(HIDDEN)], HIDDEN], [data[:200], data[200:]])


@pytest.mark.parametrize("before", [b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\0"])
def test_what_stands_before_a_known_head_is_read_as_ever(twins: Twins, before: bytes) -> None:
    for count in (len(FEW), LONG):
        plain = asked(length(count), body=body(count))
        data = before + plain
        twins.compare(data, [data], [before, plain], [before + plain[:90], plain[90:]], [data])


def test_requests_that_come_with_a_long_body_or_behind_it_are_told_apart(twins: Twins) -> None:
    long, other = asked(length(LONG), body=body(LONG)), asked(length(LONG + 1), body=body(LONG + 1))
    short = asked(length(len(FEW)), body=FEW)
    for data in (long + short + other, long + other + HIDDEN, short + long + short, long + long[:-1], other + b"x"):
        for cut in (60, 62, 63, 64, 65, 66, 1064, len(long) - 1, len(long), len(long) + 1, len(long) + 66):
            twins.compare(data, [data[:cut], data[cut:]], [data[:cut], data[cut : cut + 1], data[cut + 1 :]])


def test_a_body_goes_on_as_one_where_the_caller_did_not_read_meanwhile(twins: Twins) -> None:
    data = asked(length(LONG), body=body(LONG)) + HIDDEN
    for at in (70, 1000, 1066, 1066 + len(HIDDEN), LONG - 10, LONG + 66):
        twins.compare(data, [data[:at], "pause", data[at:], "resume"])
        twins.compare(data, [data[:at], "pause", data[at : at + 500], "resume", data[at + 500 :]])
        twins.compare(data, [data[:at], "pause", data[at : at + 500], "resume", "pause", data[at + 500 :]])


def test_a_key_is_its_holders_alone(twins: Twins) -> None:
    for count in (len(FEW), LONG):
        for key in (b"a", b"b", b"a", b"ab", b"b", b"a"):
            for line in (b"Authorization: Bearer ", b"X-Api-Key: ", b"Cookie: "):
                data = asked(length(count), line + key, body=body(count))
                own = asked(length(count), line + key, b"X-Request-Id: " + key, body=body(count))
                twins.compare(data, [data], [data[:120], data[120:]])
                twins.compare(own, [own], [own[:120], own[120:]])


def test_who_has_gone_leaves_its_answer_to_nobody_that_has_its_descriptor_now() -> None:
    needs_express()

    async def tried() -> None:
        quick, data = Quick(), asked(length(len(FEW)), body=FEW)
        quick.tell([data, data, data])
        connection, wire = Connection(quick.server), quick._wire()
        connection.connection_made(wire)
        connection.stays.pauses()  # as one that was there before
        connection.data_received(data)
        assert connection.express >= 0
        connection.connection_lost(None)
        passed = quick.passed
        assert quick.express is not None
        quick.express._come()
        assert quick.passed == passed
        quick._gone(wire)
        quick.close()

    asyncio.run(tried())


def test_who_speaks_tls_is_read_by_its_own_connection() -> None:
    needs_express()

    async def tried() -> None:
        quick, data = Quick(), asked(length(len(FEW)), body=FEW)
        quick.tell([data, data, data])
        for context in (None, object()):
            connection, wire = Connection(quick.server), quick._wire()
            wire.context = context
            connection.connection_made(wire)
            connection.stays.pauses()
            connection.data_received(data)
            assert (connection.express >= 0) == (context is None)
            quick._last(connection)
            quick._gone(wire)
        quick.close()

    asyncio.run(tried())
