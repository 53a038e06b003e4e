"""Puts the sidecar together and runs it until SIGTERM: the HTTP side in the loop, the analyst in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import sys
import time
from typing import TYPE_CHECKING

import uvicorn
from prometheus_client import CollectorRegistry

from monitoring.analyst import Analyst, Parts
from monitoring.app import Api
from monitoring.display.metrics import Computed
from monitoring.display.vitals import Vitals
from monitoring.ingest.collector import EVENTS, LABELS, Collector
from monitoring.ingest.labels import LabelDesk
from monitoring.ingest.lake import Lake
from monitoring.ingest.pairs import PairDesk
from monitoring.response.jobs import Jobs
from monitoring.response.notify import Outbox
from monitoring.response.push import Pusher
from monitoring.response.reports import Reports
from monitoring.state import State
from staytrue.errors import Conflict
from staytrue.eventlog import Writer
from staytrue.listening import address, ended_by, listen
from staytrue.outage import Outage
from staytrue.store import Store

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from staytrue.project import Project
    from staytrue.sections import MonitoringSection

AFTER_FAILURE_SECONDS = 1.0


def run(project: Project, path: Path, settings: MonitoringSection) -> int:
    """Watch until SIGTERM or SIGINT; the exit code.

    Raises:
        InvalidConfig: the address cannot be listened on, or a webhook's secret or address cannot be used.
        Conflict: another sidecar is at work in this folder.
    """
    with _alone(settings.data):
        return _run(project, path, settings)


@contextlib.contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Hold the folder: two sidecars over one would look twice.

    Raises:
        Conflict: another process holds it.
    """
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            hint = "end it first, or give this one another --data"
            raise Conflict(f'folder "{data}"', "another sidecar is at work here", hint=hint) from error
        yield


def _run(project: Project, path: Path, settings: MonitoringSection) -> int:
    bound = listen(settings.host, settings.port, insecure=settings.insecure)
    url = address(bound)
    writer = Writer(settings.data / "labels-log")
    registry = CollectorRegistry()
    parts = assemble(project, path, settings, registry, url)

    def backlog() -> int:
        logs = (parts.events, parts.pairs.collector, parts.labels)
        return sum(log.reader.backlog_bytes() for log in logs)

    registry.register(Computed(parts, backlog))
    api = Api(parts, LabelDesk(writer, event_clock=_event_clock(project, parts)), registry, backlog)
    parts.outbox.start()
    parts.reports.resume()
    try:
        asyncio.run(_serve(api, Analyst(parts, settings, url), parts.vitals, settings, bound))
    finally:
        parts.outbox.stop()
        parts.reports.stop()
        writer.close()
        parts.pairs.close()
        parts.state.close()
    return 0


def _event_clock(project: Project, parts: Parts) -> Callable[[], float]:
    """Where requests say when they happened (a replay), now is the newest that any of them said."""
    if project.serving.event_time == "arrival":
        return time.time
    return lambda: max(parts.vitals.newest.values(), default=time.time())


def assemble(project: Project, path: Path, settings: MonitoringSection, registry: CollectorRegistry, url: str) -> Parts:
    """The sidecar's parts, over its folder."""
    data = settings.data.resolve()  # a job must read the lake that this process writes, wherever a flag put it
    command = (sys.executable, "-m", "staytrue", "retrain", "--data", str(data))
    state, lake = State(data / "state.sqlite"), Lake(data / "lake")
    vitals, store = Vitals(state, registry), Store.of(project)
    pusher = Pusher(settings.alertmanager) if settings.alertmanager else None
    return Parts(
        store=store,
        state=state,
        lake=lake,
        events=Collector(EVENTS, project.serving.log, lake, state, vitals),
        pairs=PairDesk(data, store, lake, state, vitals),
        labels=Collector(LABELS, data / "labels-log", lake, state, vitals),
        vitals=vitals,
        outbox=Outbox(state, settings.webhooks, url, pusher=pusher),
        jobs=Jobs(state, data / "jobs", path, project.retraining, store, command=command),
        reports=Reports(data / "reports"),
    )


async def _serve(api: Api, analyst: Analyst, vitals: Vitals, settings: MonitoringSection, bound: socket.socket) -> None:
    @contextlib.asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        ending = asyncio.Event()
        task = asyncio.create_task(_ticks(analyst, vitals, settings.poll_seconds, ending))
        yield
        ending.set()
        analyst.stop()
        await task

    config = uvicorn.Config(
        api.app(lifespan),
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    await _Server(config).serve(sockets=[bound])


async def _ticks(analyst: Analyst, vitals: Vitals, seconds: float, ending: asyncio.Event) -> None:
    """Tick until the end; a tick that fails is told of and tried again, and what it had not finished is done then."""
    outage = Outage("a tick", "it is tried again")
    while not ending.is_set():
        pause = seconds
        try:
            await asyncio.to_thread(analyst.tick)
            vitals.failing = ""
            outage.over()
        except Exception as error:  # noqa: BLE001 - told, counted, and tried again
            outage.failed(error)
            vitals.failing, vitals.failed_ticks = f"{type(error).__name__}: {error}"[:300], vitals.failed_ticks + 1
            pause = max(seconds, AFTER_FAILURE_SECONDS)
            with contextlib.suppress(Exception):  # what hinders it will hinder the next tick too, which tells
                analyst.recover()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), pause)


class _Server(uvicorn.Server):
    """uvicorn, with the words that callers wait for and exit code 0 after SIGTERM."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say where."""
        await super().startup(sockets)
        for bound in sockets or []:
            print(f"staytrue monitor: listening on {address(bound)}", flush=True)  # noqa: T201 - callers wait for it

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on a signal. uvicorn's own raises it again afterwards, which ends a clean shutdown with an error."""
        with ended_by(self.handle_exit):
            yield
