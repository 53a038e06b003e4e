"""Counts and clocks kept in memory, so that status and metrics never have to read the lake."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitoring.state import State
    from staytrue.events import Event, Heartbeat

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Vitals:
    """Rebuilt from the state at start, then updated by the collector."""

    def __init__(self, state: State, registry: CollectorRegistry, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.totals: dict[str, dict[str, int]] = {}
        self.newest: dict[str, float] = {}
        self.reload(state)
        self.last_seen: float | None = None
        """Wall clock of the last event collected by this process."""
        self.heartbeats: dict[str, Heartbeat] = {}
        self._latency = Histogram(
            "staytrue_request_seconds",
            "Time from arrival to answer of collected requests.",
            ["model"],
            buckets=BUCKETS,
            registry=registry,
        )

    def reload(self, state: State) -> None:
        """Take counts and clocks from the state."""
        self.totals = {kind: state.totals(kind) for kind in ("events", "labels")}
        self.newest = state.newest()

    def saw(self, events: list[Event], heartbeats: list[Heartbeat], newest: dict[str, float]) -> None:
        """Take note of a batch."""
        for event in events:
            self._latency.labels(event.model).observe(event.queue_seconds + event.run_seconds)
        if events:
            self.last_seen = self.clock()
        for model, at in newest.items():
            self.newest[model] = max(at, self.newest.get(model, 0.0))
        for beat in heartbeats:
            self.heartbeats[beat.worker] = beat
        alive = self.clock() - 3600
        self.heartbeats = {worker: beat for worker, beat in self.heartbeats.items() if beat.time > alive}

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
