"""The lake: Parquet files by model and day of event time, which anything can read; and the questions asked of it.

``events/model=NAME/day=YYYY-MM-DD/*.parquet`` holds a row for each row of a request: who and when, then ``input_NAME``
and ``output_NAME``. ``labels/day=YYYY-MM-DD/*.parquet`` holds the truth by the day on which it became known.
A file's name is the place in the log that it begins at, so reading a place again replaces it.
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

from monitoring.analysis.windows import WindowRows
from staytrue.errors import CorruptData
from staytrue.records import fsync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.events import Event, Label, Tensor
    from staytrue.signature import Signature

DAY_SECONDS = 86400.0
UNKNOWN = "_unknown"
"""Where events of requests for models that are not served go."""


class Lake:
    """Writes and reads one lake. Writing is one thread's; reading may be another's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._db = duckdb.connect()
        self._lock = threading.Lock()

    def write_events(self, name: str, events: list[Event]) -> None:
        """Store events under the name of their place in the log."""
        groups: dict[tuple[str, str], list[Event]] = defaultdict(list)
        for event in events:
            groups[event.model or UNKNOWN, day_of(event.time)].append(event)
        for (model, day), some in groups.items():
            rows = [row for event in some for row in _rows(event)]
            _write(self.root / "events" / f"model={model}" / f"day={day}" / f"{name}.parquet", rows)

    def write_labels(self, name: str, labels: list[Label]) -> None:
        """Store labels under the name of their place in the log."""
        groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for label in labels:
            groups[day_of(label.known)].append(_label_row(label))
        for day, rows in groups.items():
            _write(self.root / "labels" / f"day={day}" / f"{name}.parquet", rows)

    def window(self, model: str, signature: Signature, start: float, end: float) -> WindowRows:
        """Answered rows of a model in [start, end) of event time, each with the newest label there is for it.

        The order in which labels came, and how often, makes no difference.
        """
        days = _days(start, end)
        files = self._files(self.root / "events" / f"model={model}", days)
        if not files:
            return _empty(signature)
        labels = self._files(self.root / "labels", [day for day in self._label_days() if day >= days[0]])
        with self._lock:
            table = self._db.execute(*_query(files, labels, start, end)).to_arrow_table()
        return _window_rows(table, signature)

    def failures(self, model: str, start: float, end: float) -> int:
        """Requests of a span that were answered with an error."""
        files = self._files(self.root / "events" / f"model={model}", _days(start, end))
        if not files:
            return 0
        sql = (
            "SELECT count(*) FROM read_parquet($files, union_by_name=true, hive_partitioning=false) "
            "WHERE status <> 'ok' AND time >= $start AND time < $end"
        )
        with self._lock:
            row = self._db.execute(sql, {"files": files, "start": start, "end": end}).fetchone()
        return int(row[0]) if row else 0

    def _label_days(self) -> list[str]:
        folder = self.root / "labels"
        return sorted(path.name.removeprefix("day=") for path in folder.iterdir()) if folder.exists() else []

    @staticmethod
    def _files(folder: Path, days: Iterable[str]) -> list[str]:
        return [str(file) for day in days for file in sorted((folder / f"day={day}").glob("*.parquet"))]


def day_of(seconds: float) -> str:
    """Day of a time in UTC, ``2011-05-01``."""
    return datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC).strftime("%Y-%m-%d")


