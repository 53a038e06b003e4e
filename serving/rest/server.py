"""Requests over HTTP to the dataplane, and what it tells back: who may ask, in which words, within what time.

Source: Open Inference Protocol, REST specification (kserve/open-inference-protocol); W3C Trace Context.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from serving.access import secret_of
from serving.calls import Request, Written, hidden, request_id_of, trace_id_of
from serving.rest import bodies, errors
from serving.rest.dialects import HEADER_LENGTH
from serving.rest.routes import Routes
from staytrue.errors import (
    Cancelled,
    InvalidInput,
    Overloaded,
    StaytrueError,
    TooLarge,
    Unsupported,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.access import Access
    from serving.batching import Lane
    from serving.dataplane import Dataplane
    from serving.http.exchange import Exchange, Fault
    from serving.keyring import Scope
    from serving.rest.dialects import Dialect
    from staytrue.server import ServingSection

log = logging.getLogger(__name__)
PROTOCOL = "rest"
BESIDE_BYTES = 64 * 1024
"""A longer body of JSON is read in a thread: reading it would hold up every other caller."""
_FOREVER = float("inf")
_FAULTS: dict[int, type[StaytrueError]] = {
    413: TooLarge,
    414: TooLarge,
    417: Unsupported,
    429: Overloaded,
    431: TooLarge,
}
"""What a connection refuses, in the domain's terms; all else is a bad request."""


