"""Calls of many messages both ways: each holds a thread, so they are few, and the server's end waits for none."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import grpc

from serving.grpc.guard import Bounded, refusal_of
from staytrue.errors import DeadlineExceeded, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from serving.grpc.guard import Context, Refusal, Send

IDLE_SECONDS = 0.1
"""A stream without a request for so long is ended when the server drains."""
BUSY_SECONDS = 1.0
"""One that never rests is ended after so long, between an answer and the next request."""
LOOK_SECONDS, IDLE_LOOK_SECONDS = 0.02, 0.5


class Stream:
    """One such call."""

    def __init__(self, context: Context, send: Send) -> None:
        self._context, self._send = context, send
        self._turn = threading.Lock()
        self._busy = self._ended = False
        self._since = time.monotonic()

    def begin(self) -> bool:
        """A request has come; False where the stream has ended, and nobody would hear of an answer."""
        with self._turn:
            self._busy = not self._ended
            return self._busy

    def answer(self, data: bytes) -> None:
        """Send an answer."""
        self._send(data)

    def rest(self) -> None:
        """The request is answered."""
        with self._turn:
            self._busy, self._since = False, time.monotonic()

    def end(self, refusal: Refusal | None = None, idle_seconds: float = 0.0) -> None:
        """End it, if it has rested for so long and has not ended yet."""
        with self._turn:
            if self._ended or self._busy or time.monotonic() - self._since < idle_seconds:
                return
            self._ended = True
        if refusal is not None:
            self._context.set_trailing_metadata(refusal.trailing)
            self._context.set_code(refusal.status)
            self._context.set_details(refusal.details)
        self._send(None)


class Streams:
    """Those of one method.

    Args:
        name: for messages.
        most: how many at once.
        idle_seconds: without a request one ends after it; without it, never.
    """

    def __init__(self, name: str, most: int, idle_seconds: float | None = None) -> None:
        self._name, self._places, self.idle_seconds = name, Bounded(name, most), idle_seconds
        self._turn = threading.Lock()
        self._looking = False
        self._open: set[Stream] = set()

    def handler(
        self, answers: Callable[[Any, Context], Iterator[bytes]], admit: Callable[[Context], None] | None = None
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """The method: ``answers`` gives those to one request; ``admit`` refuses who may have no place."""

        def handle(requests: Iterator[Any], context: Context, send: Send) -> None:
            stream = Stream(context, send)
            refusal = None
            try:
                if admit is not None:
                    admit(context)
                with self._places:
                    self._opened(stream)
                    self._follow(stream, requests, lambda request: answers(request, context))
            except grpc.RpcError:  # the caller has gone
                return
            except Exception as error:  # noqa: BLE001 - told by refusal_of
                refusal = refusal_of(error)
            finally:
                with self._turn:
                    self._open.discard(stream)
            stream.rest()
            stream.end(refusal)

        # gRPC then lets another thread end the stream, as its own health service needs it.
        handle.experimental_non_blocking = True  # type: ignore[attr-defined]
        return grpc.stream_stream_rpc_method_handler(handle)

    def end(self, seconds: float) -> None:
        """End all: those that rest soon, the others between two requests. Blocks for so long at most."""
        refusal = refusal_of(Unavailable("server", "is shutting down", hint="try another, or again"))
        began = time.monotonic()
        while self._open and (passed := time.monotonic() - began) < seconds:
            with self._turn:
                there = list(self._open)
            for stream in there:
                stream.end(refusal, IDLE_SECONDS if passed < BUSY_SECONDS else 0.0)
            time.sleep(LOOK_SECONDS)

    def _opened(self, stream: Stream) -> None:
        with self._turn:
            self._open.add(stream)
            looking, self._looking = self._looking, self.idle_seconds is not None
        if self.idle_seconds is not None and not looking:
            try:
                threading.Thread(target=self._look, args=(self.idle_seconds,), name="grpc-idle", daemon=True).start()
            except RuntimeError:  # there are no threads: the next that opens tries again
                self._looking = False

    def _look(self, idle_seconds: float) -> None:
        """While some are open, end those that are idle."""
        expected = f"a request within {idle_seconds:g} seconds"
        while True:
            time.sleep(IDLE_LOOK_SECONDS)
            with self._turn:
                self._looking = bool(self._open)
                there = list(self._open)
            for stream in there:
                stream.end(refusal_of(DeadlineExceeded(self._name, expected=expected, got="none")), idle_seconds)
            if not there:
                return

    @staticmethod
    def _follow(stream: Stream, requests: Iterator[Any], answers: Callable[[Any], Iterator[bytes]]) -> None:
        for request in requests:
            if not stream.begin():
                return
            for answer in answers(request):
                stream.answer(answer)
            stream.rest()
