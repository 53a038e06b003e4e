"""The collector: reads a log from where it last acknowledged, stores, then acknowledges: each entry stored once.

A kill between storing and acknowledging makes the batch come again from the same place, perhaps longer; file names and
table keys are that place, so the second storing replaces the first.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from staytrue.errors import CorruptData
from staytrue.events import Event, Heartbeat, Label, decode
from staytrue.places import Position
from staytrue.readers import Batch, Reader
from staytrue.records import LATEST
from staytrue.segments import numbers, size, writers

if TYPE_CHECKING:
    from pathlib import Path

    from monitoring.display.vitals import Vitals
    from monitoring.ingest.lake import Lake
    from monitoring.state import State

log = logging.getLogger(__name__)
EVENTS, LABELS = "events", "labels"
AHEAD_SECONDS = 86400.0
"""An event further ahead of the server's own clock is stored, but event time does not follow it."""


class Collector:
    """Follows one log into the lake.

    Args:
        kind: ``events`` or ``labels``: the counts' name in the state. Logs of one kind are counted together: their
            writers have different names.
        folder: the log.
    """

    def __init__(self, kind: str, folder: Path, lake: Lake, state: State, vitals: Vitals) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._kind, self._folder, self._lake, self._state, self._vitals = kind, folder, lake, state, vitals
        self.reader = Reader(folder, "collector")

    def collect(self) -> int:
        """Store all that was logged when this was called; how many entries.

        What is logged meanwhile may wait for the next call: steady traffic must not hold up the looks.
        """
        count, ends = 0, self._ends()
        while batches := list(self.reader.batches()):
            for batch in batches:
                count += self._store(batch)
                self.reader.acknowledge(batch)
            if self._reached(ends):
                break
        return count

    def _ends(self) -> dict[str, tuple[int, int]]:
        """Segment and size that each writer has come to."""
        lasts = {folder: max(numbers(folder), default=0) for folder in writers(self._folder)}
        return {folder.name: (last, size(folder, last)) for folder, last in lasts.items()}

    def _reached(self, ends: dict[str, tuple[int, int]]) -> bool:
        positions = self.reader.places.positions
        for writer, end in ends.items():
            place = positions.get(writer, Position())
            if (place.segment, place.offset) < end and (self._folder / writer).exists():
                return False
        return True

    def _store(self, batch: Batch) -> int:
        entries, damaged = _decoded(batch)
        events = [entry for entry in entries if isinstance(entry, Event)]
        labels = [entry for entry in entries if isinstance(entry, Label)]
        name = f"{batch.writer}-{batch.segment:08d}-{batch.start:012d}"
        if events:
            self._lake.write_events(name, events)
        if labels:
            self._lake.write_labels(name, labels, max(self._vitals.newest.values(), default=0.0))
        counts = _counts(events, labels, damaged + batch.damaged)
        newest, seen = _clocks(events)
        with self._state.transaction():
            added = self._state.save_batch(self._kind, batch, counts)
            self._state.save_clocks(newest, seen)
            for model, version, at in _champions(events):
                self._state.answers(model, version, at)
        self._vitals.saw(events, [entry for entry in entries if isinstance(entry, Heartbeat)], newest, seen)
        self._vitals.add(self._kind, added)
        return len(entries)


def _decoded(batch: Batch) -> tuple[list[Any], int]:
    entries, damaged = [], 0
    for payload in batch.payloads:
        try:
            entries.append(_dated(decode(payload)))
        except CorruptData as error:
            damaged += 1
            log.error("%s %s: %s", batch.writer, batch.segment, error)  # noqa: TRY400 - the text says it all
    return entries, damaged


def _dated(entry: Any) -> Any:
    """Refuse what no day of the lake can take: stored it cannot be, and the log must not stand still before it."""
    at = entry.known if isinstance(entry, Label) else entry.time
    if not 0 <= at < LATEST:
        raise CorruptData("event log", f"{type(entry).__name__} without a date", expected="Unix seconds", got=str(at))
    return entry


def _counts(events: list[Event], labels: list[Label], damaged: int) -> dict[str, int]:
    """Counts by key; keys of events are ``event|model|status``."""
    counts = {"labels": len(labels), "damaged": damaged, "rows": sum(event.rows for event in events)}
    for event in events:
        key = f"event|{event.model}|{event.status}"
        counts[key] = counts.get(key, 0) + 1
    return {key: value for key, value in counts.items() if value}


def _clocks(events: list[Event]) -> tuple[dict[str, float], dict[str, float]]:
    """By model, the newest event time, and the wall clock of the last request.

    Event time follows answers alone: a request that is refused before its time was read carries its arrival, which in
    a replay of the past lies years ahead, and the looks between would be lost.
    """
    newest: dict[str, float] = {}
    seen: dict[str, float] = {}
    for event in events:
        seen[event.model] = max(event.recorded, seen.get(event.model, 0.0))
        if _tells_time(event):
            newest[event.model] = max(event.time, newest.get(event.model, 0.0))
    return newest, seen


def _tells_time(event: Event) -> bool:
    return event.status == "ok" and event.time <= event.recorded + AHEAD_SECONDS


def _champions(events: list[Event]) -> list[tuple[str, str, float]]:
    """Model, version and time of the first event of each run of one version, champions alone."""
    found: list[tuple[str, str, float]] = []
    last: dict[str, str] = {}
    for event in events:
        if _tells_time(event) and event.role == "champion" and last.get(event.model) != event.version:
            last[event.model] = event.version
            found.append((event.model, event.version, event.time))
    return found
