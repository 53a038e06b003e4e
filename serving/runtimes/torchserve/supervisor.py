"""Keeps one TorchServe running with its models: watches it, starts another when it has died, and knows who is well."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.runtimes.torchserve.server import Server
from staytrue.errors import StaytrueError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from staytrue.server import TorchServeSection

log = logging.getLogger(__name__)
WATCH_SECONDS = 0.25
LAST_SECONDS = 2.0
"""For what is under way at the end, a model that loads above all: it fails once TorchServe has gone."""
MISSES = 8
"""A management API that gives no answer so often is taken for dead; each silence may last its own second."""
BACK_OFF_SECONDS = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Before the first, second … attempt to start another."""


@dataclass
class Model:
    """An archive that TorchServe is to serve."""

    archive: Path
    ready: bool = False
    """Whether a worker answers, as far as is known."""
    since: float = 0.0
    """When ``ready`` last changed, by a clock that never runs backwards."""


class Supervisor:
    """A TorchServe that is there again when it was gone.

    Args:
        threads: of each worker.

    Raises:
        InvalidConfig: Java or a package is missing, or TorchServe ends at once.
        Unavailable: it does not start in its time.
    """

    def __init__(self, settings: TorchServeSection, *, threads: int = 1) -> None:
        self._settings, self._threads = settings, threads
        self._server: Server | None = Server(settings, threads=threads)
        self._models: dict[str, Model] = {}
        self._leaving: deque[str] = deque()
        self._turn = threading.Lock()
        """Held while a model is loaded and while a server is replaced: never by a prediction."""
        self._end = threading.Event()
        self._numbers = 0
        self.starts = 1
        self._thread = threading.Thread(target=self._watch, name="torchserve-watch", daemon=True)
        self._thread.start()

    def add(self, archive: Path) -> str:
        """Have an archive served; the name that TorchServe knows it by.

        Raises:
            CorruptData: it does not load.
            Unavailable: TorchServe is gone just now.
        """
        with self._turn:
            self._numbers += 1
            name = f"m{self._numbers}"
            server = self._there()
            try:
                server.register(name, archive)
            except BaseException:
                self._leaving.append(name)  # given up by us, it may still be loading there
                raise
            self._models[name] = Model(archive, ready=True)
            return name

    def remove(self, name: str) -> None:
        """Have a model served no more. The watch sees to it: whoever calls may hold locks that others wait for."""
        if self._models.pop(name, None):
            self._leaving.append(name)

    def ready(self, name: str) -> bool:
        """Whether a worker of a model answers; as of the last look, a quarter of a second ago."""
        model = self._models.get(name)
        return model is not None and model.ready and self._server is not None

    def predict(self, name: str, body: bytes, headers: Mapping[str, str], seconds: float) -> tuple[int, bytes]:
        """Ask a model; status and body of the answer.

        Raises:
            DeadlineExceeded: no answer within the time.
            Unavailable: TorchServe is gone just now.
        """
        return self._there().inference.ask("POST", f"/predictions/{name}", seconds=seconds, body=body, headers=headers)

    def close(self) -> None:
        """End TorchServe; once more does nothing."""
        self._end.set()
        self._thread.join(LAST_SECONDS)
        mine = self._turn.acquire(timeout=LAST_SECONDS)
        server, self._server = self._server, None
        self._models.clear()
        if mine:
            self._turn.release()
        if server:
            server.close()

    def _there(self) -> Server:
        server = self._server
        if server is None:
            raise Unavailable("TorchServe", "is not running just now, another is being started", hint="try again")
        return server

    def _watch(self) -> None:
        misses = 0
        while not self._end.wait(WATCH_SECONDS):
            server = self._server
            if server is None or not server.alive or misses >= MISSES:
                self._replace(server)
                misses = 0
                continue
            try:
                self._look(server)
                misses = 0
            except Exception as error:  # noqa: BLE001 - whatever it is, the watch goes on
                misses += 1
                log.warning("TorchServe does not tell how its models are (%d): %s", misses, error)
                self._all_unwell()

    def _look(self, server: Server) -> None:
        while self._leaving:
            server.unregister(self._leaving.popleft())
        for name, model in list(self._models.items()):
            ready = any(worker["status"] == "READY" for worker in server.workers(name))
            if ready != model.ready:
                log.warning("TorchServe: %s %s", model.archive, "answers again" if ready else "has no worker")
                model.ready, model.since = ready, time.monotonic()
            if not ready and time.monotonic() - model.since > self._settings.start_seconds:
                self._again(server, name, model)  # TorchServe itself gives a worker up that fails for long

    def _again(self, server: Server, name: str, model: Model) -> None:
        with self._turn:
            if name in self._models:
                log.error("TorchServe: %s is registered once more", model.archive)
                model.since = time.monotonic()
                server.unregister(name)
                self._register(server, name, model)

    def _register(self, server: Server, name: str, model: Model) -> None:
        """As far as it goes: an archive that is gone must not take the other models with it; see _look."""
        try:
            server.register(name, model.archive, wait=False)
        except (StaytrueError, OSError) as error:
            log.error("TorchServe: %s", error)  # noqa: TRY400 - the text says it all

    def _all_unwell(self) -> None:
        for model in list(self._models.values()):
            model.ready = False

    def _replace(self, dead: Server | None) -> None:
        """Start another, again and again, later and later, until it runs or the end has come."""
        self._server = None
        self._all_unwell()
        if dead:
            log.error("TorchServe has ended, another is started: %s", dead.tail())
            dead.close()
        for attempt in itertools.count():
            if self._end.wait(BACK_OFF_SECONDS[min(attempt, len(BACK_OFF_SECONDS) - 1)]):
                return
            try:
                self._start()
            except Exception as error:  # noqa: BLE001 - there is nobody else to start it
                log.error("TorchServe does not start, attempt %d: %s", attempt + 1, error)  # noqa: TRY400 - says it all
            else:
                return

    def _start(self) -> None:
        server = Server(self._settings, self._end, threads=self._threads)
        with self._turn:
            if self._end.is_set():
                server.close()
                return
            for name, model in list(self._models.items()):  # each is ready when the watch sees a worker of it
                model.since = time.monotonic()
                self._register(server, name, model)
            self._server = server
            self.starts += 1
        log.info("TorchServe runs again, with %d models", len(self._models))
