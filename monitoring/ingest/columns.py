"""Columns of the lake as the analysis takes them: numbers and texts, with NaN and None for what is missing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from monitoring.analysis.drift.shift import CONFIDENCE
from monitoring.analysis.rows import WindowRows
from staytrue.pictures import SUMMARIES
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.signature import Signature, TensorSpec

PROBABILITIES = "probabilities"
_MISSING = (None, MISSING_TEXT, MISSING_INTEGER)
"""What callers send where a value is missing, as the reference profile has it."""


def wanted(signature: Signature) -> list[str]:
    """Columns of the lake that a look reads: of pictures their numbers alone, of texts with a tokenizer nothing."""
    names = ["time", "status", "version"]
    for spec in _looked_at(signature):
        name = f"input_{spec.name}"
        names += [f"{name}.{said}" for said in SUMMARIES] if is_picture(spec) else [name]
    names.append(f"output_{signature.outputs[0].name}")
    return [*names, f"output_{PROBABILITIES}"] if _gives_confidence(signature) else names


def window_rows(table: Any, signature: Signature) -> WindowRows:
    """The answered rows of a table of the lake, and how many requests failed."""
    failed = pc.not_equal(table.column("status"), "ok")
    return _answered(table.filter(pc.invert(failed)), signature, pc.sum(failed).as_py() or 0)


def empty(signature: Signature) -> WindowRows:
    """No rows, with the columns that the signature has."""
    nothing, nobody = np.empty(0), np.empty(0, dtype=object)
    columns: dict[str, NDArray[Any]] = {}
    for spec in _looked_at(signature):
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


def _looked_at(signature: Signature) -> list[TensorSpec]:
    """Inputs whose values are compared with others: a text that becomes tokens is no single value."""
    return [spec for spec in signature.inputs if not spec.tokenizer]


def _answered(table: Any, signature: Signature, failures: int) -> WindowRows:
    there = set(table.column_names)
    columns: dict[str, NDArray[Any]] = {}
    for spec in _looked_at(signature):
        for name in [f"{spec.name}.{said}" for said in SUMMARIES] if is_picture(spec) else [spec.name]:
            found = table.column(f"input_{name}") if f"input_{name}" in there else None
            if found is not None and not pa.types.is_nested(found.type):
                columns[name] = _texts(found) if _is_text(spec) else _numbers(found)
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
        failures=failures,
    )


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
