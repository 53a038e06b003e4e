"""Targets: numbers of the target that lie too far out among the training rows; those of others are never touched."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from training.data.clean.outliers import reach
from training.data.clean.report import Touch, touch
from training.data.rows import learnable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.repairs import TargetSection
    from training.data.rows import TrainingRows

STEP = "target"


class TargetState(msgspec.Struct, frozen=True, kw_only=True):
    """Between which numbers the target is no outlier. Units: the target's."""

    method: Literal["zscore", "robust_z", "iqr"]
    action: Literal["drop", "clip", "mark"]
    low: float
    high: float


def fit(rows: TrainingRows, settings: TargetSection) -> TargetState | None:
    """Learn the bounds, as :func:`training.data.clean.outliers.fit` does; None where the target is let be."""
    if settings.method == "none":
        return None
    low, high = reach(learnable(rows).target, settings.method, settings.threshold)
    return TargetState(method=settings.method, action=settings.action, low=low, high=high)


def apply(
    rows: TrainingRows, state: TargetState
) -> tuple[TrainingRows, NDArray[np.bool_], NDArray[np.bool_], list[Touch]]:
    """Rows after the action, which of those given stay, which are outliers, and what was touched."""
    target = learnable(rows).target
    found = (target < state.low) | (target > state.high)
    after = {"drop": None, "clip": np.clip(target, state.low, state.high), "mark": target}[state.action]
    done = {"drop": "row dropped", "clip": "clipped", "mark": "marked"}[state.action]
    scope: Literal["report", "training rows"] = "report" if state.action == "mark" else "training rows"
    touches = [touch(STEP, "(target)", done, scope, found, rows.time, target, after)] if found.any() else []
    if state.action == "drop":
        return rows.take(~found), ~found, found, touches
    kept = np.ones(len(rows), dtype=np.bool_)
    return (rows if after is None else dataclasses.replace(rows, target=after)), kept, found, touches
