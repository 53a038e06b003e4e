"""Requests over HTTP to the dataplane, and what it tells back: who may ask, in which words, within what time.

Source: Open Inference Protocol, REST specification (kserve/open-inference-protocol); W3C Trace Context.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import structs

from serving.calls import Request, Written, hidden
from serving.http.exchange import JSON
from serving.rest import bodies, errors, headers
from serving.rest.admission import PROTOCOL, Admission
from serving.rest.bell import Bell
from serving.rest.dialects import GLANCE_BYTES, LONG_BYTES
from serving.rest.fast import SMALL_BYTES
from serving.rest.routes import Routes
from serving.rest.turn import Turn
from staytrue.errors import (
    Cancelled,
    InvalidInput,
    Overloaded,
    StaytrueError,
    TooLarge,
    Unsupported,
)
from staytrue.tensors import Parsed

if TYPE_CHECKING:
    from serving.access import Access
    from serving.batching import Lane
    from serving.calls import Call
    from serving.dataplane import Dataplane
    from serving.http.exchange import Exchange, Fault
    from serving.http.express import Answered
    from serving.rest.addresses import Inference
    from serving.rest.codec import Sent
    from staytrue.server import ServingSection

log = logging.getLogger(__name__)
_FAULTS: dict[int, type[StaytrueError]] = {
    413: TooLarge,
    414: TooLarge,
    417: Unsupported,
    429: Overloaded,
    431: TooLarge,
}
"""What a connection refuses, in the domain's terms; all else is a bad request."""

_MOST_KNOWN = 1024


class Prepared(msgspec.Struct, frozen=True):
    """What an address and its headers ask for, before the body is looked at."""

    request: Request
    beside_from: int
    """A longer body is read in a thread, where it is slow to read."""
    slow: Callable[[bytes], bool]
    glance: Callable[[bytes], Parsed | None] | None
    """Reads one that is not too long for it, where it can do so quickly."""
    coding: bytes | None
    """That a long answer is sent in."""
    carried: bytes
    """Header lines that come back with the answer."""
    lasting: bool
    """Whether it holds for all requests with the same head."""
    together_to: int
    """A longer body, and where this is -1 every one, is asked for by itself."""


