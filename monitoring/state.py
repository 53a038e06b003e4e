"""What the sidecar must remember over its own death: one SQLite file, written in transactions."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from staytrue.alerts import Alert
from staytrue.records import Record
from staytrue.verdicts import RetrainJob, Verdict
from staytrue.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

R = TypeVar("R", bound=Record)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
    log TEXT, writer TEXT, segment INTEGER, start INTEGER, counts TEXT, newest TEXT,
    PRIMARY KEY (log, writer, segment, start));
CREATE TABLE IF NOT EXISTS answering (
    model TEXT, since REAL, version TEXT, PRIMARY KEY (model, since));
CREATE TABLE IF NOT EXISTS looked (model TEXT PRIMARY KEY, until REAL);
CREATE TABLE IF NOT EXISTS windows (
    model TEXT, "end" REAL, record BLOB, PRIMARY KEY (model, "end"));
CREATE TABLE IF NOT EXISTS streaks (
    model TEXT, kind TEXT, version TEXT, above INTEGER, below INTEGER, PRIMARY KEY (model, kind));
CREATE TABLE IF NOT EXISTS alerts (
    fingerprint TEXT, starts TEXT, model TEXT, kind TEXT, active INTEGER, record BLOB,
    PRIMARY KEY (fingerprint, starts));
CREATE TABLE IF NOT EXISTS outbox (
    id TEXT PRIMARY KEY, url TEXT, body BLOB, attempts INTEGER, due REAL, state TEXT, error TEXT);
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, created REAL, record BLOB, verdict BLOB);
"""


class State:
    """The tables and the few questions asked of them. Safe for several threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block or nothing; a block within a block is part of the outer one."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def execute(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement; its rows."""
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # What was collected. A batch that is read again after a kill replaces itself, so nothing counts twice.

    def save_batch(self, place: tuple[str, str, int, int], counts: dict[str, int], newest: dict[str, float]) -> None:
        """Remember what a batch of a log held: counts by key, and the newest event time by model."""
        sql = "INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?, ?, ?)"
        self.execute(sql, *place, json.dumps(counts), json.dumps(newest))

    def totals(self, log: str) -> dict[str, int]:
        """Counts of all batches of a log."""
        total: dict[str, int] = {}
        for (text,) in self.execute("SELECT counts FROM batches WHERE log = ?", log):
            for key, value in json.loads(text).items():
                total[key] = total.get(key, 0) + value
        return total

    def newest(self) -> dict[str, float]:
        """Newest event time by model."""
        result: dict[str, float] = {}
        for (text,) in self.execute("SELECT newest FROM batches"):
            for model, value in json.loads(text).items():
                result[model] = max(value, result.get(model, 0.0))
        return result

    # Who answered.

    def answers(self, model: str, version: str, at: float) -> None:
        """Note that a version answered as champion at an event time; changes nothing while it stays the same."""
        row = self.execute("SELECT version FROM answering WHERE model = ? ORDER BY since DESC LIMIT 1", model)
        if not row or row[0][0] != version:
            self.execute("INSERT OR REPLACE INTO answering VALUES (?, ?, ?)", model, at, version)

    def champion_at(self, model: str, at: float) -> tuple[str, float] | None:
        """The version that answered as champion just before an event time, and since when."""
        sql = "SELECT version, since FROM answering WHERE model = ? AND since < ? ORDER BY since DESC LIMIT 1"
        rows = self.execute(sql, model, at)
        return (str(rows[0][0]), float(rows[0][1])) if rows else None

    def first_answer(self, model: str) -> float | None:
        """Event time of the first answer of a model."""
        rows = self.execute("SELECT min(since) FROM answering WHERE model = ?", model)
        return None if rows[0][0] is None else float(rows[0][0])

    # Looks.

    def looked_until(self, model: str) -> float | None:
        """End of the last look."""
        rows = self.execute("SELECT until FROM looked WHERE model = ?", model)
        return float(rows[0][0]) if rows else None

    def save_window(self, window: Window) -> None:
        """Keep what a look found, and that it was taken."""
        blob = msgspec.json.encode(window)
        self.execute("INSERT OR REPLACE INTO windows VALUES (?, ?, ?)", window.model, window.end, blob)
        self.execute("INSERT OR REPLACE INTO looked VALUES (?, ?)", window.model, window.end)

    def skip_to(self, model: str, until: float) -> None:
        """Remember where looks begin."""
        self.execute("INSERT OR REPLACE INTO looked VALUES (?, ?)", model, until)

    def windows(self, model: str, after: float = 0.0) -> list[Window]:
        """Looks whose end is after an event time, oldest first."""
        sql = 'SELECT record FROM windows WHERE model = ? AND "end" > ? ORDER BY "end"'
        return _decoded(Window, self.execute(sql, model, after))

    def last_window(self, model: str) -> Window | None:
        """The newest look."""
        found = _decoded(
            Window, self.execute('SELECT record FROM windows WHERE model = ? ORDER BY "end" DESC LIMIT 1', model)
        )
        return found[0] if found else None

    # Alerts.

    def save_alert(self, model: str, kind: str, alert: Alert) -> None:
        """Keep an alert, firing or resolved."""
        self.execute(
            "INSERT OR REPLACE INTO alerts VALUES (?, ?, ?, ?, ?, ?)",
            alert.fingerprint,
            alert.starts_at,
            model,
            kind,
            int(alert.status == "firing"),
            msgspec.json.encode(alert),
        )

    def active(self, model: str | None = None, kind: str | None = None) -> list[Alert]:
        """Alerts that fire."""
        sql = "SELECT record FROM alerts WHERE active = 1 AND model = coalesce(?, model) AND kind = coalesce(?, kind)"
        return _decoded(Alert, self.execute(sql, model, kind))

    def alerts(self) -> list[Alert]:
        """All alerts there were, oldest first."""
        return _decoded(Alert, self.execute("SELECT record FROM alerts ORDER BY starts, fingerprint"))

    # Jobs.

    def save_job(self, job: RetrainJob, verdict: Verdict | None = None) -> None:
        """Keep a job, and its verdict once there is one."""
        blob = msgspec.json.encode(verdict) if verdict else None
        sql = "INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?)"
        self.execute(sql, job.id, job.created, msgspec.json.encode(job), blob)

    def jobs(self) -> list[tuple[RetrainJob, Verdict | None]]:
        """All jobs, oldest first."""
        rows = self.execute("SELECT record, verdict FROM jobs ORDER BY created")
        return [
            (msgspec.json.decode(a, type=RetrainJob), msgspec.json.decode(b, type=Verdict) if b else None)
            for a, b in rows
        ]


def _decoded(kind: type[R], rows: list[tuple[Any, ...]]) -> list[R]:
    return [msgspec.json.decode(row[0], type=kind) for row in rows]
