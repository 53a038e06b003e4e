"""Inference over gRPC: a message becomes a request of the dataplane, and is waited for in the thread of its call."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from serving.calls import Request, Written, request_id_of, trace_id_of
from serving.grpc import codec
from serving.grpc.guard import PROTOCOL, headers_of
from serving.proto import open_inference_grpc_pb2 as proto
from staytrue.errors import Cancelled, DeadlineExceeded, Overloaded, StaytrueError, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from serving.calls import Call, Done
    from serving.dataplane import Dataplane
    from serving.grpc.guard import Context, Guard, Headers
    from serving.inflight import Inflight
    from staytrue.bundle import Bundle
    from staytrue.server import ServingSection
    from staytrue.tensors import Answer, Parsed

SMALL_BYTES = 64 * 1024
"""Messages up to here are not counted: of those ``max_concurrency`` is bound enough."""
_FAR_SECONDS = 1e9
"""gRPC says a time in another age where a call has no deadline."""


class Query(NamedTuple):
    """What a message asks, whatever dialect it is written in."""

    model: str
    version: str | None
    read: Callable[[Bundle, bytes], Parsed]
    write: Callable[[Answer], bytes]


class Inference:
    """Asks the dataplane.

    Args:
        dataplane: that answers.
        settings: of serving.
        guard: who may ask.
        inflight: what all ports may hold together.
    """

    def __init__(self, dataplane: Dataplane, settings: ServingSection, guard: Guard, inflight: Inflight) -> None:
        self._dataplane, self._guard, self._inflight = dataplane, guard, inflight
        self._limit = settings.max_body_bytes
        self._turn = threading.Lock()
        self.held = 0
        """Bytes of large messages."""
        inflight.join(self)

    def infer(self, data: bytes, context: Context) -> bytes:
        """``ModelInfer``."""
        headers = headers_of(context)
        self._guard.admit(headers, "predict", context)
        answer: bytes = self.ask(data, headers, context, open_query).body
        return answer

    def begin(self, data: bytes, context: Context, done: Done) -> None:
        """``ModelInfer`` of a small message without waiting for its end, of which ``done`` is told by any thread.

        Raises:
            StaytrueError: it was refused before it became a request.
        """
        headers = headers_of(context)
        self._guard.admit(headers, "predict", context)
        request = self._request(data, headers, context, open_query)
        call = self._dataplane.submit(request, done)
        if call.outcome is None:
            self._watch(call, request, context)

    def ask(self, data: bytes, headers: Headers, context: Context, opened: Callable[[bytes], Query]) -> Written:
        """Answer a message, refused ones too with their event.

        Raises:
            StaytrueError: it was refused, or failed.
        """
        if len(data) <= SMALL_BYTES:
            return self._answered(self._request(data, headers, context, opened), context)
        with self._held(len(data)):
            self._must_be_awaited(context)
            return self._answered(self._request(data, headers, context, opened), context)

    def _request(self, data: bytes, headers: Headers, context: Context, opened: Callable[[bytes], Query]) -> Request:
        """Read a message.

        Raises:
            StaytrueError: it is too large, or none; the event says so.
        """
        try:
            if len(data) > self._limit:
                hint = "send fewer rows, or raise serving.max_body_bytes"
                raise TooLarge("message", expected=f"at most {self._limit} bytes", got=str(len(data)), hint=hint)
            return _request(opened(data), headers, context)
        except StaytrueError as error:
            self._dataplane.refuse(PROTOCOL, "", error)
            raise

    def _must_be_awaited(self, context: Context) -> None:
        """Look at a caller whose large message has waited for a thread, before it is read.

        Raises:
            DeadlineExceeded, Cancelled: nobody waits for the answer any more; the event says so.
        """
        left: Any = context.time_remaining()  # as in _request
        if left is not None and left <= 0:
            error: StaytrueError = DeadlineExceeded("request", expected="time left to answer", got="none")
        elif not context.is_active():
            error = Cancelled("request", "the caller hung up")
        else:
            return
        self._dataplane.refuse(PROTOCOL, "", error)
        raise error

    @contextlib.contextmanager
    def _held(self, size: int) -> Iterator[None]:
        """Count a large message for as long as it is in the house.

        Raises:
            Overloaded: all that are there would be more than the limit; the event says so.
        """
        with self._turn:
            full = self._inflight.full(size)
            self.held += 0 if full else size
        if full:
            problem = f"holds {self._inflight.total()} bytes of requests, {self._inflight.most} at most"
            error = Overloaded("server", problem, hint="try again")
            self._dataplane.refuse(PROTOCOL, "", error)
            raise error
        try:
            yield
        finally:
            with self._turn:
                self.held -= size

    def _answered(self, request: Request, context: Context) -> Written:
        """Submit a request and wait; a caller that hangs up meanwhile takes it out of its queue."""
        waiting = threading.Lock()
        waiting.acquire()
        call = self._dataplane.submit(request, lambda _: waiting.release(), wake=False)
        lane = call.lane
        # A lone request is run in this thread: a hop to another costs more than a small model does. Where there are
        # others the lane's own thread merges them, and writes and tells of all at once, which is worth the hop.
        if lane is not None and call.outcome is None and (self._dataplane.in_flight > 1 or not lane.run_here()):
            lane.wake()
        if call.outcome is None:
            self._watch(call, request, context)
        waiting.acquire()
        outcome = call.outcome
        if isinstance(outcome, Written):
            return outcome
        assert outcome is not None  # noqa: S101 - it is told of with its outcome
        raise outcome

    def _watch(self, call: Call, request: Request, context: Context) -> None:
        """Take the call out of its queue when its caller hangs up."""

        def hang_up() -> None:
            if call.outcome is None:
                self._dataplane.cancel(call, _gone(request))

        if not context.add_callback(hang_up):
            hang_up()


def open_query(data: bytes) -> Query:
    """A ``ModelInferRequest``.

    Raises:
        InvalidInput: the bytes are none.
    """
    return query_of(codec.message(proto.ModelInferRequest, data))


def query_of(message: proto.ModelInferRequest) -> Query:
    """What a ``ModelInferRequest`` asks; it is answered in the form it came in, raw or typed."""
    raw = bool(message.raw_input_contents)
    return Query(
        model=message.model_name,
        version=message.model_version or None,
        read=lambda *_: codec.parse(message),
        write=lambda answer: codec.write(answer, raw=raw),
    )


def _request(query: Query, headers: Headers, context: Context) -> Request:
    """A query with what the call says beside its message.

    Raises:
        InvalidInput: a request id that cannot be written into a log.
    """
    # The type says it never is nothing; it is, where a context has no clock.
    left: Any = context.time_remaining()
    return Request(
        model=query.model,
        version=query.version,
        protocol=PROTOCOL,
        read=query.read,
        write=query.write,
        request_id=request_id_of(headers.get("x-request-id", ""), "metadata x-request-id"),
        trace_id=trace_id_of(headers.get("traceparent", "")),
        sticky=headers.get("x-sticky-id", ""),
        deadline=float("inf") if left is None or left > _FAR_SECONDS else time.monotonic() + left,
    )


def _gone(request: Request) -> StaytrueError:
    """Why a call ended before its answer: gRPC ends one at its deadline as if its caller had hung up."""
    if request.deadline - time.monotonic() < 0.002:  # two clocks are compared
        return DeadlineExceeded(
            "request", expected="an answer within the caller's time", got="none yet: it was dropped"
        )
    return Cancelled("request", "the caller hung up")
