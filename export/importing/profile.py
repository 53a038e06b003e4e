"""The reference profile of an import: what its reference rows and the model's answers to them tell of drift."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.pictures import summarise
from staytrue.profile import ReferenceColumn, ReferenceProfile
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from export.importing.foreign import Foreign
    from export.importing.reference import Reference
    from export.importing.rows import Arrays
    from staytrue.signature import Signature, TensorSpec

NONE = ReferenceProfile(columns=[], time=[], split=[], prediction=[], truth=[])
"""Of a version without reference rows: nothing is known that its requests could be compared with."""
_PICTURE_AXES = 4


def profile(foreign: Foreign, signature: Signature, reference: Reference | None) -> ReferenceProfile:
    """Inputs of one value a row, of pictures what is watched of them, and predictions of one value a row.

    All rows count as trained on: no truth is known, so quality has no baseline until there is a version made here.
    """
    if reference is None:
        return NONE
    columns = [made for spec in signature.inputs for made in _columns(signature, spec, reference.rows)]
    prediction = _predictions(foreign, signature, reference.rows)
    return ReferenceProfile(
        columns=columns,
        time=reference.time,
        split=["train"] * len(reference.rows),
        prediction=prediction,
        truth=prediction,
    )


def _columns(signature: Signature, spec: TensorSpec, rows: Sequence[Arrays]) -> list[ReferenceColumn]:
    values = [row[spec.name] for row in rows]
    if spec.state or signature.row_axis(spec) != 0:
        return []
    if len(spec.shape) == _PICTURE_AXES and spec.datatype in ("UINT8", "FP32"):
        told = [summarise(value) for value in values]
        names = {name: [float(one[name][0]) for one in told] for name in told[0]}
        return [
            ReferenceColumn(name=f"{spec.name}.{name}", kind="numeric", values=[_number(one) for one in found])
            for name, found in names.items()
        ]
    if any(value.size != 1 for value in values):
        return []
    flat = [value.item() for value in values]
    if spec.datatype == "BYTES" or spec.categories:
        texts = [None if one in (MISSING_TEXT, MISSING_INTEGER) else str(one) for one in flat]
        return [ReferenceColumn(name=spec.name, kind="category", values=list(texts))]
    return [ReferenceColumn(name=spec.name, kind="numeric", values=[_number(float(one)) for one in flat])]


def _predictions(foreign: Foreign, signature: Signature, rows: Sequence[Arrays]) -> list[float | str]:
    """The first output, as it is read of the lake: of several numbers a row nothing is, and zeros stand for them."""
    first, made = signature.outputs[0], list[float | str]()
    for row in rows:
        value: Any = foreign.run(row)[first.name]
        if first.datatype != "BYTES" and (value.size != 1 or value.ndim == 0):
            return [0.0] * len(rows)
        one = value.item() if value.size == 1 else str(value.ravel().tolist())
        made.append(one if isinstance(one, str) else float(one))
    if first.datatype == "BYTES":
        return made
    numbers = np.array(made, dtype=np.float64)
    there = np.isfinite(numbers)
    mean = float(numbers[there].mean()) if there.any() else 0.0  # which moves no mean, where a row has no number
    return list(np.where(there, numbers, mean).tolist())


def _number(value: float) -> float | None:
    return None if math.isnan(value) or value == MISSING_INTEGER else float(np.clip(value, -1e300, 1e300))
