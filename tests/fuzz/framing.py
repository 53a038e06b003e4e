"""Sends the same made-up bytes to a server that remembers no head and to those that remember all, in any pieces.

``python -m tests.fuzz.framing [SECONDS [SEED]]``: they must take them for the same requests, tell the same, and end the
connection alike; one of them has brief requests received past their connections. What they do not lies in
``build/fuzz/framing``, and belongs into a test.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from serving.http.reader import SLICE
from staytrue.compiled import native
from tests.framing import BODY_BYTES, Quick, Twin, Twins

if TYPE_CHECKING:
    from tests.framing import Act, Told

SECONDS, SEED = 60.0, 1
TOGETHER = 400
"""Streams that one pair of servers is sent."""
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
LINES = [
    b"X-Request-Id: %d",
    b"x-request-id: r%d",
    b"X-Request-Id:%d",
    b"X-Request-Id: ",
    b"traceparent: t%d",
    b"tracestate: a b",
    b"Authorization: Bearer %d",
    b"X-Api-Key: %d",
    b"Cookie: %d",
    b"Accept: */*",
    b"X: y%d",
    b"X: y\x80",
]
DANGEROUS = [
    b"Transfer-Encoding: chunked",
    b"transfer-encoding:chunked",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding:\r\n chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked",
    b"Transfer_Encoding: chunked",
    b"Content-Length: 5",
    b"content-length:0",
    b"Content-Length: ",
    b"Content-Length: 20000",
    b"Content-Length : 20000",
    b"Content-Length:\r\n 20000",
    b"Content_Length: 5",
    b"X-Request-Id: 1\r\nX-Request-Id: 2",
    b"Connection: close",
    b"Connection: Keep-Alive, X",
    b"Connection: keep-alive, close",
    b"Proxy-Connection: close",
    b"Connection: upgrade\r\nUpgrade: h2c",
    b"Upgrade: websocket",
    b"Expect: 100-continue",
    b"Expect: other",
    b"Host: b",
    b" folded: 5",
    b"\tfolded",
    b"X\0: y",
    b"X: \0",
    b": y",
    b"X",
    b"",
]
LENGTHS = [b"+%d", b"0%d", b" %d", b"%d ", b"\t%d", b"%d,%d", b"%d, %d", b"-%d", b"0x%d", b"%d.0", b"%d_0", b"\x0b%d"]
BYTES = [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\0", b" ", b"\t", b":", b"0", b"\x0b", b"\x85", b"\xff"]
STARTS = [b"POST /p HTTP/1.1", b"POST /p?q=1 HTTP/1.1", b"GET /g HTTP/1.1", b"PUT /u HTTP/1.1", b"HEAD /h HTTP/1.1"]
ODD_STARTS = [b"POST /p HTTP/1.0", b"POST http://h/p HTTP/1.1", b"POST /p HTTP/1.1 ", b"CONNECT a:1 HTTP/1.1"]
SIZES = [0, 1, 2, 5, 40, 4096, 4097, SLICE - 1, SLICE, SLICE + 1, 20_000, 40_000, BODY_BYTES, BODY_BYTES + 1, 250_000]
CHANCES = [2, 4, 4, 4, 4, 2, 2, 4, 8, 8, 12, 2, 1, 0.5, 0.2]


class Sent(NamedTuple):
    """A request, and where its body begins."""

    data: bytes
    body: int


class Maker:
    """Makes up requests, most of them as most are.

    Args:
        chance: what it is made up by.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def request(self) -> Sent:
        """One request."""
        chance = self.chance
        start = chance.choice(ODD_STARTS if chance.random() < 0.05 else STARTS)
        size = chance.choices(SIZES, CHANCES)[0]
        body, lines = self._body(size), [b"Host: a"]
        framing = self._length(size)
        if chance.random() < 0.08:
            body, framing = self._chunked(body), b"Transfer-Encoding: chunked"
        elif not size and chance.random() < 0.5:
            framing = b"X: none"
        lines.insert(chance.randrange(2), framing)
        for _ in range(chance.choice([0, 0, 1, 1, 2, 3])):
            line = chance.choice(DANGEROUS if chance.random() < 0.12 else LINES)
            filled = line % chance.randrange(3) if b"%d" in line else line
            lines.insert(chance.choice([0, len(lines), chance.randrange(len(lines) + 1)]), filled)
        head = b"\r\n".join((start, *lines, b"", b""))
        if chance.random() < 0.05:
            head = chance.choice([b"\r\n", b"\r\n\r\n", b"\n", b"\r"]) + head
        if chance.random() < 0.08:
            at = chance.randrange(len(head) + 1)
            head = head[:at] + chance.choice(BYTES) + head[at + chance.choice([0, 0, 1, 2]) :]
        return Sent(head + body, len(head))

    def _length(self, size: int) -> bytes:
        chance = self.chance
        name = chance.choice([b"Content-Length"] * 6 + [b"content-length", b"Content-length", b"CONTENT-LENGTH"])
        if chance.random() < 0.05:
            size = max(0, size + chance.choice([-1, 1, -len(HIDDEN), 100]))
        form = chance.choice(LENGTHS) if chance.random() < 0.08 else b"%d"
        return b"%b:%b%b" % (name, chance.choice([b" "] * 9 + [b""]), form % ((size,) * form.count(b"%d")))

    def _body(self, size: int) -> bytes:
        """Bytes that would be requests, were they read as such."""
        chance = self.chance
        filling = chance.choice([b"x" * 50, HIDDEN, b"\r\n", b"\r\n\r\n" + HIDDEN, b"0\r\n\r\n" + HIDDEN])
        body = (filling * (size // len(filling) + 1))[:size]
        shift = chance.randrange(40)
        return b"y" * min(shift, size) + body[: max(0, size - shift)]

    def _chunked(self, body: bytes) -> bytes:
        size = self.chance.choice([1000, 5000, 20_000])
        parts = (body[at : at + size] for at in range(0, len(body), size))
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        return chunks + b"0\r\n\r\n"

    def pieces(self, requests: list[Sent]) -> list[Act]:
        """How they come: as requests, cut within, together; while nothing is written, or nothing answered yet."""
        chance, ends, at = self.chance, set[int](), 0
        data = b"".join(one.data for one in requests)
        kind = chance.randrange(5)
        for one in requests:
            if kind < 4 or chance.random() < 0.5:
                ends.add(at)
            if kind in {1, 4} and chance.random() < 0.7:
                ends.add(at + max(0, one.body + chance.choice([-5, -2, -1, 0, 1, 100, SLICE - 1, SLICE])))
            if kind in {2, 4}:
                ends.update(at + chance.randrange(len(one.data) + 1) for _ in range(chance.choice([1, 1, 2, 5])))
            at += len(one.data)
        if kind == 3:
            ends.update(chance.randrange(len(data) + 1) for _ in range(chance.choice([1, 3, 30])))
        ends = {end for end in ends if end < len(data)} | {0, len(data)}
        acts: list[Act] = [data[start:end] for start, end in pairwise(sorted(ends))]
        if chance.random() < 0.4:
            for _ in range(chance.choice([1, 2, 6])):
                acts.insert(chance.randrange(len(acts) + 1), chance.choice(["pause", "resume", "answer", "answer"]))
        return acts


def found(acts: list[Act], got: Told, wanted: Told) -> None:
    """Keep what was taken differently, and end.

    Raises:
        AssertionError: always.
    """
    place = Path("build/fuzz/framing")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(repr(acts))
    pairs = enumerate(zip(got, wanted, strict=False))
    at = next((at for at, (one, other) in pairs if one != other), min(len(got), len(wanted)))
    brief = [f"{name}: {told[at : at + 1]!r:.600}" for name, told in (("remembering", got), ("forgetting", wanted))]
    raise AssertionError(f"taken differently, at the {at + 1}., see {place}:\n" + "\n".join(brief))


def compare(maker: Maker, knowing: Twin) -> None:
    """Make up streams, in which requests come again, and compare what they are taken for."""
    twins, before, chance = Twins(found, knowing), list[Sent](), maker.chance
    for _ in range(TOGETHER):
        requests = [maker.request() for _ in range(chance.choice([1, 2, 3, 5]))]
        if before and chance.random() < 0.7:
            requests[chance.randrange(len(requests))] = chance.choice(before)
        before = [*before[-20:], *requests]
        twins.compare(b"".join(one.data for one in requests), *(maker.pieces(requests) for _ in range(3)))


async def main(seconds: float, seed: int) -> int:
    """Make up streams until the time is over."""
    maker, until = Maker(random.Random(seed)), time.monotonic() + seconds  # noqa: S311
    streams = recalled = announced = passed = 0
    while time.monotonic() < until:
        knowing = Twin(remembers=True)
        compare(maker, knowing)
        recalled, announced, streams = recalled + knowing.recalled, announced + knowing.announced, streams + TOGETHER
        if hasattr(native, "Express"):
            quick = Quick()
            compare(maker, quick)
            quick.close()
            passed, streams = passed + quick.passed, streams + TOGETHER
    told = f"{recalled} and {announced} had known heads, {passed} were received past their connections"
    sys.stdout.write(f"framing: {streams} streams; of their requests {told}\n")
    enough = min(recalled, announced) > streams // 20 and (passed > streams // 50 or not hasattr(native, "Express"))
    return 0 if enough else 1


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(asyncio.run(main(float(given[0]) if given else SECONDS, int(given[1]) if len(given) > 1 else SEED)))
