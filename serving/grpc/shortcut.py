"""The threads of gRPC's calls, and a shorter way for small inferences, which need none.

gRPC's synchronous server gives each call a thread, that waits for the message and then for the model. These changes of
threads cost more than all that is done for a small request. The shorter way reads the message in the thread in which
gRPC tells of it, and the answer is sent by whoever ran the model. It leans on inner parts of grpcio; where they are not
what is expected all calls take the usual way, and the log says so.
"""

from __future__ import annotations

import inspect
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
from grpc import _server as inner

from serving.calls import Written
from serving.grpc.arrivals import Arrival, Threaded, Waiting, refuse
from serving.grpc.guard import refusal_of
from serving.grpc.inference import SMALL_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.calls import Call
    from serving.grpc.guard import Guard, Refusal
    from serving.grpc.inference import Inference

log = logging.getLogger(__name__)
MOST_WAITING, WAITING_FACTOR = 1024, 4
"""Calls whose messages have not come: so many, or so many for each thread."""
MOST_OPEN, OPEN_SECONDS = 32, 5.0
"""Of those that need no key, whose messages are nearly empty: what strangers send of larger ones takes memory."""
LEAST_RECEIVED, RECEIVED_FACTOR = 8, 2
"""Messages that are received at once: so many, or as hold twice what all requests may hold together."""
_ARGUMENTS = ["rpc_event", "state", "behavior", "argument_thunk", "request_deserializer", "response_serializer"]
_PARTS = ("_abort", "_application_code", "_Context", "_possibly_finish_call", "_status")


def fits() -> bool:
    """Whether grpcio's inner parts are those that the shorter way leans on."""
    there = all(hasattr(inner, part) for part in (*_PARTS, "_RECEIVE_MESSAGE_TOKEN", "_is_rpc_state_active"))
    ways = [getattr(inner, name, None) for name in ("_unary_response_in_pool", "_stream_response_in_pool")]
    return there and all(way is not None and list(inspect.signature(way).parameters) == _ARGUMENTS for way in ways)


class Methods(NamedTuple):
    """The methods of a server.

    Args:
        all: all of them.
        keyed: those that want a key, where there are keys.
        infer: that of inferences, which may go the shorter way.
    """

    all: list[grpc.RpcMethodHandler[Any, Any]]
    keyed: list[grpc.RpcMethodHandler[Any, Any]]
    infer: grpc.RpcMethodHandler[Any, Any]


class Threads(ThreadPoolExecutor):
    """What calls run in: none that needs a key before its key is known, none of one message before that has come.

    Args:
        most: threads.
        inference: asks the dataplane.
        guard: who may ask, and when answers are sent.
        methods: those that there are.
        read_seconds: for a message to come.
        share: largest messages that all requests may hold together.
    """

    def __init__(
        self, most: int, inference: Inference, guard: Guard, methods: Methods, read_seconds: float, share: int
    ) -> None:
        super().__init__(max_workers=most, thread_name_prefix="grpc")
        self._inference, self._guard, self._methods = inference, guard, methods
        self._behavior = methods.infer.unary_unary
        self._keyed = {_behavior_of(handler) for handler in methods.keyed}
        self._single = {_behavior_of(handler) for handler in methods.all if not handler.request_streaming}
        waiting = max(MOST_WAITING, WAITING_FACTOR * most)
        self._waiting = Waiting(waiting, read_seconds, max(LEAST_RECEIVED, RECEIVED_FACTOR * share))
        self._strangers = Waiting(max(LEAST_RECEIVED, min(MOST_OPEN, share)), OPEN_SECONDS)
        self.calls = 0
        """That have come."""
        self.short = fits()
        if not self.short:
            log.warning("grpcio %s is another than expected: small calls cost more", grpc.__version__)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call in a thread, unless it can go the shorter way."""
        self.calls += 1
        if not (self.short and len(args) == len(_ARGUMENTS) + 1):
            return super().submit(fn, *args, **kwargs)
        way, event, state, behavior, _, *coders = args
        keyed = behavior in self._keyed
        if keyed and (refusal := self._guard.stranger(event.invocation_metadata, event.call.peer)) is not None:
            refuse(self._guard, event, state, refusal)
            return _NOBODY
        waiting = self._waiting if keyed else self._strangers
        if behavior is self._behavior:
            aside = super().submit
            _Short(event, state, self._guard, waiting, self._inference, aside).receive()
            return _NOBODY
        if behavior not in self._single:
            return super().submit(fn, *args, **kwargs)

        def run(given: Callable[[], Any]) -> object:
            return super(Threads, self).submit(fn, way, event, state, behavior, given, *coders)

        Threaded(event, state, self._guard, waiting, run).receive()
        return _NOBODY


def _behavior_of(handler: grpc.RpcMethodHandler[Any, Any]) -> Any:
    return handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream


class _Nobody(Future[Any]):
    """Stands for the future of a call of the shorter way: gRPC asks to be told of its end, and needs it for no more."""

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        """Forget it."""


_NOBODY = _Nobody()


class _Short(Arrival):
    """An inference."""

    __slots__ = ("_aside", "_inference")

    def __init__(
        self,
        event: Any,
        state: Any,
        guard: Guard,
        waiting: Waiting,
        inference: Inference,
        aside: Callable[[Callable[[], None]], object],
    ) -> None:
        super().__init__(event, state, guard, waiting)
        self._inference, self._aside = inference, aside

    def take(self, data: bytes) -> None:
        """Ask, or have a thread ask where it is large."""
        if len(data) <= SMALL_BYTES:
            self._ask(data)
        else:
            self._aside(lambda: self._wait(data))

    def _ask(self, data: bytes) -> None:
        try:
            self._inference.begin(data, self._context(), self._told)
        except Exception as error:  # noqa: BLE001 - told by refusal_of
            self._refuse(refusal_of(error))

    def _wait(self, data: bytes) -> None:
        """In a thread of its own."""
        try:
            answer = self._inference.infer(data, self._context())
        except Exception as error:  # noqa: BLE001 - told by refusal_of
            self._refuse(refusal_of(error))
        else:
            self._send(answer)

    def _context(self) -> grpc.ServicerContext:
        context: grpc.ServicerContext = inner._Context(self._event, self._state, None)  # noqa: SLF001 - as above
        return context

    def _told(self, call: Call) -> None:
        outcome = call.outcome
        if isinstance(outcome, Written):
            self._send(outcome.body)
        else:
            assert outcome is not None  # noqa: S101 - it is told of with its outcome
            self._refuse(refusal_of(outcome))

    def _send(self, answer: bytes) -> None:
        def send() -> None:
            inner._status(self._event, self._state, answer)  # noqa: SLF001 - as above

        self._guard.send(send, self._event.call_details.deadline)

    def _refuse(self, refusal: Refusal) -> None:
        refuse(self._guard, self._event, self._state, refusal)
