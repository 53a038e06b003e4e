"""The only logic of serving: admit, route, queue, run, write the event, then answer. Protocols translate for it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from serving.calls import Call, Request, event_time, hidden
from serving.description import Description
from serving.endings import Endings, nothing
from serving.judge import Judge
from serving.lobby import Lobby
from serving.statistics import Statistics
from serving.tickets import expired, limits_of
from serving.turns import BriefLane, Turns
from staytrue.errors import DeadlineExceeded, Overloaded, StaytrueError, Unavailable
from staytrue.events import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.batching import Lane
    from serving.calls import Done
    from serving.loading import Loaded
    from serving.registry import Registry
    from serving.runtimes.base import Runtime
    from staytrue.bundle import Bundle
    from staytrue.eventlog import Writer
    from staytrue.events import Heartbeat
    from staytrue.server import ServingSection
    from staytrue.tensors import Parsed

log = logging.getLogger(__name__)
WATCH_SECONDS = 0.1
HELPERS = 4
"""Threads for what would hold up the event loop: large bodies."""
LOADERS = 2
"""Threads for versions that have to be loaded first; they may be busy for long."""


class Dataplane:
    """Answers requests with the registry's models. Every answer, also a refusal, has its event in the log first."""

    def __init__(
        self, registry: Registry, writer: Writer, settings: ServingSection, clock: Callable[[], float] = time.time
    ) -> None:
        self.registry, self._settings, self.clock = registry, settings, clock
        self._longest = float("inf") if settings.timeout_seconds is None else settings.timeout_seconds
        self._turn = threading.Lock()
        self.helpers = ThreadPoolExecutor(max_workers=HELPERS, thread_name_prefix="help")
        self._loads = ThreadPoolExecutor(max_workers=LOADERS, thread_name_prefix="load")
        self.statistics = Statistics()
        slow, all_lines = settings.slow_seconds, settings.access_log
        self._ends = Endings(registry, writer, self.statistics, clock, slow_seconds=slow, all_lines=all_lines)
        self.room = self._ends.room
        self.after_telling = self._ends.after
        """Called, by any thread, once callers were told: once for all whose requests ended together."""
        self.turns = Turns(registry, writer, self.statistics, self._ends)
        self._lobby = Lobby()
        self.draining = False
        self._lanes: set[Lane] = set()
        self._watching = threading.Event()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def attach(self, bundle: Bundle, runtime: Runtime, row_seconds: float) -> Lane:
        """The queue of a version that has just been loaded, and took so long for a row; for the registry."""
        limits = limits_of(self._settings)
        judge = Judge(bundle.name, bundle.version, runtime, bundle.signature)
        told = self._ends.settled
        lane = BriefLane(bundle.name, runtime, bundle.signature, bundle.max_batch, limits, told, judge.told)
        lane.expect(row_seconds)
        with self._turn:
            self._lanes = {other for other in self._lanes if not other.closed} | {lane}
        return lane

    def ready(self) -> bool:
        """Whether requests are welcome, have room for their events, and each model has answered in this process."""
        return not self.draining and self.room.there and self.registry.ready()

    def describe(self, name: str, version: str | None) -> Description:
        """A model's champion, or the version that is named; that one may have to be loaded, so not in the event loop.

        Raises:
            StaytrueError: it is not there or cannot be loaded; see :meth:`serving.registry.Registry.version`.
        """
        model = self.registry.model(name)
        with self.registry.version(name, version) as loaded:
            return Description(
                bundle=loaded.bundle,
                versions=self.registry.versions()[name],
                platform=self.registry.make.platform,
                provider=self.registry.make.provider,
                runtime=loaded.runtime.description,
                refused=dict(model.refused),
                ready=not self.draining and self.room.there and loaded.ready(),
            )

    @property
    def in_flight(self) -> int:
        """Requests in the house."""
        return self._ends.in_flight

    @property
    def answered(self) -> int:
        """Requests answered since the start, refusals included."""
        return self._ends.answered

    @property
    def shadows_dropped(self) -> int:
        """Requests that a shadow did not see, since too many waited for it."""
        return self._ends.shadows_dropped

    def submit(
        self,
        request: Request,
        done: Done,
        data: bytes = b"",
        caller: Any = None,
        *,
        beside: bool = False,
        glance: Callable[[bytes], Parsed | None] | None = None,
        wake: bool = True,
    ) -> Call:
        """Answer a request. Never raises; ``done`` is called once, by any thread, perhaps before this returns.

        Args:
            request: what is asked.
            done: is given the call, with its outcome.
            data: what ``request.read`` reads.
            caller: carried in the call for ``done``.
            beside: read it in a thread of its own: for what is so large that reading would hold up the caller.
            glance: reads what is quick to read in spite of its length; for what it does not, ``beside`` holds.
            wake: whether it is to be run; otherwise it waits in its lane (``call.lane``) for somebody to wake that.
        """
        call = self._ends.begin(request, done, data, caller)
        call.deadline, call.glance = min(time.monotonic() + self._longest, request.deadline), glance
        if self._ends.in_flight > self._settings.max_concurrency:
            got = f"has {self._settings.max_concurrency} requests in the house, its limit"
            self._fail(call, Overloaded("server", got, hint="try again"))
        elif beside and glance is None:
            self._later(self.helpers, self._come, call)
        else:
            self._begin(call, wake=wake)
        return call

    def cancel(self, call: Call, error: StaytrueError) -> None:
        """The caller wants it no more: what still waits is not run."""
        call.request_cancelled, call.data = error, b""
        if self._lobby.leave(call):
            call.model = call.model or self._known(call.request.model)
            self._fail(call, error)
        elif call.lane is not None:  # looked at last: it may come there meanwhile, without having seen the above
            call.lane.cancel(call, error)

    def refuse(self, protocol: str, model: str, error: StaytrueError) -> None:
        """Write the event of a request that never became one (no body, too large …)."""
        empty = Request(model=model, version=None, protocol=protocol, read=nothing, write=nothing)
        call = self._ends.begin(empty, nothing)
        call.model = self._known(model)
        self._fail(call, error)

    def beat(self, heartbeat: Heartbeat) -> None:
        """Write a heartbeat into the log, which tells whether there is room for events."""
        self.room.probe(encode(heartbeat))

    def queued_rows(self) -> int:
        """Rows that wait in all lanes."""
        return sum(lane.rows for lane in list(self._lanes))

    def runs(self) -> tuple[int, int]:
        """Runs and their rows since the start, of lanes that are open."""
        lanes = list(self._lanes)
        return sum(lane.counts.runs for lane in lanes), sum(lane.counts.rows for lane in lanes)

    def close(self) -> None:
        """Wait for requests that run; those that still wait for a thread or a load are ended."""
        for call in self._lobby.clear():
            self._drop(call, Unavailable("server", "ends", hint="try again"))
        for threads in (self.helpers, self._loads):  # not waited for: one that loads a version may take for ever
            threads.shutdown(wait=False)
        until = time.monotonic() + 5.0
        while self.in_flight and time.monotonic() < until:
            time.sleep(0.01)
        self._watching.set()

    def _later(self, threads: ThreadPoolExecutor, work: Callable[[Call], None], call: Call) -> None:
        """Have a thread go on with a call, which until then can be cancelled and meet its deadline."""
        self._lobby.enter(call)
        try:
            threads.submit(work, call)
        except RuntimeError:  # they have ended
            if self._lobby.leave(call):
                self._drop(call, Unavailable("server", "ends", hint="try again"))

    def _come(self, call: Call) -> None:
        if self._lobby.leave(call):
            self._begin(call, wake=True)

    def _begin(self, call: Call, *, wake: bool) -> None:
        """Lease a version, read the request, queue it."""
        request = call.request
        try:
            lease = self.registry.lease(request.model, request.version, request.sticky or request.request_id)
            call.model = request.model
            if lease is None:
                self._later(self._loads, self._pinned, call)
                return
            loaded = lease.loaded
            call.lease, call.version, call.role = lease, loaded.bundle.version, lease.role
            if call.request_cancelled is None and self._leaves(call, loaded):
                call.lease = None
                self.registry.release([lease])
                self._later(self.helpers, self._come, call)
                return
            if call.request_cancelled is not None:
                self._fail(call, call.request_cancelled)
                return
            lane: Any = loaded.lane
            call.lane = lane
            lane.put(call, wake=wake)
        except StaytrueError as error:
            call.lane = None  # an event of what was not taken in does not hold its tensors: others would have no room
            call.model = call.model or self._known(request.model)
            self._fail(call, error)
        except Exception as error:  # noqa: BLE001 - hidden and logged
            self._fail(call, hidden(error, call.id))

    def _pinned(self, call: Call) -> None:
        """Load the version that was named, then go on; in a thread that may wait."""
        failed: StaytrueError | None = None
        if not self._lobby.holds(call):
            return
        try:
            self.registry.pin(call.request.model, call.request.version or "")
        except StaytrueError as error:
            failed = error
        except Exception as error:  # noqa: BLE001 - hidden and logged
            failed = hidden(error, call.id)
        if not self._lobby.leave(call):
            return
        if failed is None:
            self._begin(call, wake=True)
        else:
            self._fail(call, failed)

    def _drop(self, call: Call, error: StaytrueError) -> None:
        """End a call that waited in the lobby, in this thread."""
        call.data, call.model = b"", call.model or self._known(call.request.model)
        self._ends.failed(call, error)
        self._ends.end([call])

    def _leaves(self, call: Call, loaded: Loaded) -> bool:
        """Read a request; whether it is left to a thread of its own, since a glance at it is not enough."""
        now, (glance, call.glance) = time.monotonic(), (call.glance, None)
        if call.deadline <= now:
            raise DeadlineExceeded("request", expected="time left to answer", got="none")
        parsed = call.request.read(loaded.bundle, call.data) if glance is None else glance(call.data)
        if parsed is None:
            return True
        call.data = b""
        if parsed.id:
            call.request_id = call.echo = parsed.id
        if parsed.parameters:
            call.time = event_time(parsed.parameters, self._settings.event_time)
        arrays, rows = loaded.contract.accepted(parsed.inputs)
        call.asked = loaded.contract.wanted(parsed)
        call.queued = now  # whoever cancels it before it is in the queue counts from here
        call.fill(arrays, rows, call.deadline)
        return False

    def _fail(self, call: Call, error: StaytrueError) -> None:
        self._ends.failed(call, error)
        if self._settings.durability == "sync":  # the disk is waited for, and whoever asks may be the event loop
            with contextlib.suppress(RuntimeError):  # they have ended
                self.helpers.submit(self._ends.end, [call])
                return
        self._ends.end([call])

    def _known(self, model: str) -> str:
        """The model's name, or "" for one that is not here: names of strangers must not become labels of metrics."""
        return model if self.registry.knows(model) else ""

    def _watch(self) -> None:
        while not self._watching.wait(WATCH_SECONDS):
            for call in self._lobby.late(time.monotonic()):
                self._drop(call, expired(call))
            for lane in list(self._lanes):
                try:
                    lane.watch()
                except Exception:
                    log.exception("a queue could not be looked after")
