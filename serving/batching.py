"""The queue before a model version: bounded, in order of arrival, merged into batches; each gets its own rows."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from serving.pace import Pace
from serving.tickets import DONE, QUEUED, RUNNING, Counts, Limits, Ticket, expired, merged, rows_of, split
from serving.waiting import Waiting
from staytrue.errors import DeadlineExceeded, InternalError, Overloaded, StaytrueError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from serving.runtimes.base import Runtime
    from staytrue.signature import Signature

log = logging.getLogger(__name__)
MOST_HERE = 16
"""Batches that whoever brings requests runs in one go; others wait for it meanwhile."""


class Lane:
    """Queue and threads of one model version.

    Args:
        name: for messages and threads.
        runtime: what runs the model.
        signature: tells whether requests can be merged: all tensors must begin with an axis of independent rows.
        max_batch: rows that the model was proven for; a model proven for one row is never merged.
        limits: see :class:`Limits`.
        settle: is given each ticket once, done, in groups as they ended, by the thread that ended them, under no lock.
        judge: what a ticket alone is told of an error of its run.
    """

    def __init__(
        self,
        name: str,
        runtime: Runtime,
        signature: Signature,
        max_batch: int,
        limits: Limits,
        settle: Callable[[Sequence[Any]], None],
        judge: Callable[[Exception], Exception] = lambda error: error,
    ) -> None:
        self._name, self._runtime, self._limits, self._settle, self._judge = name, runtime, limits, settle, judge
        self._most = min(limits.batch_rows, max_batch) if signature.merges else 1
        self._free = [spec.name for spec in signature.inputs if -1 in spec.shape[1:]]
        self._queue = Waiting(alike=not self._free)
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._runs: dict[int, tuple[float, list[Ticket]]] = {}
        self._threads = self._idle = 0
        self._lent: set[int] = set()
        """Threads of those who brought requests, while they run a batch."""
        self._stalled, self.closed, self._pace = False, False, Pace()
        # Of a model with free axes no run tells how long the next one takes.
        self._here = limits.here and not self._free
        self.counts = Counts()

    @property
    def rows(self) -> int:
        """In the queue now."""
        return self._queue.rows

    def expect(self, seconds: float) -> None:
        """Learn how long one row took, by which later runs are judged stalled, or brief."""
        self._pace.ran(seconds, 1)

    def put(self, ticket: Ticket, *, wake: bool = True) -> None:
        """Queue a ticket; without ``wake`` it lies there until :meth:`wake`.

        Raises:
            Overloaded: the queue is full.
            Unavailable: the model is stalled or closed.
        """
        ticket.queued = time.monotonic()
        if self._free:
            ticket.key = tuple([ticket.arrays[name].shape[1:] for name in self._free])
        with self._lock:
            if ticket.state == DONE:  # cancelled on its way here
                return
            if self.closed or self._stalled:
                ticket.state = DONE  # it was never in the queue: whoever cancels it now finds it ended
                raise self._unavailable()
            rows, size = self._queue.rows + ticket.rows, self._queue.bytes + ticket.size
            if (rows > self._limits.queue_rows or size > self._limits.queue_bytes) and self._queue:
                ticket.state = DONE
                got = f"{self._queue.rows} rows, {self._queue.bytes} bytes"
                raise Overloaded(f'model "{self._name}"', "its queue is full", got=got, hint="try again")
            self._queue.add(ticket)
            if wake:
                self._wake()

    def wake(self) -> None:
        """Let what is queued be run."""
        with self._lock:
            if self._queue:
                self._wake()

    def run_here(self) -> bool:
        """Run what is queued in this thread if that is brief and nothing else runs; whether all of it was.

        A hop to another thread costs several times what a small model does.
        """
        for _ in range(MOST_HERE):
            batch = self._taken()
            if batch is None:
                return False
            if not batch:
                return True
            self._run(batch)
        return False

    def _taken(self) -> list[Ticket] | None:
        """A batch for the calling thread; empty where nothing is queued, None where threads are to run it."""
        if not self._locked_for_this():
            return None
        try:
            batch = self._queue.take(self._most)
            if batch:
                self._begin(batch, lent=True)
            return batch
        finally:
            self._lock.release()

    def _locked_for_this(self) -> bool:
        """Whether runs are brief and none is under way: then the calling thread holds the lock, and may begin one."""
        if not (self._here and self._pace.brief and self._lock.acquire(blocking=False)):
            return False
        if not self._runs and self._idle >= self._threads:
            return True
        self._lock.release()
        return False

    def cancel(self, ticket: Ticket, error: StaytrueError) -> None:
        """End a ticket with an error, wherever it is; nothing where it is done already."""
        with self._lock:
            if ticket.state == DONE:
                return
            self._drop(ticket, error)
        self._settle([ticket])

    def watch(self) -> None:
        """End what is past its deadline, and everything once a run is stalled. To be called several times a second."""
        now = time.monotonic()
        with self._lock:
            running = [ticket for _, batch in self._runs.values() for ticket in batch if ticket.state == RUNNING]
            least = self._limits.stall_seconds
            stalled = any(
                now - began > self._pace.patience(rows_of(some), least) for began, some in self._runs.values()
            )
            if stalled and self._lent:  # all whose requests that thread takes would wait for ever
                self._here = False
                self._runtime.break_off()
            if self._queue and not (self._threads or self._runs):
                self._wake()  # no thread could be started when it came
            if stalled != self._stalled:
                log.error("%s %s", self._name, "does not come back from a run" if stalled else "runs again")
            self._stalled = stalled
            ended = [ticket for ticket in [*self._queue, *running] if stalled or ticket.deadline <= now]
            for ticket in ended:
                self._drop(ticket, expired(ticket) if ticket.deadline <= now else self._unavailable())
        if ended:
            self._settle(ended)

    def ready(self) -> bool:
        """Whether it takes requests: not closed, and no run is stalled."""
        return not (self.closed or self._stalled)

    def close(self) -> None:
        """Take nothing more; what is queued is still run by the threads, which then end."""
        with self._lock:
            self.closed = True
            self._changed.notify_all()

    def _wake(self) -> None:
        if self._idle:
            self._changed.notify()
        elif self._threads < self._limits.instances:
            self._threads += 1
            try:
                threading.Thread(target=self._work, name=f"run {self._name}", daemon=True).start()
            except RuntimeError:  # the system gives no more threads; watch() tries again
                self._threads -= 1
                log.exception("%s: no thread to run it", self._name)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._wait():
                    self._threads -= 1
                    return
                batch = self._queue.take(self._most)
                self._begin(batch)
            self._run(batch)
            del batch  # while this thread waits, its tensors need not

    def _wait(self) -> bool:
        """Under the lock: wait for something to run; False once there will be none."""
        while not self._queue or len(self._runs) >= self._limits.instances or (patience := self._company()) > 0:
            if self.closed and not self._queue:
                return False
            self._idle += 1
            self._changed.wait(patience if self._queue and len(self._runs) < self._limits.instances else None)
            self._idle -= 1
        return True

    def _company(self) -> float:
        """Seconds for which the first in the queue may wait for others; none while nothing else runs."""
        if not self._runs or self._limits.delay_seconds <= 0 or self._queue.rows >= self._most:
            return 0.0
        return next(iter(self._queue)).queued + self._limits.delay_seconds - time.monotonic()

    def _begin(self, batch: list[Ticket], *, lent: bool = False) -> None:
        now = time.monotonic()
        for ticket in batch:
            ticket.state, ticket.began = RUNNING, now
        self._runs[threading.get_ident()] = (now, batch)
        if lent:
            self._lent.add(threading.get_ident())

    def _run(self, batch: list[Ticket]) -> None:
        """Run a batch and end its tickets; where it fails as a whole, each alone: a bad row harms no other."""
        groups = [batch]
        while groups:
            now = time.monotonic()
            group = [ticket for ticket in groups.pop(0) if ticket.state == RUNNING and ticket.deadline > now]
            if not group:
                continue
            try:
                self._give(group, self._runtime.run(merged(group)))
            except Exception as error:  # noqa: BLE001 - whatever it is, its tickets carry it
                if len(group) > 1 and not isinstance(error, Unavailable | DeadlineExceeded | Overloaded):
                    groups += [[ticket] for ticket in group]
                    continue
                told = self._told(error) if group[0].state == RUNNING else error  # within the run: it may stall too
                for ticket in group:
                    ticket.error = told
        self._end(batch)

    def _told(self, error: Exception) -> Exception:
        try:
            return self._judge(error)
        except Exception:  # this run, never ended, would count as stalled
            log.exception("%s: whose fault it is could not be told", self._name)
            return error

    def _give(self, group: list[Ticket], outputs: dict[str, NDArray[Any]]) -> None:
        if not split(group, outputs):
            self._most = 1
            log.warning("%s gives other than a row for a row: its requests are not merged any more", self._name)
            raise InternalError(f'model "{self._name}"', "gives other than a row for a row")

    def _end(self, batch: list[Ticket]) -> None:
        now, rows = time.monotonic(), rows_of(batch)
        with self._lock:
            began = self._give_back()
            ended = [ticket for ticket in batch if ticket.state == RUNNING]
            for ticket in ended:
                ticket.state, ticket.ended = DONE, now
                if ticket.outputs is None and ticket.error is None:
                    ticket.error = expired(ticket)
            # A run that failed, or was given up, tells nothing of how long others take.
            if any(ticket.error is None for ticket in ended):
                self._pace.ran(now - began, rows)
            self.counts.runs += 1
            self.counts.rows += rows
        if ended:
            try:
                self._settle(ended)
            except Exception:
                log.exception("%s: requests could not be ended", self._name)
            self._pace.settled(time.monotonic() - now)

    def _give_back(self) -> float:
        """Under the lock: this thread's run has ended; when it began."""
        began, _ = self._runs.pop(threading.get_ident())
        self._lent.discard(threading.get_ident())
        if self._queue and self._idle:
            self._wake()  # a thread that found this run under way and went to wait
        return began

    def _drop(self, ticket: Ticket, error: StaytrueError) -> None:
        """Under the lock: end a ticket that is queued or runs."""
        if ticket.state == QUEUED:
            self._queue.remove(ticket)
        ticket.state, ticket.error, ticket.ended = DONE, error, time.monotonic()

    def _unavailable(self) -> Unavailable:
        problem = "was closed" if self.closed else "does not come back from a run"
        return Unavailable(f'model "{self._name}"', problem, hint="try again")
