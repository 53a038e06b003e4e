"""Pairs of CloudEvents: a request and its answer, whichever comes first, become one Event, stored once.

Halves wait in ``cloudevents.sqlite``, so that they outlive this process; events go to ``cloudevents-log``, which a
collector follows as it follows the server's own. An event is written to the file with its halves' end, then to the log,
then noted as logged: what a kill leaves between is looked for in the log at the next start.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections import Counter
from typing import TYPE_CHECKING, Literal

from monitoring.ingest import payloads
from monitoring.ingest.cloudevents import Half, read
from monitoring.ingest.collector import EVENTS, Collector
from staytrue.errors import CorruptData, InvalidInput, Overloaded, StaytrueError, Unavailable
from staytrue.eventlog import Writer
from staytrue.events import Event, Tensor, decode, encode
from staytrue.segments import numbers, read_from, seed_of, segment, writers
from staytrue.shelf import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from monitoring.display.vitals import Vitals
    from monitoring.ingest.lake import Lake
    from monitoring.state import State
    from staytrue.bundle import Bundle
    from staytrue.events import Role
    from staytrue.signature import Signature
    from staytrue.store import Aliases, Store

WAIT_SECONDS = 300.0
"""A half that has waited so long is alone: longer than KServe lets a request take."""
REMEMBER_SECONDS = 3600.0
"""What comes again within so long is known to have come before."""
MOST_BYTES = 1024**3
"""Of what waits."""
_PIECE_BYTES = 16 * 1024 * 1024
"""Of the log, which are read at once."""
LONGEST_SECONDS = 3600.0
"""Two halves further apart say nothing of how long the answer took."""

Outcome = Literal["waiting", "paired", "duplicate"]
OUTCOMES = ("paired", "duplicate", "alone", "refused")
"""What is counted; ``alone``: given up, as no other half came."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS halves (
    model TEXT, id TEXT, side TEXT, time REAL, canary INTEGER, received REAL, data BLOB,
    PRIMARY KEY (model, id, side));
