"""Everything that the demo saw, gathered for timeline, report and claims."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb

from examples.bikeshare.demo.stream import day
from staytrue.events import Event, decode
from staytrue.readers import Reader
from staytrue.records import seconds_of

if TYPE_CHECKING:
    from pathlib import Path

    from examples.bikeshare.demo.year import Year


@dataclass(frozen=True)
class Counts:
    """The books, each kept by somebody else: the client, a reader of the event log, the sidecar's lake."""

    answered: int
    logged: int
    collected: int
    same_events: bool
    labelled: int
    labels_collected: int
    same_labels: bool
    protocols: dict[str, list[int]]
    """Answered, logged and collected of each protocol."""


@dataclass
class Auditor:
    """A second reader of the event log, independent of the collector: what was logged, by id."""

    log: Path
    ids: list[str] = field(default_factory=list)
    protocols: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._reader = Reader(self.log, "audit")

    def read(self) -> None:
        """Read what is new."""
        while batches := list(self._reader.batches()):
            for batch in batches:
                events = [entry for entry in map(decode, batch.payloads) if isinstance(entry, Event)]
                self.ids += [event.id for event in events]
                self.protocols.update(event.protocol for event in events)
                self._reader.acknowledge(batch)

    def leave(self) -> None:
        """Go: a reader that stays and reads no more would keep every segment."""
        (self.log / "readers" / "audit.json").unlink()


def lake_ids(monitoring: Path) -> list[str]:
    """Ids of all collected requests, read from the Parquet files themselves."""
    files = str(monitoring / "lake" / "events" / "**" / "*.parquet")
    sql = "SELECT event_id FROM read_parquet($files, union_by_name=true) WHERE row = 0"
    with duckdb.connect() as lake:
        return [str(row[0]) for row in lake.execute(sql, {"files": files}).fetchall()]


def lake_protocols(monitoring: Path) -> Counter[str]:
    """How many collected requests came by each protocol."""
    files = str(monitoring / "lake" / "events" / "**" / "*.parquet")
    sql = "SELECT protocol, count(*) FROM read_parquet($files, union_by_name=true) WHERE row = 0 GROUP BY protocol"
    with duckdb.connect() as lake:
        return Counter({str(name): int(count) for name, count in lake.execute(sql, {"files": files}).fetchall()})


def lake_labels(monitoring: Path) -> list[str]:
    """Ids of the events that have a label in the lake."""
    files = str(monitoring / "lake" / "labels" / "**" / "*.parquet")
    sql = "SELECT event_id FROM read_parquet($files, union_by_name=true)"
    with duckdb.connect() as lake:
        return [str(row[0]) for row in lake.execute(sql, {"files": files}).fetchall()]


@dataclass(frozen=True)
class Story:
    """The year as it went."""

    year: Year
    alerts: list[dict[str, Any]]
    jobs: list[dict[str, Any]]
    windows: list[dict[str, Any]]
    delivered: list[dict[str, Any]]
    refused: int
    failures: list[str]
    counts: Counts
    reports: list[dict[str, Any]]

    def timeline(self) -> list[tuple[float, str]]:
        """What happened when, in order of event time."""
        lines = [(seconds_of(a["startsAt"]), "ALARM    " + a["annotations"].get("summary", "")) for a in self.alerts]
        lines += [
            (seconds_of(a["endsAt"]), f"resolved {a['labels']['alertname']}")
            for a in self.alerts
            if a["status"] == "resolved"
        ]
        for item in self.jobs:
            lines.append((item["job"]["event_time"], f"RETRAIN  {item['job']['id']}"))
            if item["verdict"]:
                lines.append((item["verdict"]["decided"] + 1, "GATE     " + _verdict(item["verdict"])))
        lines += [(at, f"PROMOTED version {version} answers from here on") for at, version in self.year.promotions()]
        return sorted(lines, key=lambda line: line[0])

    def text(self) -> str:
        """The timeline and the errors, for a person."""
        lines = ["", "The year, day by day"]
        lines += [f"  {day(at):>7}  {what}" for at, what in self.timeline()]
        lines += ["", "Mean absolute error, bikes an hour", f"  {'':36}{'kept true':>10}{'left alone':>12}"]
        lines += [f"  {name:36}{kept:10.1f}{alone:12.1f}" for name, (kept, alone) in self.year.phases().items()]
        return "\n".join(lines)


def _verdict(verdict: dict[str, Any]) -> str:
    return (
        f"challenger {verdict['challenger']} {'passes' if verdict['promote'] else 'is refused'}, "
        f"{verdict['reason'].split(':')[0].split(',')[0]}: "
        f"{verdict['champion_error']:.1f} -> {verdict['challenger_error']:.1f} on {verdict['rows']} unseen rows, "
        f"difference {verdict['difference']:+.1f} [{verdict['low']:+.1f}, {verdict['high']:+.1f}]"
    )
