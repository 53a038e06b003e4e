"""Columns of the lake as the analysis takes them: numbers, texts, and of pictures the numbers that are watched."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from monitoring.analysis.drift.shift import CONFIDENCE
from monitoring.analysis.windows import WindowRows
from staytrue.pictures import SUMMARIES, summarise
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT, NUMPY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from staytrue.signature import Signature, TensorSpec

PROBABILITIES = "probabilities"
_MISSING = (None, MISSING_TEXT, MISSING_INTEGER)
"""What callers send where a value is missing, as the reference profile has it."""


def window_rows(batches: Iterable[Any], signature: Signature) -> WindowRows:
    """The answered rows of several record batches of the lake, and how many requests failed.

    One batch is in memory as pictures at a time; what is kept of a picture are five numbers.
    """
    parts, failures = [empty(signature)], 0
    for batch in batches:
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        failed = pc.not_equal(table.column("status"), "ok")
        failures += pc.sum(failed).as_py() or 0
        parts.append(_part(table.filter(pc.invert(failed)), signature))
    return _joined(parts, failures)


def empty(signature: Signature) -> WindowRows:
    """No rows, with the columns that the signature has."""
    nothing, nobody = np.empty(0), np.empty(0, dtype=object)
    columns: dict[str, NDArray[Any]] = {}
    for spec in signature.inputs:
        if is_picture(spec):
            columns |= {f"{spec.name}.{name}": nothing for name in SUMMARIES}
        else:
            columns[spec.name] = nobody if _is_text(spec) else nothing
    if _gives_confidence(signature):
        columns[CONFIDENCE] = nothing
    outcome = nobody if _is_text(signature.outputs[0]) else nothing
    return WindowRows(nothing, columns, outcome, outcome, nothing, nobody)


def is_picture(spec: TensorSpec) -> bool:
    """Whether an input holds pictures: rows of channels, height and width."""
    return len(spec.shape) == 4 and spec.datatype in ("UINT8", "FP32")


def _joined(parts: list[WindowRows], failures: int) -> WindowRows:
    shared = set.intersection(*(set(part.columns) for part in parts)) if parts else set()
    return WindowRows(
        time=np.concatenate([part.time for part in parts]),
        columns={name: np.concatenate([p.columns[name] for p in parts]) for name in parts[0].columns if name in shared},
        prediction=np.concatenate([part.prediction for part in parts]),
        truth=np.concatenate([part.truth for part in parts]),
        known=np.concatenate([part.known for part in parts]),
        version=np.concatenate([part.version for part in parts]),
        failures=failures,
    )


def _part(table: Any, signature: Signature) -> WindowRows:
    there = set(table.column_names)
    columns: dict[str, NDArray[Any]] = {}
    for spec in signature.inputs:
        name = f"input_{spec.name}"
        if name in there:
            columns |= dict(_columns(spec, table.column(name)))
    if _gives_confidence(signature):
        name = f"output_{PROBABILITIES}"
        columns[CONFIDENCE] = _confidence(table.column(name)) if name in there else np.full(len(table), np.nan)
    first = signature.outputs[0]
    classes, output = _is_text(first), f"output_{first.name}"
    unknown = np.full(len(table), None if classes else np.nan, dtype=object if classes else np.float64)
    read = _texts if classes else _numbers
    return WindowRows(
        time=_numbers(table.column("time")),
        columns=columns,
        prediction=read(table.column(output)) if output in there else unknown,
        truth=_class_labels(table) if classes else _numbers(table.column("label_truth")),
        known=_numbers(table.column("label_known")),
        version=_texts(table.column("version")),
    )


def _columns(spec: TensorSpec, column: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    if is_picture(spec):
        for name, values in summarise_lists(column, spec).items():
            yield f"{spec.name}.{name}", values
    elif not pa.types.is_nested(column.type):
        yield spec.name, _texts(column) if _is_text(spec) else _numbers(column)


def summarise_lists(column: Any, spec: TensorSpec) -> dict[str, NDArray[np.float64]]:
    """What is watched of pictures that lie as flat lists; NaN where a row holds no picture of this shape."""
    size = math.prod(spec.shape[1:])
    found = {name: np.full(len(column), np.nan) for name in SUMMARIES}
    if not pa.types.is_nested(column.type):
        return found
    fits = np.array([length == size for length in pc.list_value_length(column).to_pylist()], dtype=np.bool_)
    whole = column.filter(pa.array(fits))
    if len(whole):
        flat = np.asarray(pc.list_flatten(whole).to_numpy())
        pictures = flat.astype(NUMPY[spec.datatype]).reshape(-1, *spec.shape[1:])
        for name, values in summarise(pictures).items():
            found[name][fits] = values
    return found


def _confidence(column: Any) -> NDArray[np.float64]:
    """The largest probability of each row."""
    if not pa.types.is_nested(column.type):
        return np.full(len(column), np.nan)
    return np.array([max(row) if row else np.nan for row in column.to_pylist()], dtype=np.float64)


def _gives_confidence(signature: Signature) -> bool:
    outputs = {spec.name for spec in signature.outputs}
    return _is_text(signature.outputs[0]) and PROBABILITIES in outputs and signature.input(CONFIDENCE) is None


def _is_text(spec: TensorSpec) -> bool:
    return spec.datatype == "BYTES" or bool(spec.categories)


def _class_labels(table: Any) -> NDArray[Any]:
    """Names of classes as they were told; a number is the name that it is written as."""
    told = zip(table.column("label_text").to_pylist(), table.column("label_truth").to_pylist(), strict=True)
    labels = np.empty(len(table), dtype=object)
    labels[:] = [text or (None if number is None else _written(number)) for text, number in told]
    return labels


def _written(number: float) -> str:
    return str(int(number)) if number.is_integer() else str(number)


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


def _number(value: Any) -> float:
    try:
        return math.nan if value in _MISSING else float(value)
    except (TypeError, ValueError):
        return math.nan


def _texts(column: Any) -> NDArray[Any]:
    texts = np.empty(len(column), dtype=object)
    texts[:] = [None if value in _MISSING else str(value) for value in column.to_pylist()]
    return texts