def _days(start: float, end: float) -> list[str]:
    first, last = int(start // DAY_SECONDS), int(np.ceil(end / DAY_SECONDS))
    return [day_of(day * DAY_SECONDS) for day in range(first, last)]


def _query(files: list[str], labels: list[str], start: float, end: float) -> tuple[str, dict[str, Any]]:
    newest = (
        "SELECT event_id, row, truth, known FROM read_parquet($labels, union_by_name=true, hive_partitioning=false) "
        "QUALIFY row_number() OVER (PARTITION BY event_id, row ORDER BY known DESC, received DESC, truth) = 1"
        if labels
        else "SELECT NULL::VARCHAR event_id, NULL::INT row, NULL::DOUBLE truth, NULL::DOUBLE known LIMIT 0"
    )
    sql = (
        "SELECT e.*, l.truth AS label_truth, l.known AS label_known "  # noqa: S608 - no outside text in it
        "FROM read_parquet($files, union_by_name=true, hive_partitioning=false) e "
        f"LEFT JOIN ({newest}) l USING (event_id, row) "
        "WHERE e.status = 'ok' AND e.time >= $start AND e.time < $end ORDER BY e.time, e.event_id, e.row"
    )
    values: dict[str, Any] = {"files": files, "start": start, "end": end}
    return sql, {**values, "labels": labels} if labels else values


def _window_rows(table: Any, signature: Signature) -> WindowRows:
    def numbers(name: str) -> NDArray[np.float64]:
        if name not in table.column_names:
            return np.full(len(table), np.nan)
        column = table.column(name).to_pylist()
        return np.array([np.nan if value is None else float(value) for value in column], dtype=np.float64)

    columns: dict[str, NDArray[Any]] = {}
    for spec in signature.inputs:
        name = f"input_{spec.name}"
        if name in table.column_names:
            texts = spec.datatype == "BYTES" or bool(spec.categories)
            columns[spec.name] = _texts(table.column(name).to_pylist()) if texts else numbers(name)
    return WindowRows(
        time=numbers("time"),
        columns=columns,
        prediction=numbers(f"output_{signature.outputs[0].name}"),
        truth=numbers("label_truth"),
        known=numbers("label_known"),
        version=np.array(table.column("version").to_pylist(), dtype=object),
    )


def _texts(values: list[Any]) -> NDArray[Any]:
    return np.array([None if value is None else str(value) for value in values], dtype=object)


def _empty(signature: Signature) -> WindowRows:
    nothing = np.empty(0)
    columns = {spec.name: np.empty(0, dtype=object if spec.categories else np.float64) for spec in signature.inputs}
    return WindowRows(nothing, columns, nothing, nothing, nothing, np.empty(0, dtype=object))


def _rows(event: Event) -> list[dict[str, Any]]:
    shared = {
        name: getattr(event, name)
        for name in ("time", "recorded", "request_id", "version", "role", "protocol", "status", "error")
    }
    shared |= {"queue_seconds": event.queue_seconds, "run_seconds": event.run_seconds}
    count = max(1, event.rows)
    rows = [{"event_id": event.id, "row": place, **shared} for place in range(count)]
    for side, tensors in (("input", event.inputs), ("output", event.outputs)):
        for tensor in tensors:
            for row, value in zip(rows, _by_row(tensor, count), strict=True):
                row[f"{side}_{tensor.name}"] = value
    return rows


def _by_row(tensor: Tensor, count: int) -> list[Any]:
    """One value a row: a number or text where a row holds one, else a flat list. Empty where rows do not fit."""
    try:
        array = tensor.array()
    except CorruptData:
        return [None] * count
    if array.ndim == 0 or array.shape[0] != count:
        return [None] * count
    flat = array.reshape(count, -1)
    return flat[:, 0].tolist() if flat.shape[1] == 1 else flat.tolist()


def _label_row(label: Label) -> dict[str, Any]:
    text = isinstance(label.truth, str)
    return {
        "event_id": label.event_id,
        "row": label.row,
        "truth": None if text else float(label.truth),
        "truth_text": label.truth if text else None,
        "known": label.known,
        "received": label.received,
    }


_TYPES = {"row": pa.int32(), "truth": pa.float64(), "truth_text": pa.string()}


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a file whole or not at all, so that a reader never meets half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(name for row in rows for name in row))
    arrays = [pa.array([row.get(name) for row in rows], type=_TYPES.get(name)) for name in names]
    temporary = path.with_suffix(".writing")
    pq.write_table(pa.table(dict(zip(names, arrays, strict=True))), temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync_folder(path.parent)
