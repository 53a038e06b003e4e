"""Calls that have begun and whose one message has not come yet: they hold no thread, and not for ever.

Anybody can begin a call and never send its message. gRPC's synchronous server has a thread wait for it, and enough such
calls would take all threads. This leans on inner parts of grpcio, see :mod:`serving.grpc.shortcut`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from grpc import _server as inner
from grpc._cython import cygrpc  # type: ignore[attr-defined]

from serving.grpc.guard import refusal_of
from serving.grpc.line import Line
from staytrue.errors import DeadlineExceeded, Overloaded, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.grpc.guard import Guard, Refusal
    from staytrue.errors import StaytrueError

RECEIVE_SECONDS = 2.0
"""For a message to be received while others wait in line for that."""


class Waiting:
    """Calls of one kind that wait, oldest first. For gRPC's own thread alone: it tells of calls and of messages.

    Args:
        most: how many; the oldest goes where there would be more.
        seconds: how long; looked at as calls begin.
        received: how many messages are received at once, the others in line; without it all.
    """

    def __init__(self, most: int, seconds: float, received: int | None = None) -> None:
        self._most, self._seconds = most, seconds
        self.line = Line(received or most, RECEIVE_SECONDS)
        self._since: dict[Arrival, float] = {}

    def __len__(self) -> int:
        return len(self._since)

    def add(self, call: Arrival) -> None:
        """A call has begun; those that have waited too long end."""
        now = time.monotonic()
        while self._since:
            oldest = next(iter(self._since))
            late = now - self._since[oldest] >= self._seconds
            if not late and len(self._since) < self._most:
                break
            del self._since[oldest]
            oldest.give_up(self._late() if late else self._many())
        self._since[call] = now

    def remove(self, call: Arrival) -> None:
        """Its message has come, or it has ended."""
        self._since.pop(call, None)

    def _late(self) -> StaytrueError:
        return DeadlineExceeded("call", expected=f"a message within {self._seconds:g} seconds", got="none yet")

    def _many(self) -> StaytrueError:
        return Overloaded("server", f"{self._most} calls wait for their messages, the limit", hint="try again")


class Arrival:
    """One call. Its lock is the state's condition, as everywhere in grpcio."""

    __slots__ = ("_event", "_guard", "_open", "_state", "_waiting")

    def __init__(self, event: Any, state: Any, guard: Guard, waiting: Waiting) -> None:
        self._event, self._state, self._guard, self._waiting = event, state, guard, waiting
        self._open = True
        """It was neither taken nor given up."""

    def receive(self) -> None:
        """Have gRPC tell of the message, once it is this call's turn; gRPC holds the lock now."""
        self._waiting.add(self)
        if self._waiting.line.enter(self):
            self.begin()

    def begin(self) -> bool:
        """Have gRPC receive the message and tell of it; False where the call has ended."""
        with self._state.condition:
            if not inner._is_rpc_state_active(self._state):  # noqa: SLF001 - see the module
                return False
            operations = (cygrpc.ReceiveMessageOperation(0),)
            self._event.call.start_server_batch(operations, self._received)
            self._state.due.add(inner._RECEIVE_MESSAGE_TOKEN)  # noqa: SLF001 - as above
            return True

    def give_up(self, error: StaytrueError) -> None:
        """End it without its message, unless that has come."""
        with self._state.condition:
            given_up, self._open = self._open, False
        if given_up:
            refuse(self._guard, self._event, self._state, refusal_of(error))
        self._waiting.line.leave(self)

    def take(self, data: bytes) -> None:
        """The message has come; nothing here may wait."""
        raise NotImplementedError

    def _received(self, event: Any) -> Any:
        """In gRPC's own thread, which all calls share: nothing here may wait."""
        self._waiting.remove(self)
        self._waiting.line.leave(self)
        state, data = self._state, event.batch_operations[0].message()
        with state.condition:
            if data is None and inner._is_rpc_state_active(state):  # noqa: SLF001 - as above
                details = b"exactly one request message is required"
                inner._abort(state, self._event.call, cygrpc.StatusCode.unimplemented, details)  # noqa: SLF001
            ended = inner._possibly_finish_call(state, inner._RECEIVE_MESSAGE_TOKEN)  # noqa: SLF001 - as above
            taken, self._open = self._open and data is not None and ended[0] is None, False
        if taken:
            self.take(data)
        return ended


class Threaded(Arrival):
    """One whose message is looked at in a thread, by grpcio's own function.

    Args:
        run: has the function run with a message, in a thread.
    """

    __slots__ = ("_run",)

    def __init__(
        self, event: Any, state: Any, guard: Guard, waiting: Waiting, run: Callable[[Callable[[], Any]], object]
    ) -> None:
        super().__init__(event, state, guard, waiting)
        self._run = run

    def take(self, data: bytes) -> None:
        """Hand it over."""

        def given() -> bytes | None:
            return data if inner._is_rpc_state_active(self._state) else None  # noqa: SLF001 - as above

        try:
            self._run(given)
        except RuntimeError:  # there are no threads any more
            ending = Unavailable("server", "is shutting down", hint="try another, or again")
            refuse(self._guard, self._event, self._state, refusal_of(ending))


def refuse(guard: Guard, event: Any, state: Any, refusal: Refusal) -> None:
    """End a call with its refusal, once answers may be sent."""

    def send() -> None:
        code = inner._application_code(refusal.status)  # noqa: SLF001 - see the module
        with state.condition:
            if not inner._is_rpc_state_active(state):  # noqa: SLF001 - as above
                return
            state.trailing_metadata = refusal.trailing
            inner._abort(state, event.call, code, refusal.details.encode())  # noqa: SLF001 - as above

    guard.send(send, event.call_details.deadline)
