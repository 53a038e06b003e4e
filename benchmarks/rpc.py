"""A connection over gRPC that asks again as soon as it has its answer: HTTP/2 frames, one stream at a time.

gRPC's own client for Python costs more than the servers that are to be measured.

Source: RFC 9113 (HTTP/2), RFC 7541 (HPACK; no dynamic table), gRPC over HTTP/2.
"""

from __future__ import annotations

import asyncio
import struct
import time
from typing import TYPE_CHECKING, cast

from benchmarks.questions import WrongAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.questions import Question
    from benchmarks.rest import Window

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM = ACK = 1
END_HEADERS = 4
PADDED = 8
LARGEST_FRAME, FIRST_WINDOW, LARGEST_WINDOW = 16384, 65535, 2**31 - 1
HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE = 1, 4
_PATH = b"/inference.GRPCInferenceService/ModelInfer"
_FIELDS = (
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", _PATH),
    (b":authority", b"127.0.0.1"),
    (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),
)
_HEAD = b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in _FIELDS)
_HEADER = struct.Struct(">HBBBI")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return _HEADER.pack(len(payload) >> 8, len(payload) & 255, kind, flags, stream) + payload


_HELLO = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + frame(SETTINGS, 0, 0, struct.pack(">HIHI", HEADER_TABLE_SIZE, 0, INITIAL_WINDOW_SIZE, LARGEST_WINDOW))
    + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", LARGEST_WINDOW - FIRST_WINDOW))
)


def message(request: bytes) -> bytes:
    """A request as gRPC frames it: not compressed, its length before it."""
    return b"\0" + struct.pack(">I", len(request)) + request


class Call(asyncio.Protocol):
    """A client of one row at a time.

    Its own window for answers, 2 GB a connection, is more than it takes in a measurement.
    """

    def __init__(self, questions: Iterator[Question], window: Window) -> None:
        self._questions, self._window = questions, window
        self._message, self._check = next(questions)
        self._held, self._answer, self._began, self._resting = b"", b"", 0.0, False
        self._stream, self._sent = -1, 0
        self._room, self._stream_room, self._first_room = FIRST_WINDOW, 0, FIRST_WINDOW
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the first time."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(_HELLO)
        self._began = time.perf_counter()
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """A server that hangs up before it was asked to fails the window."""
        if not self._resting:
            self._window.fail(ConnectionError(f"the server closed the connection: {exc}"))

    def data_received(self, data: bytes) -> None:
        """Take the frames that are whole."""
        if self._held:
            data = self._held + data
        at = 0
        try:
            while len(data) - at >= 9:
                high, low, kind, flags, stream = _HEADER.unpack_from(data, at)
                end = at + 9 + (high << 8) + low
                if end > len(data):
                    break
                self._take(kind, flags, stream, data[at + 9 : end])
                at = end
        except WrongAnswer as error:
            self._window.fail(error)
        self._held = data[at:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == DATA:
            if flags & PADDED:
                raise WrongAnswer("padded data, which this client does not read")
            self._answer += payload
        elif kind == WINDOW_UPDATE:
            self._widen(stream, struct.unpack(">I", payload)[0])
        elif kind == SETTINGS and not flags & ACK:
            self._settle(payload)
        elif kind == PING and not flags & ACK:
            self._write(frame(PING, ACK, 0, payload))
        elif kind in {RST_STREAM, GOAWAY}:
            raise WrongAnswer(f"the server ended the {'stream' if kind == RST_STREAM else 'connection'}: {payload!r}")
        if kind in {DATA, HEADERS} and flags & END_STREAM:
            self._end()

    def _settle(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", payload):
            if name == INITIAL_WINDOW_SIZE:
                self._stream_room += value - self._first_room
                self._first_room = value
        self._write(frame(SETTINGS, ACK, 0))
        self._send()

    def _widen(self, stream: int, by: int) -> None:
        if not stream:
            self._room += by
        elif stream == self._stream:
            self._stream_room += by
        self._send()

    def _ask(self) -> None:
        self._stream += 2
        self._sent, self._stream_room, self._answer = 0, self._first_room, b""
        message, size = self._message, len(self._message)
        if size <= LARGEST_FRAME and size <= self._room and size <= self._stream_room:  # at once, as a rule
            self._room -= size
            self._sent = size
            start = frame(HEADERS, END_HEADERS, self._stream, _HEAD)
            self._write(start + frame(DATA, END_STREAM, self._stream, message))
        else:
            self._write(frame(HEADERS, END_HEADERS, self._stream, _HEAD))
            self._send()

    def _send(self) -> None:
        """As much of the message as the server has room for."""
        while self._sent < len(self._message):
            size = min(LARGEST_FRAME, len(self._message) - self._sent, self._room, self._stream_room)
            if size <= 0:
                return
            part = self._message[self._sent : self._sent + size]
            self._sent += size
            self._room -= size
            self._stream_room -= size
            self._write(frame(DATA, END_STREAM if self._sent == len(self._message) else 0, self._stream, part))

    def _end(self) -> None:
        # An error has no message: its trailers are all there is.
        if len(self._answer) < 5 or len(self._answer) - 5 != int.from_bytes(self._answer[1:5], "big"):
            raise WrongAnswer(f"an answer without its message: {self._answer[:300]!r}")
        self._check(self._answer[5:])
        began = self._window.count(self._began)
        if began is None:
            self._resting = True
        else:
            self._began = began
            self._message, self._check = next(self._questions)
            self._ask()

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)
