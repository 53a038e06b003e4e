"""Counts and clocks kept in memory, so that status and metrics never have to read the lake."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitoring.state import State
    from staytrue.events import Event, Heartbeat

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
MOST_VERSIONS = 100
"""Rows of versions beyond so many are counted together: a label must not grow for ever."""
FORGET_SECONDS = 3600.0
"""A worker whose last heartbeat is older is forgotten."""


class Vitals:
    """Rebuilt from the state at start, then updated by the collector."""

    def __init__(self, state: State, registry: CollectorRegistry, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.totals: dict[str, dict[str, int]] = {}
        self.newest: dict[str, float] = {}
        self.seen: dict[str, float] = {}
        """Wall clock of the last request by model."""
        self.reload(state)
        self.failing = ""
        """What the last tick failed with, for people; empty while ticks succeed."""
        self.failed_ticks = 0
        self.unmatched = {"event": 0, "row": 0}
        """Labels of events that are not there, and of rows that their event has not."""
        self.heartbeats: dict[str, Heartbeat] = {}
        self._latency = Histogram(
            "staytrue_request_seconds",
            "Time from arrival to answer of collected requests.",
            ["model"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._waited = Histogram(
            "staytrue_request_wait_seconds",
            "Time that collected requests spent outside the model: waiting, decoding, encoding.",
            ["model"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._protocols = Counter(
            "staytrue_protocol_requests", "Requests collected, by protocol.", ["model", "protocol"], registry=registry
        )
        self._rows = Counter(
            "staytrue_version_rows",
            "Rows answered, by version and role.",
            ["model", "version", "role"],
            registry=registry,
        )
        self._versions: set[tuple[str, str]] = set()

    def reload(self, state: State) -> None:
        """Take counts and clocks from the state."""
        self.totals = {kind: state.totals(kind) for kind in ("events", "labels")}
        self.newest, self.seen = state.newest(), state.seen()

    def saw(
        self, events: list[Event], heartbeats: list[Heartbeat], newest: dict[str, float], seen: dict[str, float]
    ) -> None:
        """Take note of a batch. Maps are replaced, never changed: other threads read them."""
        for event in events:
            self._latency.labels(event.model).observe(event.queue_seconds + event.run_seconds)
            self._waited.labels(event.model).observe(event.queue_seconds)
            self._protocols.labels(event.model, event.protocol).inc()
            if event.status == "ok":
                self._rows.labels(event.model, self._version(event), event.role).inc(event.rows)
        self.newest, self.seen = _later(self.newest, newest), _later(self.seen, seen)
        beats = self.heartbeats | {beat.worker: beat for beat in heartbeats}
        alive = self.clock() - FORGET_SECONDS
        self.heartbeats = {worker: beat for worker, beat in beats.items() if beat.time > alive}

    def _version(self, event: Event) -> str:
        if len(self._versions) < MOST_VERSIONS:
            self._versions.add((event.model, event.version))
        return event.version if (event.model, event.version) in self._versions else "other"

    def add(self, kind: str, counts: dict[str, int]) -> None:
        """Add counts of a new batch."""
        total = dict(self.totals[kind])
        for key, value in counts.items():
            total[key] = total.get(key, 0) + value
        self.totals[kind] = total

    def by_status(self) -> dict[tuple[str, str], int]:
        """Events collected, by model and status."""
        return {
            (key.split("|")[1], key.split("|")[2]): value
            for key, value in self.totals["events"].items()
            if key.startswith("event|")
        }


def _later(old: dict[str, float], new: dict[str, float]) -> dict[str, float]:
    return old | {model: max(at, old.get(model, at)) for model, at in new.items()}
