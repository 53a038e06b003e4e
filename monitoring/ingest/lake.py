"""The lake: Parquet files by model and day of event time, which anything can read; and the questions asked of it.

``events/model=NAME/day=YYYY-MM-DD/*.parquet`` holds a row for each row of a request: who and when, then ``input_NAME``
and ``output_NAME``. ``labels/day=YYYY-MM-DD/*.parquet`` holds the truth by the day on which it became known. Labels
known on an earlier day than the newest event at their coming are in ``backdated`` once more, by that event's day: one
whose ``known`` is before its own event, be it by years, is found there.
A file's name is the place in the log that it begins at, so reading a place again replaces it; ``merged`` files hold
what several of them held.
"""

from __future__ import annotations

import datetime
import os
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from monitoring.ingest.columns import empty, wanted, window_rows
from monitoring.ingest.compaction import FAN, Compaction
from monitoring.ingest.entries import event_rows, label_row
from staytrue.records import DAY_SECONDS, fsync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from monitoring.analysis.rows import WindowRows
    from staytrue.events import Event, Label
    from staytrue.signature import Signature

_NAMES = "DESCRIBE SELECT * FROM read_parquet($files, union_by_name=true, hive_partitioning=false)"
LABEL_DAYS, EVENT_DAYS = 30, 60
"""Labels of so many days are looked for among the events of so many."""
UNKNOWN = "_unknown"
"""Where events of requests for models that are not served go."""


class Lake:
    """Writes and reads one lake. Writing is one thread's; reading may be another's."""

    def __init__(self, root: Path, fan: int = FAN) -> None:
        self.root = root
        self._compaction = Compaction(root, write_table, fan)
        self._db = duckdb.connect()
        self._lock = threading.Lock()

    def write_events(self, name: str, events: list[Event]) -> None:
        """Store events under the name of their place in the log."""
        groups: dict[tuple[str, str], list[Event]] = defaultdict(list)
        for event in events:
            groups[event.model or UNKNOWN, day_of(event.time)].append(event)
        for (model, day), some in groups.items():
            rows = [row for event in some for row in event_rows(event)]
            self._write(self.root / "events" / f"model={model}" / f"day={day}" / f"{name}.parquet", rows)

    def write_labels(self, name: str, labels: list[Label], newest: float = 0.0) -> None:
        """Store labels under the name of their place in the log; ``newest`` is the time of the newest event."""
        groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for label in labels:
            groups[f"labels/day={day_of(label.known)}"].append(label_row(label))
            if day_of(label.known) < day_of(newest):
                groups[f"backdated/day={day_of(newest)}"].append(label_row(label))
        for folder, rows in groups.items():
            self._write(self.root / folder / f"{name}.parquet", rows)

    def window(self, model: str, signature: Signature, start: float, end: float) -> WindowRows:
        """Answered rows of a model in [start, end) of event time, each with the newest label that was known by ``end``.

        The order in which labels came, and how often, makes no difference; nor does it when this is asked: a look that
        is taken late, because the sidecar was down, sees what it would have seen in time. No label is taken to be known
        before its event.
        """
        days = _days(start, end)
        files = self._files(self.root / "events" / f"model={model}", days)
        if not files:
            return empty(signature)
        labels = self._label_files(days[0], day_of(end))
        with self._lock:
            there = {str(row[0]) for row in self._db.sql(_NAMES, params={"files": files}).fetchall()}
            names = [name for name in wanted(signature) if name in there]
            sql, values = _query(names, files, labels, start, end)
            table = self._db.sql(sql, params=values).to_arrow_table()
        return window_rows(table, signature)

    def unmatched(self, newest: float) -> dict[str, int]:
        """Labels that no row of the lake is called by: of an ``event`` that is not there, or of a ``row`` beyond its.

        Those of the last days alone; see ``LABEL_DAYS`` and ``EVENT_DAYS``.
        """
        labels = self._label_files(day_of(max(0.0, newest - LABEL_DAYS * DAY_SECONDS)), _LAST_DAY)
        first = f"day={day_of(max(0.0, newest - EVENT_DAYS * DAY_SECONDS))}"
        folders = [path for path in (self.root / "events").glob("model=*/day=*") if path.name >= first]
        events = [str(file) for folder in folders for file in sorted(folder.glob("*.parquet"))]
        if not labels or not events:
            return {"event": int(self._count(labels)), "row": 0}
        with self._lock:
            found = self._db.sql(_UNMATCHED, params={"labels": labels, "events": events}).fetchall()
        event, row = found[0]
        return {"event": event, "row": row}

    def compact(self) -> int:
        """Merge small files where there are many; how many were made.

        Call when all that was collected is acknowledged and nobody reads the lake.
        """
        return self._compaction.compact()

    def _write(self, path: Path, rows: list[dict[str, Any]]) -> None:
        make_folder(path.parent)
        names = list(dict.fromkeys(name for row in rows for name in row))
        arrays = [_array([row.get(name) for row in rows], _TYPES.get(name)) for name in names]
        write_table(path, pa.table(dict(zip(names, arrays, strict=True))))
        self._compaction.wrote(path)

    def _count(self, labels: list[str]) -> int:
        sql = "SELECT count(DISTINCT (event_id, row)) FROM read_parquet($labels, hive_partitioning=false)"
        with self._lock:
            return self._db.sql(sql, params={"labels": labels}).fetchall()[0][0] if labels else 0

    def _label_files(self, first: str, last: str) -> list[str]:
        """Files of labels by the days that they are filed under."""
        folders = [path for kind in ("labels", "backdated") for path in (self.root / kind).glob("day=*")]
        inside = sorted(path for path in folders if first <= path.name.removeprefix("day=") <= last)
        return [str(file) for folder in inside for file in sorted(folder.glob("*.parquet"))]

    @staticmethod
    def _files(folder: Path, days: Iterable[str]) -> list[str]:
        return [str(file) for day in days for file in sorted((folder / f"day={day}").glob("*.parquet"))]