CREATE INDEX IF NOT EXISTS halves_received ON halves (received);
CREATE TABLE IF NOT EXISTS events (model TEXT, id TEXT, done REAL, record BLOB, PRIMARY KEY (model, id));
CREATE INDEX IF NOT EXISTS events_done ON events (done);
CREATE INDEX IF NOT EXISTS events_ready ON events (id) WHERE record IS NOT NULL;
"""
_ALONE = {
    "request": ("unavailable", "no answer came: KServe logs those of status 200 alone"),
    "response": ("invalid_input", "its request did not come, or was refused"),
}


class PairDesk:
    """Takes halves from several threads; collects in one.

    Args:
        folder: the sidecar's.
    """

    def __init__(
        self, folder: Path, store: Store, lake: Lake, state: State, vitals: Vitals, *, most_bytes: int = MOST_BYTES
    ) -> None:
        self._store, self._clock, self._most = store, vitals.clock, most_bytes
        self._log = folder / "cloudevents-log"
        self.collector = Collector(EVENTS, self._log, lake, state, vitals)
        self.outcomes: Counter[str] = Counter()
        """Since the start, by ``OUTCOMES``."""
        self._bundles: dict[tuple[str, str], Bundle] = {}
        self._unnoted: set[int] = set()
        """Logged, but the file refused to take note."""
        self._lock = threading.RLock()
        self._db = sqlite3.connect(folder / "cloudevents.sqlite", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        self._recover()
        self._bytes = self._measure()
        self._writer = Writer(self._log)

    def accept(self, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Store a half, and the whole once both are there. When it returns they outlive this process.

        Raises:
            InvalidInput: no CloudEvent, or its payload is not as the model's signature says.
            NotFound: no such model in the store.
            Overloaded: too much waits.
            Unavailable: the disk refuses.
        """
        try:
            outcome = self._accept(read(headers, body))
        except StaytrueError:
            self.outcomes["refused"] += 1
            raise
        self.outcomes[outcome] += 1
        return outcome

    def collect(self) -> int:
        """Give up halves that are alone, and collect all events; how many entries."""
        with self._lock:
            self._give_up()
            self._flush()
            with self._transaction():
                before = self._clock() - REMEMBER_SECONDS
                self._db.execute("DELETE FROM events WHERE done < ? AND record IS NULL", (before,))
            self._bytes = self._measure()
        return self.collector.collect()

    def waiting(self) -> int:
        """Halves that wait for the other."""
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM halves").fetchone()[0])

    def close(self) -> None:
        """Let go of log and file."""
        self._writer.close()
        self._db.close()

    def _accept(self, half: Half) -> Outcome:
        aliases = self._store.aliases(half.model)
        told = payloads.decoded(half.data, half.side)
        self._check(half, told, aliases)
        with self._lock:
            if self._bytes + len(half.data) > self._most:
                hint = "does the logger send both sides (mode: all)?"
                raise Overloaded("halves", expected=f"at most {self._most} bytes that wait", got="more", hint=hint)
            with self._transaction():
                outcome = self._store_half(half, aliases)
            if outcome == "paired":
                with contextlib.suppress(Unavailable):  # it is in the file, and each tick tries the log again
                    self._flush()
        return outcome

    def _check(self, half: Half, told: dict[str, object], aliases: Aliases) -> payloads.Payload:
        """Read one half by itself."""
        if half.side == "request":
            return payloads.asked(told, self._signature(half.model, aliases.champion))
        version = self._version(half.model, told, aliases)
        return payloads.answered(told, self._signature(half.model, version))

    def _store_half(self, half: Half, aliases: Aliases) -> Outcome:
        key = (half.model, half.id)
        if self._db.execute("SELECT 1 FROM events WHERE model = ? AND id = ?", key).fetchone():
            return "duplicate"
        sql = "SELECT side, time, canary, received, data FROM halves WHERE model = ? AND id = ?"
        there = {row[0]: row[1:] for row in self._db.execute(sql, key)}
        if half.side in there:
            return "duplicate"
        now = self._clock()
        if not there:
            values = (*key, half.side, half.time, int(half.canary), now, half.data)
            self._db.execute("INSERT INTO halves VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            self._bytes += len(half.data)
            return "waiting"
        ((side, (at, canary, received, data)),) = there.items()
        other = Half(id=half.id, side=side, model=half.model, time=at, canary=bool(canary), data=data)
        asked, answered = (half, other) if half.side == "request" else (other, half)
        self._settle(self._event(asked, answered, min(now, received), aliases))
        return "paired"

    def _event(self, asked: Half, answered: Half, received: float, aliases: Aliases) -> Event:
        """Both halves as one, by the signature of the version that answered."""
        told = payloads.decoded(answered.data, answered.side)
        version = self._version(asked.model, told, aliases)
        signature = self._signature(asked.model, version)
        given = payloads.asked(payloads.decoded(asked.data, asked.side), signature)
        made = payloads.answered(told, signature)
        if given.rows != made.rows:
            hint = "are both halves of one call?"
            raise InvalidInput("response", expected=f"{given.rows} rows", got=f"{made.rows} rows", hint=hint)
        shares = asked.canary or version == aliases.challenger or version in aliases.traffic
        role: Role = "challenger" if shares else "champion"
        took = answered.time - asked.time if answered.time is not None and asked.time is not None else 0.0
        inputs = [Tensor.of(s.name, s.datatype, given.tensors[s.name]) for s in signature.inputs]
        named = [spec for spec in signature.outputs if spec.name in made.tensors]
        outputs = [Tensor.of(s.name, s.datatype, made.tensors[s.name]) for s in named]
        return Event(
            id=asked.id,
            time=next((at for at in (asked.time, answered.time) if at is not None), received),
            recorded=self._clock(),
            request_id=given.id,
            model=asked.model,
            version=version,
            role=role,
            protocol="cloudevents",
            rows=given.rows,
            run_seconds=took if 0 < took < LONGEST_SECONDS else 0.0,
            inputs=inputs,
            outputs=outputs,
        )

    def _give_up(self) -> None:
        """Make failed events of halves that have waited too long."""
        sql = "SELECT model, id, side, time, received FROM halves WHERE received < ?"
        for model, name, side, at, received in self._db.execute(sql, (self._clock() - WAIT_SECONDS,)).fetchall():
            status, error = _ALONE[side]
            event = Event(
                id=name,
                time=received if at is None else at,
                recorded=self._clock(),
                model=model,
                protocol="cloudevents",
                status=status,
                error=error,
            )
            with self._transaction():
                self._settle(event)
            self.outcomes["alone"] += 1

    def _settle(self, event: Event) -> None:
        """The event in place of its halves. Call within a transaction."""
        values = (event.model, event.id, self._clock(), encode(event))
        self._db.execute("INSERT INTO events VALUES (?, ?, ?, ?)", values)
        self._db.execute("DELETE FROM halves WHERE model = ? AND id = ?", (event.model, event.id))

    def _flush(self) -> None:
        """Log what is not logged yet, and note it, before anybody else logs: so it is in the last segment."""
        rows = self._db.execute("SELECT rowid, record FROM events WHERE record IS NOT NULL").fetchall()
        for row, record in rows:
            if row not in self._unnoted:
                self._writer.append([record])
                self._unnoted.add(row)
            with self._transaction():
                self._db.execute("UPDATE events SET record = NULL WHERE rowid = ?", (row,))
            self._unnoted.discard(row)

    def _recover(self) -> None:
        """Note as logged what a kill left logged and not noted."""
        ready = self._db.execute("SELECT rowid, model, id FROM events WHERE record IS NOT NULL").fetchall()
        if not ready:
            return
        logged = set(self._logged())
        for row, model, name in ready:
            if (model, name) in logged:
                self._db.execute("UPDATE events SET record = NULL WHERE rowid = ?", (row,))

    def _logged(self) -> Iterator[tuple[str, str]]:
        """Models and ids of all events in the log."""
        for folder in writers(self._log):
            for number in numbers(folder):
                at, path, seed = 0, segment(folder, number), seed_of(folder.name)
                while (found := read_from(path, at, _PIECE_BYTES, seed)).end:
                    at += found.end
                    for payload in found.payloads:
                        with contextlib.suppress(CorruptData):
                            entry = decode(payload)
                            if isinstance(entry, Event):
                                yield entry.model, entry.id

    def _version(self, model: str, told: dict[str, object], aliases: Aliases) -> str:
        """The version that the answer names, if it is one of the store's, or the champion."""
        named, store = str(told.get("model_version", "")), self._store
        if not VERSION.fullmatch(named):
            return aliases.champion
        known = named in store.glance(model) or named in store.versions(model)  # of one that is new the latter
        return named if known else aliases.champion

    def _signature(self, model: str, version: str) -> Signature:
        bundle = self._bundles.get((model, version))
        if bundle is None:
            bundle = self._bundles[model, version] = self._store.load(model, version)
        return bundle.signature

    def _measure(self) -> int:
        sql = "SELECT (SELECT coalesce(sum(length(data)), 0) FROM halves) + "
        sql += "(SELECT coalesce(sum(length(record)), 0) FROM events WHERE record IS NOT NULL)"
        return int(self._db.execute(sql).fetchone()[0])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise Unavailable('file "cloudevents.sqlite"', f"cannot be written: {error}") from error
