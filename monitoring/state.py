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

    from staytrue.readers import Batch

R = TypeVar("R", bound=Record)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS last_batches (
    log TEXT, writer TEXT, segment INTEGER, start INTEGER, counts TEXT, PRIMARY KEY (log, writer));
CREATE TABLE IF NOT EXISTS totals (log TEXT, key TEXT, value INTEGER, PRIMARY KEY (log, key));
CREATE TABLE IF NOT EXISTS watermarks (model TEXT PRIMARY KEY, event_time REAL);
CREATE TABLE IF NOT EXISTS traffic (model TEXT PRIMARY KEY, seen REAL);
CREATE TABLE IF NOT EXISTS answering (
    model TEXT, since REAL, version TEXT, PRIMARY KEY (model, since));
CREATE TABLE IF NOT EXISTS attempts (model TEXT PRIMARY KEY, "end" REAL, count INTEGER, running INTEGER);
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
CREATE TABLE IF NOT EXISTS posts (key TEXT PRIMARY KEY, received REAL);
CREATE TABLE IF NOT EXISTS calls (
    fingerprint TEXT, starts TEXT, model TEXT, state TEXT, record BLOB, PRIMARY KEY (fingerprint, starts));
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

    def save_batch(self, log: str, batch: Batch, counts: dict[str, int]) -> dict[str, int]:
        """Remember what a batch of a log held; what it adds to the totals: less, where it had come before.

        Only the last batch of a writer can come again, perhaps longer: the one before was acknowledged, and joins the
        totals. So this table stays small however long the sidecar runs.
        """
        sql = "SELECT segment, start, counts FROM last_batches WHERE log = ? AND writer = ?"
        again: dict[str, int] = {}
        for segment, start, before in self.execute(sql, log, batch.writer):
            if (segment, start) == (batch.segment, batch.start):
                again = json.loads(before)
            else:
                self._add(log, json.loads(before))
        values = (log, batch.writer, batch.segment, batch.start, json.dumps(counts))
        self.execute("INSERT OR REPLACE INTO last_batches VALUES (?, ?, ?, ?, ?)", *values)
        return {key: counts.get(key, 0) - again.get(key, 0) for key in counts | again}

    def _add(self, log: str, counts: dict[str, int]) -> None:
        sql = "INSERT INTO totals VALUES (?, ?, ?) ON CONFLICT (log, key) DO UPDATE SET value = value + excluded.value"
        for key, value in counts.items():
            self.execute(sql, log, key, value)

    def totals(self, log: str) -> dict[str, int]:
        """Counts of all batches of a log."""
        total = {
            str(key): int(value) for key, value in self.execute("SELECT key, value FROM totals WHERE log = ?", log)
        }
        for (text,) in self.execute("SELECT counts FROM last_batches WHERE log = ?", log):
            for key, value in json.loads(text).items():
                total[key] = total.get(key, 0) + value
        return total

    def save_clocks(self, newest: dict[str, float], seen: dict[str, float]) -> None:
        """Move on, by model, the newest event time and the wall clock of the last request. They never go back."""
        for model, at in newest.items():
            sql = "INSERT INTO watermarks VALUES (?, ?) ON CONFLICT (model) DO UPDATE "
            self.execute(sql + "SET event_time = max(event_time, excluded.event_time)", model, at)
        for model, at in seen.items():
            sql = "INSERT INTO traffic VALUES (?, ?) ON CONFLICT (model) DO UPDATE "
            self.execute(sql + "SET seen = max(seen, excluded.seen)", model, at)

    def newest(self) -> dict[str, float]:
        """Newest event time by model."""
        return {str(model): float(at) for model, at in self.execute("SELECT model, event_time FROM watermarks")}

    def seen(self) -> dict[str, float]:
        """Wall clock of the last request by model, as the server wrote it."""
        return {str(model): float(at) for model, at in self.execute("SELECT model, seen FROM traffic")}

    # Who answered.

    def answers(self, model: str, version: str, at: float) -> None:
        """Note that a version answered as champion at an event time; changes nothing where that is known already."""
        sql = "SELECT version FROM answering WHERE model = ? AND since <= ? ORDER BY since DESC LIMIT 1"
        if self.execute(sql, model, at) == [(version,)]:
            return
        later = "SELECT since, version FROM answering WHERE model = ? AND since > ? ORDER BY since LIMIT 1"
        for since, same in self.execute(later, model, at):
            if same == version:  # events came out of order: it began earlier than it seemed
                self.execute("DELETE FROM answering WHERE model = ? AND since = ?", model, since)
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

    def begin_look(self, model: str, end: float, death: int) -> int:
        """Note that a look begins; how many attempts at it there were. One that a kill ended counts for ``death``."""
        rows = self.execute('SELECT "end", count, running FROM attempts WHERE model = ?', model)
        before, running = (int(rows[0][1]), bool(rows[0][2])) if rows and rows[0][0] == end else (0, False)
        count = before + (death if running else 0)
        self.execute("INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, 1)", model, end, count)
        return count

    def attempts(self, model: str) -> int:
        """How often the look that was begun last has failed."""
        return int(self.execute("SELECT count FROM attempts WHERE model = ?", model)[0][0])

    def end_look(self, model: str, *, failed: bool) -> None:
        """Note that a look ended, by itself."""
        self.execute("UPDATE attempts SET running = 0, count = count + ? WHERE model = ?", int(failed), model)

    def save_window(self, window: Window) -> None:
        """Keep what a look found, and that it was taken."""
        blob = msgspec.msgpack.encode(window)  # which, unlike JSON, keeps NaN and infinity
        self.execute("INSERT OR REPLACE INTO windows VALUES (?, ?, ?)", window.model, window.end, blob)
        self.execute("INSERT OR REPLACE INTO looked VALUES (?, ?)", window.model, window.end)

    def skip_to(self, model: str, until: float) -> None:
        """Remember where looks begin."""
        self.execute("INSERT OR REPLACE INTO looked VALUES (?, ?)", model, until)

    def windows(self, model: str, after: float = 0.0) -> list[Window]:
        """Looks whose end is after an event time, oldest first."""
        sql = 'SELECT record FROM windows WHERE model = ? AND "end" > ? ORDER BY "end"'
        return [msgspec.msgpack.decode(row[0], type=Window) for row in self.execute(sql, model, after)]

    def last_windows(self, model: str, count: int) -> list[Window]:
        """The newest looks, oldest first."""
        sql = 'SELECT record FROM windows WHERE model = ? ORDER BY "end" DESC LIMIT ?'
        return [msgspec.msgpack.decode(row[0], type=Window) for row in reversed(self.execute(sql, model, count))]

    def last_window(self, model: str) -> Window | None:
        """The newest look."""
        return next(iter(self.last_windows(model, 1)), None)

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

    # Alerts of others that call for a retraining.

    def save_post(self, key: str, received: float) -> bool:
        """Remember what was posted; whether it is new."""
        sql = "INSERT INTO posts VALUES (?, ?) ON CONFLICT (key) DO NOTHING RETURNING key"
        return bool(self.execute(sql, key, received))

    def forget_posts(self, before: float) -> None:
        """Forget what was posted before a time."""
        self.execute("DELETE FROM posts WHERE received < ?", before)

    def save_call(self, model: str, alert: Alert) -> None:
        """Let an alert call for a retraining, or call no more. One that has ended or was heard does not call again."""
        state = "standing" if alert.status == "firing" else "ended"
        sql = "INSERT INTO calls VALUES (?, ?, ?, ?, ?) ON CONFLICT (fingerprint, starts) DO UPDATE "
        sql += "SET state = excluded.state WHERE state = 'standing'"
        self.execute(sql, alert.fingerprint, alert.starts_at, model, state, msgspec.json.encode(alert))

    def calls(self, model: str) -> list[Alert]:
        """Alerts that call for a retraining of a model and were not heard yet."""
        sql = "SELECT record FROM calls WHERE model = ? AND state = 'standing' ORDER BY starts, fingerprint"
        return _decoded(Alert, self.execute(sql, model))

    def hear(self, model: str) -> None:
        """A job was made: what called for one of the model calls no more."""
        self.execute("UPDATE calls SET state = 'heard' WHERE model = ? AND state = 'standing'", model)

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
