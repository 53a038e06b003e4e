"""Reference rows for an import, out of Parquet, CSV, JSON lines or npz: to prove it on, and for drift to be seen by."""

from __future__ import annotations

import datetime
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from export.importing.rows import filler
from staytrue.errors import CorruptData, InvalidConfig
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT, NUMPY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from export.importing.amendment import Amending
    from export.importing.rows import Arrays
    from staytrue.signature import Signature, TensorSpec

MOST_ROWS = 10_000
"""Of a file with more so many are taken, evenly spaced."""
FORMS = (".parquet", ".csv", ".jsonl", ".ndjson", ".npz")


@dataclass(frozen=True)
class Reference:
    """Rows in time order."""

    path: Path
    rows: list[Arrays]
    """Each a request of one row."""
    time: list[float]
    """Unix seconds, all zero where the file has no times."""


def read(path: Path, signature: Signature, amending: Amending) -> Reference:
    """Rows of a file that fit a signature. A column is called as an input is, by callers or by the model's file.

    Inputs of several numbers a row are lists, flat or nested; of an npz arrays, rows along the input's own axis of rows
    or, where it has none, along one more in front. What all rows share, and a state, may be left out.

    Raises:
        InvalidConfig: an ending that is not known, or a column that is not there or has other values.
        CorruptData: it cannot be read.
    """
    columns = _columns(path)
    old = {said.name or name: name for name, said in amending.said.inputs.items()}
    values: dict[str, list[NDArray[Any]]] = {}
    for spec in signature.inputs:
        name = next((name for name in (spec.name, old.get(spec.name, "")) if name in columns), None)
        axis = signature.row_axis(spec)
        if name is not None:
            values[spec.name] = _rows(spec, axis, columns[name], f'{path}: column "{name}"')
        elif not (spec.state or (axis is None and len(signature.inputs) > 1)):
            hint = f"it has {', '.join(columns)}"[:300]
            raise InvalidConfig(str(path), f'has no column for input "{spec.name}"', hint=hint)
    lengths = {len(column) for column in values.values()} - {1}
    count = max(lengths, default=1)
    if len(lengths) > 1 or not all(values.values()):
        got = ", ".join(f"{name} {len(column)}" for name, column in values.items())
        raise InvalidConfig(str(path), expected="as many rows of each input, at least one", got=got)
    time = _times(columns, amending, count)
    order = np.argsort(np.array(time), kind="stable")
    places = order[np.unique(np.linspace(0, count - 1, min(count, MOST_ROWS)).astype(np.int64))].tolist()
    rows = [
        {
            spec.name: values[spec.name][place if len(values[spec.name]) > 1 else 0]
            if spec.name in values
            else filler(spec)
            for spec in signature.inputs
        }
        for place in places
    ]
    return Reference(path, rows, [time[place] for place in places])


def _columns(path: Path) -> dict[str, Any]:
    """Columns by name: arrays of an npz, lists of values of a table."""
    if path.suffix not in FORMS:
        raise InvalidConfig(f"--reference {path}", expected=", ".join(FORMS), got=path.suffix or "no ending")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as held:
                return {name: held[name] for name in held.files}
        return dict(_table(path).to_pydict())
    except OSError as error:
        raise CorruptData(str(path), f"cannot be read: {error.strerror or error}") from error
    except (pa.ArrowInvalid, ValueError, zipfile.BadZipFile) as error:
        raise CorruptData(str(path), f"is no whole {path.suffix[1:]} file: {str(error)[:200]}") from error


def _table(path: Path) -> Any:
    from pyarrow import csv, json, parquet  # noqa: PLC0415 - each only for its own files

    if path.suffix == ".parquet":
        return parquet.read_table(path)
    return csv.read_csv(path) if path.suffix == ".csv" else json.read_json(path)


def _rows(spec: TensorSpec, axis: int | None, column: Any, where: str) -> list[NDArray[Any]]:
    """An input's tensor for each row."""
    try:
        if isinstance(column, np.ndarray):
            if column.ndim == len(spec.shape):
                parts = [column] if axis is None else [column.take([at], axis) for at in range(column.shape[axis])]
            else:
                parts = [part if axis is None else np.expand_dims(part, axis) for part in column]
        else:
            parts = [_nested(spec, axis, value) for value in column]
        tensors = [_cast(spec, part) for part in parts]
        for tensor in tensors:
            spec.check(tensor, spec.datatype)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidConfig(where, f"is not what the input takes: {str(error)[:200]}", expected=spec.label()) from error
    return tensors


def _nested(spec: TensorSpec, axis: int | None, value: Any) -> NDArray[Any]:
    """One value of a table, flat or nested, as a tensor. Shapes: as the input's, 1 along the axis of rows."""
    missing = {"BYTES": MISSING_TEXT, "INT64": MISSING_INTEGER}.get(spec.datatype, np.nan)
    array = np.array(missing if value is None else value, dtype=NUMPY[spec.datatype])
    shape = [1 if place == axis else size for place, size in enumerate(spec.shape)]
    if shape.count(-1) <= 1 and array.ndim < len(shape):
        return array.reshape(shape)
    return array if axis is None or array.ndim == len(shape) else np.expand_dims(array, axis)


def _cast(spec: TensorSpec, array: NDArray[Any]) -> NDArray[Any]:
    kind = NUMPY[spec.datatype]
    if spec.datatype == "BYTES":
        texts = np.array(array, dtype=object)
        flat = [value.decode() if isinstance(value, bytes) else str(value) for value in texts.ravel().tolist()]
        made = np.empty(texts.size, dtype=object)
        made[:] = flat
        return made.reshape(texts.shape)
    cast = np.asarray(array).astype(kind)
    if kind.kind in "iub" and not np.array_equal(cast, array):
        raise ValueError(f"values that are no {spec.datatype}")
    return cast


def _times(columns: Mapping[str, Any], amending: Amending, count: int) -> list[float]:
    name = amending.said.time
    if not name:
        return [0.0] * count
    if name not in columns:
        raise amending.fault(["time"], expected="a column of the reference", got=name, hint=", ".join(columns))
    try:
        times = [_seconds(value) for value in list(columns[name])]
    except (ValueError, TypeError) as error:
        raise amending.fault(["time"], f"holds what is no time: {error}") from error
    if len(times) != count or not np.isfinite(times).all():
        raise amending.fault(["time"], expected=f"{count} times", got=f"{len(times)}, or some that are none")
    return times


def _seconds(value: Any) -> float:
    """ISO 8601 (UTC where it says no zone), a date and time of a table, or Unix seconds."""
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    if isinstance(value, np.datetime64):
        return float(value.astype("datetime64[us]").astype(np.int64)) / 1e6
    if isinstance(value, datetime.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=datetime.UTC)).timestamp()
    if isinstance(value, datetime.date):
        return datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC).timestamp()
    return float(value)
