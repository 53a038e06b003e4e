"""Brief requests that came in one turn of the event loop, answered within it: no queue, no threads, no waiting.

With a small model nearly all that a request costs is what keeps a place for it meanwhile, so that it can wait, be
cancelled, run out of time. What is read, run, logged and written in one go needs no such place. Only what is as most
requests are is answered here; all else takes the usual way, :meth:`serving.dataplane.Dataplane.submit`, which asks the
same, and says what is wrong.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from serving.batching import MOST_HERE, Lane
from serving.calls import ID_LENGTH, Stretch
from staytrue.errors import StaytrueError
from staytrue.filling import When

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from serving.calls import Form, Joined, Packed, Request
    from serving.endings import Endings
    from serving.loading import Loaded
    from serving.registry import Registry
    from serving.statistics import Statistics
    from staytrue.eventlog import Writer
    from staytrue.filling import Piece
    from staytrue.weaving import Woven


class BriefLane(Lane):
    """A lane past which brief runs may go while nobody stands in it."""

    @property
    def most(self) -> int:
        """Rows that may be merged."""
        return self._most

    @property
    def passable(self) -> bool:
        """Whether trying to go past it is worth while: it may not be, a moment later."""
        return self._here and self._pace.brief and not self._queue

    def run_now(self, inputs: Mapping[str, NDArray[Any]], rows: int) -> tuple[dict[str, NDArray[Any]], Times] | None:
        """Run in this thread; None where that may take long, where anybody waits or runs, or where it fails."""
        if not self._may_begin():
            return None
        try:
            outputs: dict[str, NDArray[Any]] | None = self._runtime.run(inputs)
        except Exception:  # noqa: BLE001 - the usual way finds out whose fault it is
            outputs = None
        ended = time.monotonic()
        with self._lock:
            began = self._give_back()
            if outputs is None:
                return None
            self._pace.ran(ended - began, rows)
            self.counts.runs += 1
            self.counts.rows += rows
        return outputs, Times(began, ended)

    def settled(self, seconds: float) -> None:
        """Learn how long it took to write what came of a run."""
        self._pace.settled(seconds)

    def _may_begin(self) -> bool:
        """Take the lane for this thread, as :meth:`run_here` does for those who stand in it."""
        if not self._locked_for_this():
            return False
        try:
            if self._queue or not self.ready():
                return False
            self._begin([], lent=True)
            return True
        finally:
            self._lock.release()


class Ran(NamedTuple):
    """Requests that were answered together, and have as many rows."""

    places: list[int]
    """Among those that were given."""
    names: bytes
    """Ids of their events, one behind the other."""
    answers: Woven
    """As the requests' protocol writes them."""


class Times(NamedTuple):
    """Of a run, by ``time.monotonic``."""

    began: float
    ended: float


class Turns:
    """Answers requests of one turn.

    Args:
        registry: versions are held by.
        writer: of the event log.
        statistics: figures by version.
        ends: gives ids, and counts.
    """

    def __init__(self, registry: Registry, writer: Writer, statistics: Statistics, ends: Endings) -> None:
        self._registry, self._writer, self._statistics, self._ends = registry, writer, statistics, ends

    def answer(self, requests: Sequence[Request], bodies: list[bytes], arrived: float, told: list[Ran]) -> None:
        """Answer requests of one model and one form.

        Args:
            requests: those that there are.
            bodies: theirs.
            arrived: when they came, Unix seconds.
            told: is given the answers, once their events are written; whatever is raised later, those have been
                answered. A request that is in none of them has to take the usual way.
        """
        lease = self._registry.lease_alone(requests[0].model)
        if lease is None:
            return
        try:
            lane, form = lease.loaded.lane, _form_of(lease.loaded, requests[0])
            if form is not None and isinstance(lane, BriefLane) and lane.passable:
                # More at once would hold up all others of this thread: for what is left there are threads.
                for batch in form.read(bodies, lane.most)[:MOST_HERE]:
                    some = requests if len(batch.places) == len(requests) else [requests[at] for at in batch.places]
                    self._run(batch, some, (lease.loaded, lane, form), arrived, told)
        finally:
            self._registry.release([lease])

    def _run(
        self,
        batch: Joined,
        requests: Sequence[Request],
        where: tuple[Loaded, BriefLane, Form],
        arrived: float,
        told: list[Ran],
    ) -> None:
        """Answer a batch; where it does not run, or its events are not written, nothing has happened."""
        loaded, lane, form = where
        rows = sum(batch.rows)
        ran = lane.run_now(form.arrays(batch.blocks, rows), rows)
        answers = None if ran is None else form.answers(ran[0], rows)
        if ran is None or answers is None:
            return
        times, now = ran[1], self._ends.clock()
        run = times.ended - times.began
        when = When(arrived, now, max(0.0, now - arrived - run), run)
        names, stretches = self._ends.names(len(requests)), Stretch.all(batch.rows)
        written = answers.write(names, stretches)
        blocks = [*batch.blocks, *answers.blocks]
        try:
            self._writer.append_woven(events_of(requests, names, stretches, when, form, blocks))
        except StaytrueError:
            return
        for (at, end, _), answer in zip(stretches, written, strict=True):
            told.append(Ran(batch.places[at:end], names[at * ID_LENGTH : end * ID_LENGTH], answer))
        bundle = loaded.bundle
        self._statistics.answered(bundle.name, bundle.version, len(requests), rows, run)
        self._ends.answered_at_once(requests, names, (arrived, now), bundle.version)
        lane.settled(time.monotonic() - times.ended)


def events_of(
    requests: Sequence[Request],
    names: bytes,
    stretches: Sequence[Stretch],
    when: When,
    form: Form,
    blocks: Sequence[Packed],
) -> list[Piece]:
    """The events of requests that were answered, as the log keeps them.

    Args:
        requests: those, in the order of their rows.
        names: ids of the events, one behind the other.
        stretches: of them.
        when: they came and were run.
        form: of their model.
        blocks: all rows of each input and output.
    """
    one = requests[0]
    if len(stretches) == 1 and not one.request_id and not one.trace_id and requests.count(one) == len(requests):
        filling = form.alike(one, stretches[0].rows).filling(when, names, blocks)  # as most often
        if filling is not None:
            return [filling]
    events: list[Piece] = []
    row = 0
    for at, end, rows in stretches:
        some, behind = requests[at:end], row + rows * (end - at)
        one = some[0]
        if some.count(one) == len(some):  # most are the same, unless they have ids of their own
            callers = [(one.request_id, one.trace_id)]
        else:
            callers = [(request.request_id, request.trace_id) for request in some]
        data = [
            block[row * width : behind * width]
            if isinstance(block, bytes)
            else [block[place : place + rows * width] for place in range(row * width, behind * width, rows * width)]
            for block, width in zip(blocks, form.widths, strict=True)
        ]
        events.append(form.alike(one, rows).piece(when, callers, names[at * ID_LENGTH : end * ID_LENGTH], data))
        row = behind
    return events


def _form_of(loaded: Loaded, request: Request) -> Form | None:
    """How a protocol reads and writes a version, made once."""
    make = request.form
    if make not in loaded.forms:
        loaded.forms[make] = None if make is None else make(loaded.bundle)
    form: Form | None = loaded.forms[make]
    return form
