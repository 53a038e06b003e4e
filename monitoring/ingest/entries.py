"""Events and labels as rows of the lake's tables. Of pictures the numbers that are watched are kept beside them.

Looks read those numbers and never the pictures: a window of a hundred thousand pictures is a few columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import CorruptData
from staytrue.pictures import summarise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.events import Event, Label, Tensor

PICTURE_AXES = 4
"""Rows, channels, height and width."""


def event_rows(event: Event) -> list[dict[str, Any]]:
    """A row for each row of a request: who and when, then ``input_NAME`` and ``output_NAME``."""
    shared = {
        name: getattr(event, name)
        for name in ("time", "recorded", "request_id", "version", "role", "protocol", "status", "error")
    }
    shared |= {"queue_seconds": event.queue_seconds, "run_seconds": event.run_seconds}
    count = max(1, event.rows)
    rows = [{"event_id": event.id, "row": place, **shared} for place in range(count)]
    for side, tensors in (("input", event.inputs), ("output", event.outputs)):
        for tensor in tensors:
            for name, values in _columns(f"{side}_{tensor.name}", tensor, count).items():
                for row, value in zip(rows, values, strict=True):
                    row[name] = value
    return rows


def label_row(label: Label) -> dict[str, Any]:
    """A label as a row; its truth is a number or a text."""
    text = isinstance(label.truth, str)
    return {
        "event_id": label.event_id,
        "row": label.row,
        "truth": None if text else float(label.truth),
        "truth_text": label.truth if text else None,
        "known": label.known,
        "received": label.received,
    }


def _columns(name: str, tensor: Tensor, count: int) -> dict[str, list[Any]]:
    """A tensor's own column, and of pictures those of their numbers. Empty where rows do not fit."""
    try:
        array = tensor.array()
    except CorruptData:
        return {name: [None] * count}
    if array.ndim == 0 or array.shape[0] != count:
        return {name: [None] * count}
    columns = {name: _by_row(array)}
    if array.ndim == PICTURE_AXES and tensor.datatype in ("UINT8", "FP32"):
        with np.errstate(invalid="ignore", over="ignore"):  # a picture may hold infinities: what follows is NaN
            columns |= {f"{name}.{said}": values.tolist() for said, values in summarise(array).items()}
    return columns


def _by_row(array: NDArray[Any]) -> list[Any]:
    """One value a row: a number or text where a row holds one, else a flat list of the tensor's own datatype."""
    flat = array.reshape(len(array), -1)
    if flat.shape[1] == 1:
        return list(flat[:, 0].tolist())
    return list(flat) if flat.dtype.kind in "uif" else list(flat.tolist())
