"""What every call passes: who may ask, in which words it is refused, and when its answer may be sent."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc

from serving.access import secret_of
from serving.calls import hidden
from serving.grpc import codec, errors
from staytrue.errors import Overloaded, StaytrueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from google.protobuf.message import Message

    from serving.access import Access
    from serving.keyring import Scope

    Context = grpc.ServicerContext
    Headers = dict[str, str]
    Send = Callable[[bytes | None], None]

PROTOCOL = "grpc"
_READ = ("authorization", "x-api-key", "traceparent", "x-request-id", "x-sticky-id")


class Refusal(NamedTuple):
    """How a call is refused."""

    status: grpc.StatusCode
    details: str
    trailing: tuple[tuple[str, str], ...]


class Guard:
    """Stands before all methods.

    Args:
        access: who may ask.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._answering = threading.Event()
        self._answering.set()
        self._turn = threading.Lock()
        self._waiting: list[Callable[[], None]] = []
        self.due = math.inf
        """When answers that are held back have to be sent, by ``time.monotonic``."""

    def admit(self, headers: Headers, scope: Scope, context: Context) -> None:
        """Let a caller in.

        Raises:
            StaytrueError: no key, one that is unknown, lacks the scope, or asks too often.
        """
        try:
            self._access.admit(_secret_of(headers), scope, time.monotonic())
        except StaytrueError as error:
            self._access.denials.note(PROTOCOL, error, context.peer() or "")
            raise

    def check(self, context: Context, scope: Scope | None) -> None:
        """Refuse who may not open a call, before it has a place; nothing is taken from a rate. No scope: any key.

        Raises:
            StaytrueError: no key, one that is unknown, or lacks the scope.
        """
        try:
            self._access.check(_secret_of(headers_of(context)), scope, time.monotonic())
        except StaytrueError as error:
            self._access.denials.note(PROTOCOL, error, context.peer() or "")
            raise

    def stranger(self, metadata: Iterable[tuple[str, str | bytes]], peer: Callable[[], bytes]) -> Refusal | None:
        """How a call is refused that comes without a known key; None where it is not. Scopes and rates come later.

        Args:
            metadata: of the call.
            peer: says whose it is.
        """
        if self._access.everybody:
            return None
        headers = {key: str(value) for key, value in metadata if key in _READ}
        try:
            self._access.check(_secret_of(headers), None, time.monotonic())
        except StaytrueError as error:
            self._access.denials.note(PROTOCOL, error, peer().decode(errors="replace"))
            return refusal_of(error)
        return None

    def knows(self, context: Context) -> bool:
        """Whether a call that needs no key comes with a known one."""
        try:
            self._access.check(_secret_of(headers_of(context)), None, time.monotonic())
        except StaytrueError:
            return False
        return True

    def answers(self) -> bool:
        """Whether answers are sent, and not held back."""
        return self._answering.is_set()

    def hold(self) -> None:
        """Hold back answers, until :meth:`release`."""
        self.due = math.inf
        self._answering.clear()

    def release(self) -> None:
        """Send answers again."""
        with self._turn:
            self._answering.set()
            waiting, self._waiting = self._waiting, []
        for send in waiting:
            send()

    def send(self, send: Callable[[], None], deadline: float = math.inf) -> None:
        """Have an answer sent by a function, now or once it may be; does not wait.

        Units:
            deadline: of its caller, Unix seconds.
        """
        if not self._answering.is_set():
            with self._turn:
                if not self._answering.is_set():
                    self._hurry(deadline - time.time())
                    self._waiting.append(send)
                    return
        send()

    def _hurry(self, left: float) -> None:
        """Under the lock: an answer is held back whose caller has so many seconds left; half of them may pass."""
        self.due = min(self.due, time.monotonic() + left / 2)

    def _hold_back(self, left: float | None) -> None:
        """Wait in this thread until answers are sent."""
        with self._turn:
            self._hurry(math.inf if left is None else left)
        self._answering.wait()

    def unary(self, call: Callable[[bytes, Context], bytes]) -> grpc.RpcMethodHandler[Any, Any]:
        """A method of one message and one answer, both as bytes: none is read before its size and caller are known.

        A domain error is told by the table; a fault of ours by an id, its text only in the log.
        """
        answering = self._answering

        def handle(data: bytes, context: Context) -> bytes:
            answer, refusal = b"", None
            try:
                answer = call(data, context)
            except Exception as error:  # noqa: BLE001 - told by refusal_of
                refusal = refusal_of(error)
            if not answering.is_set():
                self._hold_back(context.time_remaining())
            if refusal is not None:
                abort(context, refusal)
            return answer

        return grpc.unary_unary_rpc_method_handler(handle)

    def method(
        self, kind: type[Message], call: Callable[[Any], Message], scope: Scope | None
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """A method that takes and gives messages; without a scope it is open to everybody."""

        def translate(data: bytes, context: Context) -> bytes:
            if scope is not None:
                self.admit(headers_of(context), scope, context)
            return call(codec.message(kind, data)).SerializeToString()

        return self.unary(translate)


class Bounded:
    """Long calls of one kind, each of which holds a thread: so many at once.

    Args:
        name: for messages.
        most: how many.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name, self._most = name, most
        self._free = threading.BoundedSemaphore(most)

    def __enter__(self) -> None:
        """Take a place.

        Raises:
            Overloaded: there is none.
        """
        if not self._free.acquire(blocking=False):
            raise Overloaded(self._name, f"{self._most} are open, the limit", hint="close one, or try again later")

    def __exit__(self, *_: object) -> None:
        self._free.release()


def headers_of(context: Context) -> Headers:
    """The metadata that means something here."""
    return {key: str(value) for key, value in context.invocation_metadata() or () if key in _READ}


def _secret_of(headers: Headers) -> str | None:
    return secret_of(headers.get("authorization"), headers.get("x-api-key"))


def refusal_of(error: Exception) -> Refusal:
    """What is told of an error, which lets go of its traceback: that, in a cycle, would keep the whole request."""
    if isinstance(error, StaytrueError):
        told: StaytrueError = error
    else:
        told = hidden(error)
    error.__traceback__ = None
    return Refusal(errors.STATUS[told.code], errors.details(told), errors.trailing(told))


def abort(context: Context, refusal: Refusal) -> None:
    """End a call with its refusal; raises what gRPC ends it by."""
    context.set_trailing_metadata(refusal.trailing)
    context.abort(refusal.status, refusal.details)


def guarded(answers: Callable[[], Iterator[Any]], context: Context) -> Iterator[Any]:
    """Answers of a stream; an error ends it by the table."""
    refusal = None
    try:
        yield from answers()
    except grpc.RpcError:  # the caller has gone
        return
    except Exception as error:  # noqa: BLE001 - told by refusal_of
        refusal = refusal_of(error)
    if refusal is not None:
        abort(context, refusal)