class Rest:
    """Translates HTTP to the dataplane and back. Made in the thread of the event loop, and used there.

    Args:
        dataplane: that answers.
        settings: of serving.
        access: who may ask.
        admin: whether this is the port for loading and unloading.
    """

    def __init__(self, dataplane: Dataplane, settings: ServingSection, access: Access, *, admin: bool = False) -> None:
        self.dataplane, self.settings, self.admission = dataplane, settings, Admission(access)
        self._routes = Routes(self, admin=admin)
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._bell, self._scheduled = Bell(self._loop), False
        dataplane.after_telling.append(self._bell.ring)
        self._turn = Turn(dataplane, settings.max_concurrency, self._submit, self._send, self.refuse)
        self._touched: dict[Lane, None] = {}
        self._known: dict[Prepared, Prepared] = {}

    def handle(self, exchange: Exchange) -> None:
        """Answer a request, now or later."""
        head = exchange.head
        try:
            if exchange.fault is not None:  # first: a body may be refused behind a head that was known
                self._faulty(exchange, exchange.fault)
            elif head is not None and head.prepared is not None:
                if head.sealed:
                    self.admission.again(exchange, head)
                self._ask(exchange, head.prepared if not head.own else _with_own_ids(exchange, head.prepared))
            else:
                self._routes.follow(exchange)
        except Exception as error:  # noqa: BLE001 - told by a number, its text is in the log
            self.refuse(exchange, error)

    def brief(self, prepared: Prepared, bodies: list[bytes]) -> list[Answered]:
        """Answer requests that share all but their bodies at once; see :data:`serving.http.express.Brief`."""
        return self._turn.at_once(prepared, bodies)

    def infer(self, exchange: Exchange, found: Inference) -> None:
        """Submit an inference; its answer is sent when it is there."""
        try:
            prepared = self._prepared(exchange, found)
        except StaytrueError as error:
            self.dataplane.refuse(PROTOCOL, found.model, error)
            raise
        if exchange.head is not None and prepared.lasting and (exchange.head.sealed or self.admission.everybody):
            prepared = exchange.head.prepared = self._shared(prepared)
        self._ask(exchange, prepared)

    def refuse(self, exchange: Exchange, error: Exception) -> None:
        """Answer with an error by the table; a fault of ours with an id, its text only in the log."""
        if not isinstance(error, StaytrueError):
            error = hidden(error)
        exchange.answer(errors.STATUS[error.code], errors.body(error), headers=headers.refusing(exchange, error))

    def aside(
        self,
        exchange: Exchange,
        work: Callable[[], tuple[int, bytes] | tuple[int, bytes, bytes, bytes]],
        *,
        always: bool = False,
    ) -> None:
        """Answer with what a function gives that may take long, in a thread: a status, then a body or all of `Sent`.

        It is called only if the caller is still there when a thread has time for it, or ``always``.
        """

        def tell(outcome: Any) -> None:
            if isinstance(outcome, Exception):
                self.refuse(exchange, outcome)
            else:
                status, body, kind, lines = (*outcome, JSON, b"")[:4]
                exchange.answer(status, body, kind=kind, headers=lines)

        def run() -> None:
            if exchange.cancelled and not always:
                return
            try:
                outcome: Any = work()
            except Exception as error:  # noqa: BLE001 - told by refuse
                outcome = error
            self._bell.leave(tell, outcome)
            self._bell.ring()

        self.dataplane.helpers.submit(run)

    def _shared(self, prepared: Prepared) -> Prepared:
        """The one of all that are equal: heads that ask for the same, by which those of a turn are told."""
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        return self._known.setdefault(prepared, prepared)

    def _prepared(self, exchange: Exchange, found: Inference) -> Prepared:
        sent, limit = exchange.headers, self.settings.max_body_bytes
        packed, said = sent.get(b"content-encoding"), sent.get(b"request-timeout")
        dialect = found.dialect(exchange, self.settings.nan_policy)
        request = Request(
            model=found.model,
            version=found.version,
            protocol=PROTOCOL,
            read=(
                dialect.read
                if packed is None
                else (lambda bundle, body: dialect.read(bundle, bodies.unpacked(body, packed, limit)))
            ),
            write=dialect.write,
            request_id=headers.request_id(exchange),
            trace_id=headers.trace_id(exchange),
            sticky=exchange.text(b"x-sticky-id"),
            deadline=headers.deadline(exchange),
            form=dialect.form if packed is None and said is None and found.version is None else None,
        )
        beside_from, slow, glance = (LONG_BYTES, dialect.slow, dialect.glance) if packed is None else (0, bool, None)
        coding = bodies.coding_of(sent.get(b"accept-encoding", b""))
        lasting = said is None and dialect.lasting
        together = -1 if request.form is None else SMALL_BYTES
        return Prepared(request, beside_from, slow, glance, coding, headers.carried(exchange), lasting, together)

    def _ask(self, exchange: Exchange, prepared: Prepared) -> None:
        """Ask what is prepared, with this body: at the end of this turn of the loop, where that may do."""
        body = exchange.body
        if len(body) > prepared.together_to:
            self._submit(exchange, prepared, body)
            return
        self._turn.take(exchange, prepared, body)
        if not self._scheduled:
            self._schedule()

    def _submit(self, exchange: Exchange, prepared: Prepared, body: bytes) -> None:
        """Let it wait for its turn among all that are asked of the model."""
        call = self.dataplane.submit(
            prepared.request,
            self._tell,
            body,
            (exchange, prepared),
            beside=len(body) > prepared.beside_from and prepared.slow(body),
            glance=prepared.glance if prepared.beside_from < len(body) <= GLANCE_BYTES else None,
            wake=False,
        )
        if call.outcome is None:
            exchange.on_cancel, exchange.work = self._hung_up, call
            lane = call.lane
            if exchange.cancelled:
                self._hung_up(exchange)
            elif lane is not None and lane not in self._touched:
                self._touched[lane] = None
                if not self._scheduled:
                    self._schedule()

    def _tell(self, call: Call) -> None:
        if threading.get_ident() != self._thread:
            self._bell.leave(self._tell, call)  # the dataplane rings, once all that ended together are told
            return
        exchange, prepared = call.caller
        exchange.work = call.caller = None  # they hold each other
        outcome = call.outcome
        if isinstance(outcome, Written):
            self._send(exchange, prepared, call.id.encode(), outcome.body)
        else:
            assert outcome is not None  # noqa: S101 - it is told of with its outcome
            self.refuse(exchange, outcome)

    def _hung_up(self, exchange: Exchange) -> None:
        self.dataplane.cancel(exchange.work, Cancelled("request", "the caller hung up"))
        exchange.work = None

    def _send(self, exchange: Exchange, prepared: Prepared, event_id: bytes, written: Sent) -> None:
        body, kind, more = written
        lines = b"%bX-Event-Id: %b\r\n%b" % (more, event_id, prepared.carried)
        coding = prepared.coding
        if coding is not None and bodies.worth_packing(body, kind):
            exchange.on_cancel = None
            self.aside(exchange, lambda: (200, *bodies.packed((body, kind, lines), coding)))
        else:
            exchange.to.send(exchange, 200, body, kind, lines)

    def _schedule(self) -> None:
        """Run what has come once all that arrives in this turn of the loop is there: batches that nobody waited for."""
        self._scheduled = True
        self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._scheduled = False  # first: an answer may bring the connection's next request, which came behind it
        if self._turn.grows():
            self._schedule()
        else:
            self._turn.answer()
        lanes, self._touched = self._touched, {}
        for lane in lanes:
            if not lane.run_here():
                lane.wake()

    def _faulty(self, exchange: Exchange, fault: Fault) -> None:
        """A request that the connection refused; an inference leaves its event."""
        kind = _FAULTS.get(fault.status, InvalidInput)
        error = kind(fault.where, fault.problem, expected=fault.expected, got=fault.got, hint=fault.hint)
        if (model := self._routes.inference(exchange)) is not None:
            self.dataplane.refuse(PROTOCOL, model, error)
        # An expectation that is not met (417) says nothing of methods.
        lines = headers.carried(exchange) if fault.status == 417 else headers.refusing(exchange, error)
        exchange.answer(fault.status, errors.body(error), headers=lines)


def _with_own_ids(exchange: Exchange, prepared: Prepared) -> Prepared:
    """What was prepared of a request that is like this one but for its ids."""
    name, trace = headers.request_id(exchange), headers.trace_id(exchange)
    request = structs.replace(prepared.request, request_id=name, trace_id=trace)
    return structs.replace(prepared, request=request, carried=headers.lines_of(name, trace))
