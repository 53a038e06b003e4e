"""What passes through the dataplane: a request, the call that it becomes, what is told, and the event of it."""

from __future__ import annotations

import itertools
import logging
import re
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from serving.tickets import Ticket
from staytrue.bundle import Bundle
from staytrue.errors import InternalError, InvalidInput, StaytrueError
from staytrue.events import Event, tensors_of
from staytrue.records import moment
from staytrue.tensors import Answer, Parsed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from serving.batching import Lane
    from staytrue.alike import Alike
    from staytrue.events import Role, Tensor
    from staytrue.tensors import Asked
    from staytrue.weaving import Woven


log = logging.getLogger(__name__)
_TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
ID_LENGTH = 32
"""Characters of the ids that requests are given."""
_ID = re.compile(r"[\x21-\x7e]{1,128}")


Packed = bytes | list[str]
"""An input or output of some rows: numbers as they lie in memory, or texts."""


class Joined(NamedTuple):
    """Requests that were read to be run together."""

    places: list[int]
    """Among those that were given."""
    rows: list[int]
    """Of each."""
    blocks: list[Packed]
    """All rows of each input, in the signature's order."""


class Answers(Protocol):
    """What came of one run for several requests, each of which has some of its rows."""

    @property
    def blocks(self) -> list[Packed]:
        """All rows of each output, in the signature's order."""

    def write(self, names: bytes, stretches: Sequence[Stretch]) -> list[Woven]:
        """The answers, in JSON, as ``Request.write`` would write them, for each stretch.

        Args:
            names: ids of their events, one behind the other.
            stretches: of them.
        """


class Form(Protocol):
    """How requests of one version are read and written many at once, where they are as most are."""

    @property
    def widths(self) -> list[int]:
        """Of a row of each input and output, in the signature's order: bytes, or texts."""

    def read(self, bodies: list[bytes], most: int) -> list[Joined]:
        """Requests, as many rows together as there may be; those that ``Request.read`` has to read are left out."""

    def arrays(self, blocks: Sequence[Packed], rows: int) -> Mapping[str, NDArray[Any]]:
        """Inputs of several requests as a runtime takes them."""

    def alike(self, request: Request, rows: int) -> Alike:
        """Writes the events of such requests as this one with so many rows, whoever asks."""

    def answers(self, outputs: Mapping[str, NDArray[Any]], rows: int) -> Answers | None:
        """What came of a run; None where ``Request.write`` has to write it."""


class Stretch(NamedTuple):
    """Neighbours that have as many rows."""

    at: int
    """Place of the first."""
    end: int
    """Behind the last."""
    rows: int
    """Of each."""

    @classmethod
    def all(cls, rows: Sequence[int]) -> list[Stretch]:
        """Those of some requests, by how many rows each has.

        >>> [tuple(stretch) for stretch in Stretch.all([1, 1, 2, 1])]
        [(0, 2, 1), (2, 3, 2), (3, 4, 1)]
        """
        if rows.count(rows[0]) == len(rows):  # as most often
            return [cls(0, len(rows), rows[0])]
        made, at = [], 0
        for count, some in itertools.groupby(rows):
            end = at + len([*some])
            made.append(cls(at, end, count))
            at = end
        return made


class Request(msgspec.Struct, frozen=True):
    """What an inference asks beside its tensors, whatever it came by."""

    model: str
    version: str | None
    protocol: str
    read: Callable[[Bundle, bytes], Parsed]
    """Reads what was submitted with it, once the model's signature is known. Several calls may share a request."""
    write: Callable[[Answer], Any]
    """Writes the answer in the protocol's form; what cannot be written fails the request, and its event says so."""
    request_id: str = ""
    """The caller's, where the body names none."""
    trace_id: str = ""
    sticky: str = ""
    """What a canary's share is drawn by: the same always meets the same version. Else the request id."""
    deadline: float = float("inf")
    """By ``time.monotonic``."""
    form: Callable[[Bundle], Form | None] | None = None
    """Makes what reads and writes many such requests at once, where there is such a thing."""


class Written(msgspec.Struct, frozen=True):
    """An answer ready to be sent."""

    event_id: str
    version: str
    body: Any
    """What ``write`` gave."""


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


def event_time(parameters: Mapping[str, Any], believed: str) -> float:
    """When a request's event happened, where it is believed; otherwise 0, for arrival.

    Args:
        parameters: of the request.
        believed: ``serving.event_time``.

    Raises:
        InvalidInput: neither Unix seconds nor a date.
    """
    said = parameters.get("event_time")
    return 0.0 if said is None or believed != "request" else moment(said, 'parameter "event_time"')


def hidden(error: BaseException, name: str = "") -> InternalError:
    """A fault of ours as callers see it: the id of its event, or one made for it. What happened is in the log."""
    name = name or uuid.uuid4().hex
    log.error("request %s failed", name, exc_info=error)
    return InternalError("server", f"failed; request {name} in its log tells why")


class Call(Ticket):
    """A request on its way; once it was read it stands in a lane.

    Args:
        name: its id.
        arrived: when it came, Unix seconds.
        request: what it asks.
        done: is given the call once, when ``outcome`` is there.
        data: what ``request.read`` reads.
        caller: for whoever is told.
    """

    model: str = ""
    version: str = ""
    role: Role = "champion"
    request_id: str = ""
    echo: str = ""
    """The id that its body named."""
    time: float = 0.0
    """When it happened, where the request is believed; 0 for arrival."""
    glance: Callable[[bytes], Parsed | None] | None = None
    """Reads it first, where that may be enough."""
    asked: Sequence[Asked] = ()
    lease: Any = None
    lane: Lane | None = None
    """Where it stands; None until it was read."""
    outcome: Written | StaytrueError | None = None
    request_cancelled: StaytrueError | None = None

    def __init__(
        self, name: str, arrived: float, request: Request, done: Done, data: bytes = b"", caller: Any = None
    ) -> None:
        self.id, self.arrived, self.request, self.done = name, arrived, request, done
        self.data, self.caller = data, caller
        if request.request_id:
            self.request_id = request.request_id
        if request.version is not None:
            self.role = "pinned"


Done = Callable[[Call], None]


def event_of(call: Call, now: float) -> Event:
    """The event of a call that has its outcome.

    Units:
        now: Unix seconds of the server's clock.
    """
    error = call.outcome if isinstance(call.outcome, StaytrueError) else None
    run = call.ended - call.began if call.began else 0.0
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    if call.lane is not None:
        signature = call.lease.loaded.bundle.signature
        inputs = tensors_of(signature.inputs, call.arrays)
        if call.outputs is not None:
            outputs = tensors_of(signature.outputs, call.outputs)
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
        rows=call.rows,
        queue_seconds=max(0.0, now - call.arrived - run),
        run_seconds=run,
        inputs=inputs,
        outputs=outputs,
    )