class Rest:
    """Translates HTTP to the dataplane and back. Made in the thread of the event loop, and used there.

    Args:
        dataplane: that answers.
        settings: of serving.
        access: who may ask.
        admin: whether this is the port for loading and unloading.
    """

    def __init__(self, dataplane: Dataplane, settings: ServingSection, access: Access, *, admin: bool = False) -> None:
        self.dataplane, self.settings, self.access = dataplane, settings, access
        self._routes = Routes(self, admin=admin)
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._told: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._telling = False
        self._touched: dict[Lane, None] = {}

    def handle(self, exchange: Exchange) -> None:
        """Answer a request, now or later."""
        try:
            if exchange.fault is not None:
                self._faulty(exchange, exchange.fault)
            else:
                self._routes.follow(exchange)
        except Exception as error:  # noqa: BLE001 - told by a number, its text is in the log
            self.refuse(exchange, error)

    def admit(self, exchange: Exchange, scope: Scope) -> None:
        """Let a caller in.

        Raises:
            StaytrueError: no key, one that is unknown, lacks the scope, or asks too often.
        """
        if self.access.everybody:
            return
        headers = exchange.headers
        authorization, key = headers.get(b"authorization"), headers.get(b"x-api-key")
        secret = secret_of(
            None if authorization is None else authorization.decode("latin-1"),
            None if key is None else key.decode("latin-1"),
        )
        self.access.admit(secret, scope, time.monotonic())

    def infer(self, exchange: Exchange, model: str, version: str | None, dialect: Dialect) -> None:
        """Submit an inference; its answer is sent when it is there."""
        headers = exchange.headers
        try:
            request = self._request(exchange, model, version, dialect)
        except StaytrueError as error:
            self.dataplane.refuse(PROTOCOL, model, error)
            raise

        def done(outcome: Written | StaytrueError) -> None:
            if threading.get_ident() == self._thread:
                tell(outcome)
            else:
                self._later(tell, outcome)

        def tell(outcome: Written | StaytrueError) -> None:
            exchange.on_cancel = None
            if isinstance(outcome, Written):
                body, kind, more = outcome.body
                exchange.answer(200, body, kind=kind, headers=more + _carried(request, outcome.event_id))
            else:
                self.refuse(exchange, outcome, _carried(request, ""))

        beside = len(exchange.body) > BESIDE_BYTES and HEADER_LENGTH not in headers
        beside = beside or b"content-encoding" in headers
        call = self.dataplane.submit(request, done, beside=beside, wake=False)
        if call.outcome is None:
            exchange.on_cancel = lambda: self.dataplane.cancel(call, Cancelled("request", "the caller hung up"))
            if call.lane is not None:
                self._touch(call.lane)

    def refuse(self, exchange: Exchange, error: Exception, headers: bytes = b"") -> None:
        """Answer with an error by the table; a fault of ours with an id, its text only in the log."""
        if not isinstance(error, StaytrueError):
            error = hidden(error)
        exchange.answer(errors.STATUS[error.code], errors.body(error), headers=headers + _lines(error))

    def aside(self, exchange: Exchange, work: Callable[[], tuple[int, bytes]]) -> None:
        """Answer with what a function gives that may take long: in a thread."""

        def tell(outcome: Any) -> None:
            if isinstance(outcome, Exception):
                self.refuse(exchange, outcome)
            else:
                exchange.answer(*outcome)

        def run() -> None:
            try:
                outcome: Any = work()
            except Exception as error:  # noqa: BLE001 - told by refuse
                outcome = error
            self._later(tell, outcome)

        self.dataplane.helpers.submit(run)

    def _request(self, exchange: Exchange, model: str, version: str | None, dialect: Dialect) -> Request:
        headers, body, limit = exchange.headers, exchange.body, self.settings.max_body_bytes
        packed, said = headers.get(b"content-encoding"), headers.get(b"request-timeout")
        return Request(
            model=model,
            version=version,
            protocol=PROTOCOL,
            read=(
                (lambda bundle: dialect.read(bundle, body))
                if packed is None
                else (lambda bundle: dialect.read(bundle, bodies.unpacked(body, packed, limit)))
            ),
            write=dialect.write,
            request_id=request_id_of(exchange.text(b"x-request-id"), "header X-Request-Id"),
            trace_id=trace_id_of(exchange.text(b"traceparent")),
            sticky=exchange.text(b"x-sticky-id"),
            deadline=_FOREVER if said is None else _deadline(said),
        )

    def _touch(self, lane: Lane) -> None:
        """Run the lane once all that has arrived in this turn of the loop is in it: a batch that nobody waited for."""
        if not self._touched:
            self._loop.call_soon(self._run)
        self._touched[lane] = None

    def _run(self) -> None:
        lanes, self._touched = self._touched, {}
        for lane in lanes:
            if not lane.run_here():
                lane.wake()

    def _later(self, tell: Callable[[Any], None], outcome: Any) -> None:
        """From another thread: tell it in the loop's, all that has come together in one go."""
        self._told.append((tell, outcome))
        if not self._telling:
            self._telling = True
            try:
                self._loop.call_soon_threadsafe(self._flush)
            except RuntimeError:  # the loop is closed: nobody is there to be told
                log.debug("an answer came after the end")

    def _flush(self) -> None:
        self._telling = False
        told = self._told
        while told:
            tell, outcome = told.popleft()
            try:
                tell(outcome)
            except Exception:
                log.exception("an answer could not be sent")

    def _faulty(self, exchange: Exchange, fault: Fault) -> None:
        """A request that the connection refused; an inference leaves its event."""
        kind = _FAULTS.get(fault.status, InvalidInput)
        error = kind(fault.where, fault.problem, expected=fault.expected, got=fault.got, hint=fault.hint)
        if (model := self._routes.inference(exchange)) is not None:
            self.dataplane.refuse(PROTOCOL, model, error)
        exchange.answer(fault.status, errors.body(error), headers=_lines(error))


def _lines(error: StaytrueError) -> bytes:
    """What the table puts beside an error's status."""
    return b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in errors.headers(error).items())


def _carried(request: Request, event_id: str) -> bytes:
    """What comes back with an answer: the event, the caller's id and trace."""
    lines = b"X-Event-Id: %b\r\n" % event_id.encode() if event_id else b""
    if request.request_id:
        lines += b"X-Request-Id: %b\r\n" % request.request_id.encode()
    if request.trace_id:
        lines += b"traceparent: %b\r\n" % request.trace_id.encode()
    return lines


def _deadline(said: bytes) -> float:
    """By ``time.monotonic``, from the header Request-Timeout in seconds.

    Raises:
        InvalidInput: no number of seconds above zero.
    """
    try:
        seconds = float(said)
    except ValueError:
        seconds = -1.0
    if not seconds > 0:
        got = said[:40].decode("latin-1")
        raise InvalidInput("header Request-Timeout", expected="seconds, above 0", got=got)
    return time.monotonic() + seconds
