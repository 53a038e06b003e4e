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
from typing import TYPE_CHECKING, Any

import grpc
from grpc import _server as inner
from grpc._cython import cygrpc  # type: ignore[attr-defined]

from serving.calls import Written
from serving.grpc.guard import refusal_of
from serving.grpc.inference import SMALL_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.calls import Call
    from serving.grpc.guard import Guard, Refusal
    from serving.grpc.inference import Inference

log = logging.getLogger(__name__)
_ARGUMENTS = ["rpc_event", "state", "behavior", "argument_thunk", "request_deserializer", "response_serializer"]
_PARTS = ("_abort", "_application_code", "_Context", "_possibly_finish_call", "_status")


def fits() -> bool:
    """Whether grpcio's inner parts are those that the shorter way leans on."""
    there = all(hasattr(inner, part) for part in (*_PARTS, "_RECEIVE_MESSAGE_TOKEN", "_is_rpc_state_active"))
    way = getattr(inner, "_unary_response_in_pool", None)
    return there and way is not None and list(inspect.signature(way).parameters) == _ARGUMENTS


class Threads(ThreadPoolExecutor):
    """What calls run in.

    Args:
        most: threads.
        inference: asks the dataplane.
        guard: holds back answers.
        method: that of inferences, which may go the shorter way.
    """

    def __init__(self, most: int, inference: Inference, guard: Guard, method: grpc.RpcMethodHandler[Any, Any]) -> None:
        super().__init__(max_workers=most, thread_name_prefix="grpc")
        self._inference, self._guard, self._behavior = inference, guard, method.unary_unary
        self.short = fits()
        if not self.short:
            log.warning("grpcio %s is another than expected: small calls cost more", grpc.__version__)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call in a thread, unless it can go the shorter way."""
        if not (self.short and len(args) == len(_ARGUMENTS) + 1 and args[3] is self._behavior):
            return super().submit(fn, *args, **kwargs)
        _Short(args[1], args[2], self._inference, self._guard, lambda work: super(Threads, self).submit(work)).receive()
        return _NOBODY


class _Nobody(Future[Any]):
    """Stands for the future of a call of the shorter way: gRPC asks to be told of its end, and needs it for no more."""

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        """Forget it."""


_NOBODY = _Nobody()


class _Short:
    """One call. Its lock is the state's condition, as everywhere in grpcio."""

    __slots__ = ("_aside", "_event", "_guard", "_inference", "_state")

    def __init__(
        self, event: Any, state: Any, inference: Inference, guard: Guard, aside: Callable[[Callable[[], None]], object]
    ) -> None:
        self._event, self._state, self._inference, self._guard, self._aside = event, state, inference, guard, aside

    def receive(self) -> None:
        """Have gRPC tell of the message; it holds the lock now."""
        operations = (cygrpc.ReceiveMessageOperation(0),)
        self._event.call.start_server_batch(operations, self._received)
        self._state.due.add(inner._RECEIVE_MESSAGE_TOKEN)  # noqa: SLF001 - see the module

    def _received(self, event: Any) -> Any:
        """In gRPC's own thread, which all calls share: nothing here may wait."""
        state, data = self._state, event.batch_operations[0].message()
        with state.condition:
            if data is None and inner._is_rpc_state_active(state):  # noqa: SLF001 - as above
                details = b"exactly one request message is required"
                inner._abort(state, self._event.call, cygrpc.StatusCode.unimplemented, details)  # noqa: SLF001
            ended = inner._possibly_finish_call(state, inner._RECEIVE_MESSAGE_TOKEN)  # noqa: SLF001 - as above
        if data is not None and ended[0] is None:
            if len(data) <= SMALL_BYTES:
                self._ask(data)
            else:
                self._aside(lambda: self._wait(data))
        return ended

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
        self._guard.send(lambda: inner._status(self._event, self._state, answer))  # noqa: SLF001 - as above

    def _refuse(self, refusal: Refusal) -> None:
        def send() -> None:
            state, code = self._state, inner._application_code(refusal.status)  # noqa: SLF001 - as above
            with state.condition:
                state.trailing_metadata = refusal.trailing
                inner._abort(state, self._event.call, code, refusal.details.encode())  # noqa: SLF001 - as above

        self._guard.send(send)
