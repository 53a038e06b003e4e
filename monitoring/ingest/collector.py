"""The collector: reads a log from where it last acknowledged, stores, then acknowledges: each entry stored once.

A kill between storing and acknowledging makes the batch come again from the same place, perhaps longer; file names and
table keys are that place, so the second storing replaces the first.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from staytrue.errors import CorruptData
from staytrue.eventlog import Batch, Reader
from staytrue.events import Event, Heartbeat, Label, decode

if TYPE_CHECKING:
    from pathlib import Path

    from monitoring.display.vitals import Vitals
    from monitoring.ingest.lake import Lake
    from monitoring.state import State

log = logging.getLogger(__name__)
EVENTS, LABELS = "events", "labels"


class Collector:
    """Follows one log into the lake.

    Args:
        kind: ``events`` or ``labels``: the log's name in the state.
        folder: the log.
    """

    def __init__(self, kind: str, folder: Path, lake: Lake, state: State, vitals: Vitals) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._kind, self._lake, self._state, self._vitals = kind, lake, state, vitals
        self.reader = Reader(folder, "collector")

    def collect(self) -> int:
        """Store all that is new; how many entries."""
        count = 0
        while batches := list(self.reader.batches()):
            for batch in batches:
                count += self._store(batch)
                self.reader.acknowledge(batch)
        return count

    def _store(self, batch: Batch) -> int:
        entries, damaged = _decoded(batch)
        events = [entry for entry in entries if isinstance(entry, Event)]
        labels = [entry for entry in entries if isinstance(entry, Label)]
        name = f"{batch.writer}-{batch.segment:08d}-{batch.start:012d}"
        if events:
            self._lake.write_events(name, events)
        if labels:
            self._lake.write_labels(name, labels)
        counts = _counts(events, labels, damaged + batch.damaged)
        newest: dict[str, float] = {}
        for event in events:
            newest[event.model] = max(event.time, newest.get(event.model, 0.0))
        with self._state.transaction():
            self._state.save_batch((self._kind, batch.writer, batch.segment, batch.start), counts, newest)
            for model, version, at in _champions(events):
                self._state.answers(model, version, at)
        self._vitals.saw(events, [entry for entry in entries if isinstance(entry, Heartbeat)], newest)
        self._vitals.add(self._kind, counts)
        return len(entries)


def _decoded(batch: Batch) -> tuple[list[Any], int]:
    entries, damaged = [], 0
    for payload in batch.payloads:
        try:
            entries.append(decode(payload))
        except CorruptData as error:
            damaged += 1
            log.error("%s %s: %s", batch.writer, batch.segment, error)  # noqa: TRY400 - the text says it all
    return entries, damaged


def _counts(events: list[Event], labels: list[Label], damaged: int) -> dict[str, int]:
    """Counts by key; keys of events are ``event|model|status``."""
    counts = {"labels": len(labels), "damaged": damaged, "rows": sum(event.rows for event in events)}
    for event in events:
        key = f"event|{event.model}|{event.status}"
        counts[key] = counts.get(key, 0) + 1
    return {key: value for key, value in counts.items() if value}


def _champions(events: list[Event]) -> list[tuple[str, str, float]]:
    """Model, version and time of the first event of each run of one version, champions alone."""
    found: list[tuple[str, str, float]] = []
    last: dict[str, str] = {}
    for event in events:
        if event.status == "ok" and event.role == "champion" and last.get(event.model) != event.version:
            last[event.model] = event.version
            found.append((event.model, event.version, event.time))
    return found
