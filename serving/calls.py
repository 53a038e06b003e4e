"""What passes through the dataplane: a request, the call that it becomes, what is told, and the event of it."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from staytrue.bundle import Bundle
from staytrue.errors import InternalError, InvalidInput, StaytrueError
from staytrue.events import Event, Tensor
from staytrue.tensors import Answer, Parsed

if TYPE_CHECKING:
    from serving.batching import Lane
    from serving.tickets import Ticket
    from staytrue.events import Role
    from staytrue.tensors import Asked


log = logging.getLogger(__name__)
_TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_ID = re.compile(r"[\x21-\x7e]{1,128}")


class Request(msgspec.Struct, frozen=True):
    """An inference request, whatever it came by. ``read`` gives the inputs once the model's signature is known."""

    model: str
    version: str | None
    protocol: str
    read: Callable[[Bundle], Parsed]
    write: Callable[[Answer], Any]
    """Writes the answer in the protocol's form; what cannot be written fails the request, and its event says so."""
    request_id: str = ""
    """The caller's, where the body names none."""
    trace_id: str = ""
    sticky: str = ""
    """What a canary's share is drawn by: the same always meets the same version. Else the request id."""
    deadline: float = float("inf")
    """By ``time.monotonic``."""


class Written(msgspec.Struct, frozen=True):
    """An answer ready to be sent."""

    event_id: str
    version: str
    body: Any
    """What ``write`` gave."""


Done = Callable[[Written | StaytrueError], None]


def request_id_of(said: str, where: str) -> str:
    """The caller's own id of a request, which goes into logs and answers; empty for none.

    Raises:
        InvalidInput: it holds what has no place there; ``where`` opens the message.
    """
    if said and not _ID.fullmatch(said):
        raise InvalidInput(where, expected="1 to 128 visible ASCII characters", got="others")
    return said


def trace_id_of(said: str) -> str:
    """What a caller gave as its trace, or nothing where it is none: whoever gets a broken one begins anew.

    Source: W3C Trace Context, section 3.2 (traceparent).
    """
    return said if _TRACE.fullmatch(said) else ""


def hidden(error: BaseException, name: str = "") -> InternalError:
    """A fault of ours as callers see it: the id of its event, or one made for it. What happened is in the log."""
    name = name or uuid.uuid4().hex
    log.error("request %s failed", name, exc_info=error)
    return InternalError("server", f"failed; request {name} in its log tells why")


class Call:
    """A request on its way."""

    __slots__ = (
        "arrived", "asked", "done", "echo", "id", "lane", "lease", "model", "outcome", "request", "request_cancelled",
        "request_id", "role", "ticket", "time", "version",
    )  # fmt: skip

    def __init__(self, name: str, arrived: float, request: Request, done: Done) -> None:
        self.id, self.arrived, self.request, self.done = name, arrived, request, done
        self.model = self.version = self.echo = ""
        self.request_id = request.request_id
        self.role: Role = "champion" if request.version is None else "pinned"
        self.time = 0.0
        """When it happened, where the request is believed; 0 for arrival."""
        self.asked: list[Asked] = []
        self.lease: Any = None
        self.lane: Lane | None = None
        self.ticket: Ticket | None = None
        self.outcome: Written | StaytrueError | None = None
        self.request_cancelled: StaytrueError | None = None


def event_of(call: Call, now: float) -> Event:
    """The event of a call that has its outcome.

    Units:
        now: Unix seconds of the server's clock.
    """
    error = call.outcome if isinstance(call.outcome, StaytrueError) else None
    ticket, run = call.ticket, 0.0
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    if ticket is not None:
        run = ticket.ended - ticket.began if ticket.began else 0.0
        signature = call.lease.loaded.bundle.signature
        inputs = [Tensor.of(spec.name, spec.datatype, ticket.arrays[spec.name]) for spec in signature.inputs]
        if ticket.outputs is not None:
            outputs = [Tensor.of(spec.name, spec.datatype, ticket.outputs[spec.name]) for spec in signature.outputs]
    return Event(
        id=call.id,
        time=call.time or call.arrived,
        recorded=now,
        request_id=call.request_id,
        trace_id=call.request.trace_id,
        model=call.model,
        version=call.version,
        role=call.role,
        protocol=call.request.protocol,
        status=error.code.value if error else "ok",
        error=str(error)[:500] if error else "",
        rows=ticket.rows if ticket is not None else 0,
        queue_seconds=max(0.0, now - call.arrived - run),
        run_seconds=run,
        inputs=inputs,
        outputs=outputs,
    )
