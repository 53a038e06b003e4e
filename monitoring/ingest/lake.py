"""The lake: Parquet files by model and day of event time, which anything can read; and the questions asked of it.

``events/model=NAME/day=YYYY-MM-DD/*.parquet`` holds a row for each row of a request: who and when, then ``input_NAME``
and ``output_NAME``. ``labels/day=YYYY-MM-DD/*.parquet`` holds the truth by the day on which it became known.
A file's name is the place in the log that it begins at, so reading a place again replaces it; ``merged`` files hold
what several of them held.
"""

from __future__ import annotations

import datetime
import math
import os
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from monitoring.analysis.windows import WindowRows
from monitoring.ingest.compaction import FAN, Compaction
from staytrue.errors import CorruptData
from staytrue.records import DAY_SECONDS, fsync_folder
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.events import Event, Label, Tensor
    from staytrue.signature import Signature

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
            rows = [row for event in some for row in _rows(event)]
            self._write(self.root / "events" / f"model={model}" / f"day={day}" / f"{name}.parquet", rows)

    def write_labels(self, name: str, labels: list[Label]) -> None:
        """Store labels under the name of their place in the log."""
        groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for label in labels:
            groups[day_of(label.known)].append(_label_row(label))
        for day, rows in groups.items():
            self._write(self.root / "labels" / f"day={day}" / f"{name}.parquet", rows)

    def window(self, model: str, signature: Signature, start: float, end: float) -> WindowRows:
        """Answered rows of a model in [start, end) of event time, each with the newest label that was known by ``end``.

        The order in which labels came, and how often, makes no difference; nor does it when this is asked: a look that
        is taken late, because the sidecar was down, sees what it would have seen in time.
        """
        days = _days(start, end)
        files = self._files(self.root / "events" / f"model={model}", days)
        if not files:
            return _empty(signature)
        told = [day for day in self._label_days() if days[0] <= day <= day_of(end)]
        labels = self._files(self.root / "labels", told)
        sql, values = _query(files, labels, start, end)
        with self._lock:
            table = self._db.sql(sql, params=values).to_arrow_table()
        failed = pc.not_equal(table.column("status"), "ok")
        return _window_rows(table.filter(pc.invert(failed)), signature, failures=pc.sum(failed).as_py() or 0)

    def compact(self) -> int:
        """Merge small files where there are many; how many were made.

        Call when all that was collected is acknowledged and nobody reads the lake.
        """
        return self._compaction.compact()

    def _write(self, path: Path, rows: list[dict[str, Any]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        names = list(dict.fromkeys(name for row in rows for name in row))
        arrays = [_array([row.get(name) for row in rows], _TYPES.get(name)) for name in names]
        write_table(path, pa.table(dict(zip(names, arrays, strict=True))))
        self._compaction.wrote(path)

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
        "SELECT event_id, row, coalesce(truth, try_cast(truth_text AS DOUBLE)) AS truth, known "
        "FROM read_parquet($labels, union_by_name=true, hive_partitioning=false) "
        "WHERE known <= $end "
        "QUALIFY row_number() OVER (PARTITION BY event_id, row ORDER BY known DESC, received DESC, truth) = 1"
        if labels
        else "SELECT NULL::VARCHAR event_id, NULL::INT row, NULL::DOUBLE truth, NULL::DOUBLE known LIMIT 0"
    )
    sql = (
        "SELECT e.*, l.truth AS label_truth, l.known AS label_known "  # noqa: S608 - no outside text in it
        "FROM read_parquet($files, union_by_name=true, hive_partitioning=false) e "
        f"LEFT JOIN ({newest}) l USING (event_id, row) "
        "WHERE e.time >= $start AND e.time < $end ORDER BY e.time, e.event_id, e.row"
    )
    values: dict[str, Any] = {"files": files, "start": start, "end": end}
    return sql, {**values, "labels": labels} if labels else values


def _window_rows(table: Any, signature: Signature, failures: int) -> WindowRows:
    there = set(table.column_names)
    columns: dict[str, NDArray[Any]] = {}
    for spec in signature.inputs:
        name = f"input_{spec.name}"
        if name in there and not pa.types.is_nested(table.schema.field(name).type):
            texts = spec.datatype == "BYTES" or bool(spec.categories)
            columns[spec.name] = _texts(table.column(name)) if texts else _numbers(table.column(name))
    output = f"output_{signature.outputs[0].name}"
    return WindowRows(
        time=_numbers(table.column("time")),
        columns=columns,
        prediction=_numbers(table.column(output)) if output in there else np.full(len(table), np.nan),
        truth=_numbers(table.column("label_truth")),
        known=_numbers(table.column("label_known")),
        version=_texts(table.column("version")),
        failures=failures,
    )


def _numbers(column: Any) -> NDArray[np.float64]:
    """Float64, NaN where there is no value or none that is a number."""
    if pa.types.is_nested(column.type):
        return np.full(len(column), np.nan)
    try:
        numbers = pc.cast(column, pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # another version took text under this name
        return np.array([_number(value) for value in column.to_pylist()], dtype=np.float64)
    values = np.array(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)
    return np.where(values == MISSING_INTEGER, np.nan, values)


_MISSING = (None, MISSING_TEXT, MISSING_INTEGER)
"""What callers send where a value is missing, as the reference profile has it."""


def _number(value: Any) -> float:
    try:
        return math.nan if value in _MISSING else float(value)
    except (TypeError, ValueError):
        return math.nan


def _texts(column: Any) -> NDArray[Any]:
    texts = np.empty(len(column), dtype=object)
    texts[:] = [None if value in _MISSING else str(value) for value in column.to_pylist()]
    return texts


def _empty(signature: Signature) -> WindowRows:
    nothing = np.empty(0)
    columns = {
        spec.name: np.empty(0, dtype=object if spec.datatype == "BYTES" or spec.categories else np.float64)
        for spec in signature.inputs
    }
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


def _array(values: list[Any], kind: Any) -> Any:
    try:
        return pa.array(values, type=kind)
    except (
        pa.ArrowInvalid,
        pa.ArrowTypeError,
        OverflowError,
    ):  # two versions in one batch disagree on the type: text holds both
        return pa.array([None if value is None else str(value) for value in values], type=pa.string())


def write_table(path: Path, table: Any) -> None:
    """Write a Parquet file whole or not at all, and for good."""
    temporary = path.with_suffix(".writing")
    pq.write_table(table, temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync_folder(path.parent)