_LAST_DAY = "9999-12-31"
_UNMATCHED = """
    WITH told AS (
        SELECT DISTINCT event_id, row FROM read_parquet($labels, union_by_name=true, hive_partitioning=false)),
    found AS (
        SELECT event_id, max(row) AS last FROM read_parquet($events, union_by_name=true, hive_partitioning=false)
        WHERE event_id IN (SELECT event_id FROM told) GROUP BY event_id)
    SELECT count(*) FILTER (last IS NULL), count(*) FILTER (told.row > last) FROM told LEFT JOIN found USING (event_id)
"""


def day_of(seconds: float) -> str:
    """Day of a time in UTC, ``2011-05-01``."""
    return datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC).strftime("%Y-%m-%d")


def _days(start: float, end: float) -> list[str]:
    first, last = int(start // DAY_SECONDS), int(np.ceil(end / DAY_SECONDS))
    return [day_of(day * DAY_SECONDS) for day in range(first, last)]


def _query(
    names: list[str], files: list[str], labels: list[str], start: float, end: float
) -> tuple[str, dict[str, Any]]:
    columns = ", ".join('e."' + name.replace('"', '""') + '"' for name in names)
    newest = (
        "SELECT event_id, row, coalesce(truth, try_cast(truth_text AS DOUBLE)) AS truth, truth_text, known "
        "FROM read_parquet($labels, union_by_name=true, hive_partitioning=false) "
        "WHERE known <= $end "
        "QUALIFY row_number() "
        "OVER (PARTITION BY event_id, row ORDER BY known DESC, received DESC, truth, truth_text) = 1"
        if labels
        else "SELECT NULL::VARCHAR event_id, NULL::INT row, NULL::DOUBLE truth, NULL::VARCHAR truth_text, "
        "NULL::DOUBLE known LIMIT 0"
    )
    sql = (
        f"SELECT {columns}, l.truth AS label_truth, l.truth_text AS label_text, "  # noqa: S608 - quoted names
        "CASE WHEN l.known < e.time THEN e.time ELSE l.known END AS label_known "
        "FROM read_parquet($files, union_by_name=true, hive_partitioning=false) e "
        f"LEFT JOIN ({newest}) l USING (event_id, row) "
        "WHERE e.time >= $start AND e.time < $end ORDER BY e.time, e.event_id, e.row"
    )
    values: dict[str, Any] = {"files": files, "start": start, "end": end}
    return sql, {**values, "labels": labels} if labels else values


_TYPES = {"row": pa.int32(), "truth": pa.float64(), "truth_text": pa.string()}


def _array(values: list[Any], kind: Any) -> Any:
    try:
        return pa.array(values, type=kind)
    except (
        pa.ArrowInvalid,
        pa.ArrowTypeError,
        OverflowError,
    ):  # two versions in one batch disagree on the type: text holds both
        plain = (value.tolist() if isinstance(value, np.ndarray) else value for value in values)
        return pa.array([None if value is None else str(value) for value in plain], type=pa.string())


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, for good: each new name is synced in the folder that holds it."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in new:
        fsync_folder(path.parent)


def write_table(path: Path, table: Any) -> None:
    """Write a Parquet file whole or not at all, and for good."""
    temporary = path.with_suffix(".writing")
    pq.write_table(table, temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync_folder(path.parent)
