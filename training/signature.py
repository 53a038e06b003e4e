"""Signature: what callers send to a trained model and what it answers, by names and datatypes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from staytrue.signature import MISSING_INTEGER, Signature
from training.data.rows import learnable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from staytrue.feature import Feature
    from staytrue.signature import TensorSpec
    from training.data.rows import TrainingRows
    from training.models.model import Model
    from training.tasks.task import Task

_RANGED = ("numeric", "date")
"""Kinds of one number a row."""
_AT_ONCE = 65_536
"""Rows that are looked at: there may be more than memory holds."""


def signature_of(
    model: Model, task: Task, features: Mapping[str, Feature] | None = None, rows: TrainingRows | None = None
) -> Signature:
    """In goes what the model takes, which is mostly one input a feature; out comes what the task answers.

    Args:
        model: the whole of it.
        task: what it is for.
        features: by name, which tell what their inputs are.
        rows: trained on, which tell from where to where numbers were.
    """
    known = features or {}
    inputs = [_told(spec, known[spec.name], rows) if spec.name in known else spec for spec in model.inputs()]
    return Signature(inputs=inputs, outputs=task.specs())


def _told(spec: TensorSpec, feature: Feature, rows: TrainingRows | None) -> TensorSpec:
    ranged = rows is not None and feature.kind in _RANGED and spec.name in rows.columns
    found = _range(learnable(rows).columns[spec.name]) if rows is not None and ranged else []
    return msgspec.structs.replace(spec, description=feature.description, range=found)


def _range(column: NDArray[Any]) -> list[float]:
    """The lowest and the highest number that is there; nothing where none is."""
    low, high = math.inf, -math.inf
    for begin in range(0, len(column), _AT_ONCE):
        part = np.asarray(column[begin : begin + _AT_ONCE], dtype=np.float64)
        part = part[np.isfinite(part) & (part != MISSING_INTEGER)]
        low, high = min(low, float(part.min(initial=math.inf))), max(high, float(part.max(initial=-math.inf)))
    return [low, high] if low <= high else []
