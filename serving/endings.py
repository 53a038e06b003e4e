"""How requests end: the answer is made, the event is written, then the caller is told; and the shadow is asked."""

from __future__ import annotations

import logging
import threading
import uuid
from typing import TYPE_CHECKING, Any

from serving.calls import ID_LENGTH, Call, Written, event_of, hidden
from serving.model import Lease
from serving.reasons import reason_of
from serving.room import Room
from staytrue.errors import ErrorCode, StaytrueError, TooLarge, Unavailable
from staytrue.events import encode
from staytrue.tensors import Answer, Given

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serving.calls import Done, Request
    from serving.loading import Loaded
    from serving.registry import Registry
    from serving.statistics import Statistics
    from staytrue.eventlog import Writer

log = logging.getLogger(__name__)
_OURS = frozenset((ErrorCode.INTERNAL.value, ErrorCode.CORRUPT_DATA.value, ErrorCode.UNAVAILABLE.value))
"""What is no caller's fault."""
_LAST = [b"%03x" % number for number in range(16**3)]
"""The last digits of ids."""
SHADOW_ROWS = 256
"""Rows that may wait for a shadow; what comes on top it does not see."""


class Endings:
    """Begins the count of a request and ends it; for all threads.

    Args:
        registry: versions are given back to.
        writer: of the event log.
        statistics: figures by version.
        clock: Unix seconds.
        slow_seconds: requests that take longer have a line in the log.
        all_lines: whether every request has one.
    """

    def __init__(
        self,
        registry: Registry,
        writer: Writer,
        statistics: Statistics,
        clock: Callable[[], float],
        *,
        slow_seconds: float,
        all_lines: bool,
    ) -> None:
        self._registry, self._writer, self._statistics, self.clock = registry, writer, statistics, clock
        self.room, self._slow, self._all = Room(writer), slow_seconds, all_lines
        self._turn = threading.Lock()
        self._number, self._mark = 0, uuid.uuid4().hex[: ID_LENGTH - 12].encode()
        self.in_flight = self.answered = self.shadows_dropped = 0
        self.after: list[Callable[[], None]] = []
        """Called each time that callers were told, by whatever thread told them."""

    def number(self) -> str:
        """An id for a request, unlike any other of any process."""
        return self.names(1).decode()

    def names(self, count: int) -> bytes:
        """So many of them, one behind the other."""
        with self._turn:
            at = self._number + 1
            self._number += count
        parts: list[bytes] = []
        while count > 0:  # all that differ in the last digits alone are put together from two parts
            high, low = divmod(at, len(_LAST))
            before = b"%b%09x" % (self._mark, high)
            some = _LAST[low : low + count]
            parts += (before, before.join(some))
            at, count = at + len(some), count - len(some)
        return b"".join(parts)

    def begin(self, request: Request, done: Done, data: bytes = b"", caller: Any = None) -> Call:
        """A request has come: it has an id from now on."""
        call = Call(self.number(), self.clock(), request, done, data, caller)
        with self._turn:
            self.in_flight += 1
        return call

    def settled(self, calls: Sequence[Call]) -> None:
        """End calls that were run, or failed, together."""
        for call in calls:
            if call.error is None:
                call.outcome = self._answer(call)
            elif isinstance(call.error, StaytrueError):
                call.outcome = call.error
            else:
                call.outcome = hidden(call.error, call.id)
        self.end(calls, ran=True)

    def failed(self, call: Call, error: StaytrueError) -> None:
        """A request that never came to a queue: what is to be told. :meth:`end` tells it."""
        call.outcome = error
        if call.model:
            self._statistics.failed(call.model, call.version, self.clock() - call.arrived)

    def end(self, calls: Sequence[Call], *, ran: bool = False) -> None:
        """Write the events, then tell the callers; ``ran``: they were in a lane, whose statistics count them."""
        now = self.clock()
        written = self._log(calls, now)
        if ran:
            self._statistics.record(calls[0].model, calls[0].version, calls)
        asked = sum([call.role != "shadow" for call in calls])
        with self._turn:
            self.in_flight -= asked
            self.answered += asked
        for call in calls:
            answered = type(call.outcome) is Written
            if self._all or (written and (not answered or now - call.arrived > self._slow)):
                self._line(call, now)
            if not answered:
                _forget(call)
            try:
                call.done(call)
            except Exception:
                log.exception("an answer could not be told")
        for told in self.after:
            told()
        held = [call.lease for call in calls if call.lease is not None]
        try:
            for call in calls:  # once all callers have their answer
                if call.lease is not None and call.lease.shadow is not None:
                    self._cast(call, call.lease.shadow)
        finally:
            self._registry.release(held)

    def answered_at_once(
        self, requests: Sequence[Request], names: bytes, when: tuple[float, float], version: str
    ) -> None:
        """Count requests that were answered as they came, by a model's champion, and had no :meth:`begin`.

        Args:
            requests: of one model.
            names: ids of their events, one behind the other.
            when: they arrived and were answered, Unix seconds.
            version: that answered.
        """
        arrived, now = when
        with self._turn:
            self.answered += len(requests)
        if self._all or now - arrived > self._slow:
            for at, request in enumerate(requests):
                name = names[at * ID_LENGTH : (at + 1) * ID_LENGTH].decode()
                call = Call(name, arrived, request, nothing)
                call.model, call.version = request.model, version
                self._line(call, now)

    def _log(self, calls: Sequence[Call], now: float) -> bool:
        """Write the events; a call whose event is not written fails. One that is too large harms no other.

        False where there is no room for any, which :class:`Room` tells of, and lines of requests need not.
        """
        events: list[bytes] = []
        try:
            events = [encode(event_of(call, now)) for call in calls]
            self._writer.append(events)
        except StaytrueError as error:
            if isinstance(error, TooLarge) and len(calls) > 1:
                apart = [self._log([call], now) for call in calls]
                return any(apart)
            for call in calls:
                call.outcome = error
            if isinstance(error, Unavailable):
                self.room.lacks(error, sum(map(len, events)), sum([call.role != "shadow" for call in calls]))
                return False
        except Exception as error:  # noqa: BLE001 - hidden and logged: each caller is told in any case
            for call in calls:
                call.outcome = hidden(error, call.id)
        return True

    def _answer(self, call: Call) -> Written | StaytrueError:
        outputs = call.outputs or {}
        bundle = call.lease.loaded.bundle
        if call.role == "shadow":
            return Written(call.id, bundle.version, None)
        asked = [(one, outputs[one.spec.name]) for one in call.asked]
        try:
            answer = Answer(call.id, call.echo, bundle.name, bundle.version, asked, bundle.classes)
            return Written(call.id, bundle.version, call.request.write(answer))
        except StaytrueError as error:
            return error
        except Exception as error:  # noqa: BLE001 - hidden and logged
            return hidden(error, call.id)

    def _cast(self, call: Call, shadow: Loaded) -> None:
        """Let a shadow answer the same, unseen: after the caller has its answer, and not if the shadow falls behind."""
        if not isinstance(call.outcome, Written):
            return
        lane: Any = shadow.lane
        if lane.rows >= SHADOW_ROWS or not lane.ready() or not _takes(shadow, call):
            self.shadows_dropped += 1
            return
        self._registry.hold(shadow)
        cast = Call(self.number(), self.clock(), call.request, nothing)
        cast.lease, cast.role = Lease(shadow, "shadow"), "shadow"
        cast.model, cast.version, cast.request_id = call.model, shadow.bundle.version, call.request_id
        cast.time = call.time or call.arrived
        cast.lane = lane
        cast.fill(call.arrays, call.rows, float("inf"))
        try:
            lane.put(cast)
        except Exception as error:  # no caller is to know of a shadow
            self.shadows_dropped += 1
            self._registry.release([cast.lease])
            if not isinstance(error, StaytrueError):
                log.exception("a shadow could not be asked")

    def _line(self, call: Call, now: float) -> None:
        """One line of a request: never what it held."""
        code, why = "ok", ""
        if isinstance(call.outcome, StaytrueError):
            code, why = call.outcome.code.value, reason_of(call.outcome, _names(call))
        log.log(
            logging.WARNING if code in _OURS else logging.INFO,
            "request event=%s id=%r trace=%s model=%s version=%s role=%s protocol=%s status=%s ms=%.1f%s",
            call.id,
            call.request_id[:128],
            call.request.trace_id,
            call.model,
            call.version,
            call.role,
            call.request.protocol,
            code,
            (now - call.arrived) * 1e3,
            why,
        )


def _names(call: Call) -> set[str]:
    """Of the model's inputs and outputs, where it is known which model."""
    if call.lease is None:
        return set()
    signature = call.lease.loaded.bundle.signature
    return {spec.name for spec in (*signature.inputs, *signature.outputs)}


def _takes(shadow: Loaded, call: Call) -> bool:
    """Whether a shadow's signature takes what its champion's has accepted."""
    given = [
        Given(spec.name, spec.datatype, call.arrays[spec.name]) for spec in call.lease.loaded.bundle.signature.inputs
    ]
    try:
        shadow.contract.accepted(given)
    except StaytrueError:
        return False
    return True


def _forget(call: Call) -> None:
    """Let go of what an error was raised in: its frames hold the call, which would hold its body until a collection."""
    call.data, call.error = b"", None
    error: BaseException | None = call.outcome if isinstance(call.outcome, StaytrueError) else None
    while error is not None:
        within = error.__cause__ or error.__context__
        error.__traceback__ = error.__context__ = error.__cause__ = None
        error = within


def nothing(*_: Any) -> Any:
    """Nobody waits for it."""
